#include "formats/oci/archive_members.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/base/fd.hpp"
#include "formats/codec/layer_content.hpp"
#include "formats/oci/image.hpp"
#include "formats/oci/stored_blob.hpp"
#include "formats/tree/tar_reader.hpp"

#include <deque>
#include <set>

namespace vm2oci {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kMaxMembers = 100'000; // blobs of some thousand images; bounds the memory

std::vector<Descriptor> children_of(const Descriptor& document, const BlockDevice& content) {
    const std::string text = read_manifest_blob(content, document);
    if (is_index(document.media_type))
        return parse_index(text).manifests;
    const ImageManifest manifest = parse_manifest(text);
    std::vector<Descriptor> children = manifest.layers;
    children.push_back(manifest.config);
    return children;
}

using Links = std::set<std::string, std::less<>>;

// Who unpacks the archive writes where the link leads, or refuses, and has another image in any case.
void refuse_way_through(const Links& links, const std::string& path) {
    if (links.empty())
        return;
    for (std::size_t slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1))
        if (const auto link = links.find(std::string_view(path).substr(0, slash)); link != links.end())
            fail(ErrorKind::unsafe, "the archive stores " + quote_untrusted(path) + " below " + quote_untrusted(*link) +
                                        ", which is a link");
}

// One that an image is read by.
bool is_of_layout(std::string_view path) {
    return path == "index.json" || path == "oci-layout" || path == "blobs" || path.starts_with("blobs/");
}

// A member that is no regular file, over what was there by that name.
void take_other(const TarMember& member, ArchiveMembers& members, Links& links) {
    members.erase(member.path);
    if (member.type == TarType::directory)
        return;
    if (member.type == TarType::hard_link) {
        const std::optional<std::string> target = clean_path(member.link_target);
        const auto found = target ? members.find(*target) : members.end();
        if (found != members.end()) {
            members[member.path] = found->second;
            return;
        }
    }
    if (is_of_layout(member.path))
        fail(ErrorKind::unsupported, "the archive stores " + quote_untrusted(member.path) +
                                         (member.type == TarType::symlink     ? " as a symbolic link"
                                          : member.type == TarType::hard_link ? " as a hard link to no file before it"
                                                                              : " as something that is no file") +
                                         "; pack it again, with tar's --dereference");
    if (member.type == TarType::symlink)
        links.insert(member.path);
}

} // namespace

ArchiveMembers read_archive_members(const fs::path& file, const OperationContext& operation) {
    auto fd = std::make_shared<UniqueFd>(open_read(file));
    const std::uint64_t size = file_size(fd->get());
    const std::shared_ptr<const LayerContent> content =
        open_layer_content(std::make_shared<FileRange>(std::move(fd), 0, size), operation);
    ArchiveMembers members;
    Links links;
    std::optional<TarMember> last;
    TarReader reader(*content);
    while (const std::optional<TarMember> member = reader.next()) {
        operation.check_cancelled();
        refuse_way_through(links, member->path);
        if (members.size() + links.size() == kMaxMembers)
            fail(ErrorKind::limit, "the archive has more than " + std::to_string(kMaxMembers) + " files");
        links.erase(member->path);
        if (member->type != TarType::regular) {
            take_other(*member, members, links);
            continue;
        }
        // The last of a name counts, as it does when the archive is unpacked.
        if (member->extents)
            fail(ErrorKind::unsupported, "the archive stores " + quote_untrusted(member->path) +
                                             " with holes left out; pack it again without tar's --sparse");
        members[member->path] = content_range(content, member->content_offset, member->content_size);
        last = *member;
    }
    // Reading the next header tells of every other member.
    std::byte end{};
    if (last && last->content_size != 0 &&
        content->read_some_at(last->content_offset + last->content_size - 1, {&end, 1}) == 0)
        fail(ErrorKind::corrupt,
             "the archive ends in the middle of " + quote_untrusted(last->path) + ": it is truncated; get it again");
    return members;
}

std::string archive_blob_name(const Digest& digest) {
    return "blobs/sha256/" + digest.hex();
}

std::vector<BlobIdentity> reachable_blobs(std::string_view index_text, const Digest& except,
                                          const ArchiveMembers& members) {
    std::vector<BlobIdentity> blobs;
    std::set<Digest> seen{except};
    std::deque<Descriptor> pending;
    for (Descriptor& entry : parse_index(index_text).manifests)
        pending.push_back(std::move(entry));
    while (!pending.empty()) {
        const Descriptor next = std::move(pending.front());
        pending.pop_front();
        const auto member = members.find(archive_blob_name(next.digest));
        if (member == members.end() || !seen.insert(next.digest).second)
            continue;
        blobs.push_back({next.digest, next.size});
        if (is_index(next.media_type) || is_manifest(next.media_type))
            for (Descriptor& child : children_of(next, *member->second))
                pending.push_back(std::move(child));
    }
    return blobs;
}

std::string import_name(const fs::path& file) {
    std::string stem = file.filename().string();
    for (const std::string_view ending : {".gz", ".zst", ".tgz", ".tar", ".oci"})
        if (stem.ends_with(ending) && stem.size() > ending.size())
            stem.resize(stem.size() - ending.size());
    // A repository's name: letters and digits, joined by single separators.
    constexpr std::size_t longest = 128;
    std::string name;
    for (const char c : stem) {
        const bool is_upper = c >= 'A' && c <= 'Z';
        const bool is_plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (is_upper || is_plain)
            name += is_upper ? static_cast<char>(c - 'A' + 'a') : c;
        else if (!name.empty() && name.back() != '-')
            name += '-';
        if (name.size() == longest)
            break;
    }
    while (!name.empty() && name.back() == '-')
        name.pop_back();
    return "localhost/" + (name.empty() ? std::string("image") : name) + ":latest";
}

} // namespace vm2oci
