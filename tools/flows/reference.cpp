#include "tools/flows/reference.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "libconvert/registry/http_disk.hpp"
#include "libconvert/remote/nbd_disk.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

namespace vm2oci {

bool is_server_address(std::string_view path) {
    return is_nbd_uri(path) || registry::is_http_url(path);
}

Reference parse_reference(const std::string& text) {
    if (auto image = parse_image_reference(text))
        return *std::move(image);
    DiskReference disk{text, std::nullopt};
    for (const DiskFormat format : kDiskFormats) {
        const std::string prefix = std::string(vm2oci::to_string(format)) + ":";
        if (text.starts_with(prefix))
            disk = {text.substr(prefix.size()), format};
    }
    constexpr std::pair<std::string_view, MachineSource> machines[] = {{"ova:", MachineSource::package},
                                                                       {"vmx:", MachineSource::vmx},
                                                                       {"libvirt:", MachineSource::libvirt},
                                                                       {"hyperv:", MachineSource::hyperv}};
    for (const auto& [prefix, machine] : machines)
        if (text.starts_with(prefix)) {
            disk.path = text.substr(prefix.size());
            disk.machine = machine;
        }
    if (disk.path.empty())
        fail(ErrorKind::usage, "'" + text + "' names no disk");
    return disk;
}

namespace {

// "oci-archve:web01.tar", "registry:web01": a word that nobody knows, where a kind of destination stands.
bool has_unknown_scheme(std::string_view path) {
    const std::size_t colon = path.find(':');
    return colon != std::string_view::npos && colon > 1 && std::ranges::all_of(path.substr(0, colon), [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
           });
}

} // namespace

void require_written(const DiskReference& destination) {
    const std::string& path = destination.path;
    if (is_server_address(path))
        fail(ErrorKind::usage, "'" + path + "' is on a server, which is read and not written");
    if (destination.machine)
        fail(ErrorKind::usage,
             "'" + path + "' would be a machine's package or description, which is read and not written");
    if (!destination.format && has_unknown_scheme(path))
        fail(ErrorKind::usage,
             fmt::format("{} names no kind of destination that is known; write oci:DIR:TAG, oci-archive:FILE:TAG, "
                         "docker://HOST/REPOSITORY:TAG, qcow2:PATH or raw:PATH, or ./ before a file of that name",
                         quote_untrusted(path)));
    if (path == "-")
        fail(ErrorKind::usage, "'-' is standard input, and a disk is not written in order; name a file as DEST");
    if (destination.format && !is_written(*destination.format))
        fail(ErrorKind::usage, fmt::format("{} is read and not written; write qcow2:PATH or raw:PATH",
                                           display_name(*destination.format)));
}

WordOfDisk parse_word_of_disk(const std::string& text) {
    constexpr std::size_t kMaxDisks = 1000; // far beyond what a machine takes
    const std::size_t digits = text.find_first_not_of("0123456789");
    if (digits == 0 || digits == std::string::npos || text[digits] != '=')
        return {1, text};
    std::size_t disk = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + digits, disk);
    if (error != std::errc() || disk == 0 || disk > kMaxDisks)
        fail(ErrorKind::usage,
             fmt::format("'{}' says the number of no disk; they are counted from 1", text.substr(0, digits)));
    return {disk, text.substr(digits + 1)};
}

BackingFile parse_backing_file(const std::string& text) {
    for (const DiskFormat format : kDiskFormats) {
        const std::string suffix = ":" + std::string(vm2oci::to_string(format));
        if (text.ends_with(suffix))
            return {text.substr(0, text.size() - suffix.size()), format};
    }
    return {text, std::nullopt};
}

std::string tag_of_disk(const ImageReference& reference, std::size_t number) {
    std::optional<std::string> tag;
    if (const auto* layout = std::get_if<LayoutReference>(&reference))
        tag = layout->tag.value_or("");
    else if (const auto* archive = std::get_if<ArchiveReference>(&reference))
        tag = archive->tag.value_or("");
    else if (const auto* named = std::get_if<RegistryReference>(&reference))
        tag = named->digest.empty() ? named->tag : named->tag + "@";
    if (!tag)
        return "";
    if (tag->find('@') != std::string::npos || tag->find("sha256:") != std::string::npos)
        fail(ErrorKind::usage, "several images get tags of their own, and this destination says a digest");
    std::string whole = fmt::format("{}{}disk{}", *tag, tag->empty() ? "" : "-", number);
    if (!is_registry_tag(whole))
        fail(ErrorKind::usage, fmt::format("'{}', the tag of a further disk, is no tag of an image", whole));
    return whole;
}

std::vector<ImageReference> further_images(const ImageReference& first,
                                           const std::map<std::string, std::string>& annotations) {
    std::vector<ImageReference> images;
    const auto number = annotations.find("org.vm2oci.machine.disk");
    if (number != annotations.end() && number->second != "1")
        return images; // it is one of them itself
    const auto found = annotations.find("org.vm2oci.machine.further-images");
    std::string_view rest = found == annotations.end() ? std::string_view() : found->second;
    while (!rest.empty()) {
        const std::size_t end = std::min(rest.find(' '), rest.size());
        const std::string tag(rest.substr(0, end));
        rest.remove_prefix(std::min(end + 1, rest.size()));
        if (!is_registry_tag(tag))
            fail(ErrorKind::corrupt,
                 "the image names its further disks by " + quote_untrusted(tag) + ", which is no tag");
        images.push_back(with_tag(first, tag));
    }
    return images;
}

ImageReference with_tag(ImageReference reference, const std::string& tag) {
    if (auto* layout = std::get_if<LayoutReference>(&reference)) {
        layout->tag = tag;
    } else if (auto* archive = std::get_if<ArchiveReference>(&reference)) {
        archive->tag = tag;
    } else if (auto* named = std::get_if<RegistryReference>(&reference)) {
        named->tag = tag;
        named->digest = {};
    }
    return reference;
}

} // namespace vm2oci
