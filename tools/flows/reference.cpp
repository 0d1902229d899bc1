#include "tools/flows/reference.hpp"

#include "formats/base/error.hpp"
#include "libconvert/remote/nbd_disk.hpp"

#include <utility>

namespace vm2oci {

Reference parse_reference(const std::string& text) {
    if (auto image = parse_image_reference(text))
        return *std::move(image);
    for (const DiskFormat format : {DiskFormat::qcow2, DiskFormat::raw}) {
        const std::string prefix = std::string(vm2oci::to_string(format)) + ":";
        if (text.starts_with(prefix) && text.size() > prefix.size())
            return DiskReference{text.substr(prefix.size()), format, false};
    }
    constexpr std::string_view package = "ova:";
    if (text.starts_with(package) && text.size() > package.size())
        return DiskReference{text.substr(package.size()), std::nullopt, true};
    if (text.empty() || text == "qcow2:" || text == "raw:" || text == package)
        fail(ErrorKind::usage, "'" + text + "' names no disk");
    return DiskReference{text, std::nullopt, false};
}

Reference parse_destination(const std::string& text) {
    Reference reference = parse_reference(text);
    const auto* disk = std::get_if<DiskReference>(&reference);
    if (disk != nullptr && is_nbd_uri(disk->path))
        fail(ErrorKind::usage, "'" + text + "' is on a server, which is read and not written");
    if (disk != nullptr && disk->is_package)
        fail(ErrorKind::usage, "'" + text + "' is a package of a machine, which is read and not written");
    if (disk != nullptr && disk->path == "-")
        fail(ErrorKind::usage,
             "'" + text + "' is standard input, and a disk is not written in order; name a file as DEST");
    return reference;
}

BackingFile parse_backing_file(const std::string& text) {
    for (const DiskFormat format : {DiskFormat::qcow2, DiskFormat::raw}) {
        const std::string suffix = ":" + std::string(vm2oci::to_string(format));
        if (text.ends_with(suffix))
            return {text.substr(0, text.size() - suffix.size()), format};
    }
    return {text, std::nullopt};
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
