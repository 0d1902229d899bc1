#include "libconvert/guest/mounted_guest.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "libconvert/guest/tree_walk.hpp"

#include <algorithm>

namespace vm2oci {
namespace {

constexpr std::size_t kPathLimit = 4096; // PATH_MAX of Linux, also for what links expand to

// The parts of a path, last one first, so that the next is taken from the back.
std::vector<std::string> split_reversed(std::string_view path) {
    std::vector<std::string> parts;
    while (!path.empty()) {
        const std::size_t slash = path.rfind('/');
        const std::string_view part = slash == std::string_view::npos ? path : path.substr(slash + 1);
        if (!part.empty() && part != ".")
            parts.emplace_back(part);
        path = slash == std::string_view::npos ? std::string_view() : path.substr(0, slash);
    }
    return parts;
}

} // namespace

MountedGuest::MountedGuest(std::vector<MountedFileSystem> file_systems, std::vector<MissingMount> missing)
    : file_systems_(std::move(file_systems)), missing_(std::move(missing)) {
    if (file_systems_.empty() || file_systems_.front().mount.mount_point != "/")
        fail(ErrorKind::not_found, "the guest has no root file system");
}

std::optional<std::size_t> MountedGuest::mount_on(std::string_view canonical) const {
    // The last one hides those before it, as with mount(8).
    for (std::size_t i = file_systems_.size(); i-- > 0;)
        if (file_systems_[i].mount.mount_point == canonical)
            return i;
    return std::nullopt;
}

std::optional<ResolvedPath> MountedGuest::resolve(std::string_view path, FinalLink final_link) const {
    if (path.size() > kPathLimit)
        fail(ErrorKind::limit, "a path is longer than Linux allows");
    const ResolvedPath root{0, file_systems_.front().root(), "/"};
    std::vector<ResolvedPath> trail{root};
    std::vector<std::string> pending = split_reversed(path);
    unsigned links = 0;
    while (!pending.empty()) {
        const std::string name = std::move(pending.back());
        pending.pop_back();
        if (name == "..") {
            if (trail.size() > 1)
                trail.pop_back();
            continue;
        }
        const ResolvedPath& folder = trail.back();
        const FileSystem& inside = file_system(folder.mount);
        if (inside.status(folder.node).type != FileType::directory)
            return std::nullopt;
        const std::optional<NodeId> node = inside.lookup(folder.node, name);
        if (!node)
            return std::nullopt;
        ResolvedPath next{folder.mount, *node, (folder.canonical == "/" ? "" : folder.canonical) + "/" + name};
        if (inside.status(*node).type == FileType::symlink && (final_link == FinalLink::follow || !pending.empty())) {
            if (++links > kLinkLimit)
                fail(ErrorKind::unsafe, "too many symbolic links in " + quote_untrusted(path));
            const std::string target = inside.read_link(*node);
            if (target.empty()) // as only a damaged disk has it; Linux finds nothing behind it
                return std::nullopt;
            std::vector<std::string> parts = split_reversed(target);
            pending.insert(pending.end(), std::make_move_iterator(parts.begin()), std::make_move_iterator(parts.end()));
            if (pending.size() > kPathLimit)
                fail(ErrorKind::unsafe, "symbolic links expand without end in " + quote_untrusted(path));
            if (target.front() == '/')
                trail.resize(1, root);
            continue;
        }
        if (const std::optional<std::size_t> mount = mount_on(next.canonical); mount && *mount != folder.mount) {
            next.mount = *mount;
            next.node = file_systems_[*mount].root();
        }
        trail.push_back(std::move(next));
    }
    return trail.back();
}

std::optional<FileStatus> MountedGuest::status(std::string_view path, FinalLink final_link) const {
    const std::optional<ResolvedPath> found = resolve(path, final_link);
    if (!found)
        return std::nullopt;
    return file_system(found->mount).status(found->node);
}

std::optional<std::vector<std::string>> MountedGuest::list(std::string_view path) const {
    const std::optional<ResolvedPath> found = resolve(path, FinalLink::follow);
    if (!found || file_system(found->mount).status(found->node).type != FileType::directory)
        return std::nullopt;
    std::vector<std::string> names;
    for (DirectoryEntry& entry : file_system(found->mount).list(found->node))
        names.push_back(std::move(entry.name));
    return names;
}

std::optional<std::string> MountedGuest::read_file(std::string_view path, std::size_t limit) const {
    const std::optional<ResolvedPath> found = resolve(path, FinalLink::follow);
    if (!found)
        return std::nullopt;
    const FileSystem& inside = file_system(found->mount);
    const FileStatus status = inside.status(found->node);
    if (status.type != FileType::regular)
        return std::nullopt;
    if (status.size > limit)
        fail(ErrorKind::limit, quote_untrusted(path) + " in the guest is larger than such a file ever is");
    std::string text(static_cast<std::size_t>(status.size), '\0');
    if (!text.empty())
        with_context("reading " + quote_untrusted(path) + " in the guest",
                     [&] { inside.read_at(found->node, 0, std::as_writable_bytes(std::span(text))); });
    return text;
}

std::optional<std::string> MountedGuest::read_range(std::string_view path, std::uint64_t offset,
                                                    std::size_t length) const {
    const std::optional<ResolvedPath> found = resolve(path, FinalLink::follow);
    if (!found)
        return std::nullopt;
    const FileSystem& inside = file_system(found->mount);
    const FileStatus status = inside.status(found->node);
    if (status.type != FileType::regular)
        return std::nullopt;
    if (offset >= status.size)
        return std::string();
    std::string text(static_cast<std::size_t>(std::min<std::uint64_t>(length, status.size - offset)), '\0');
    with_context("reading " + quote_untrusted(path) + " in the guest",
                 [&] { inside.read_at(found->node, offset, std::as_writable_bytes(std::span(text))); });
    return text;
}

std::optional<std::string> MountedGuest::read_link(std::string_view path) const {
    const std::optional<ResolvedPath> found = resolve(path, FinalLink::keep);
    if (!found || file_system(found->mount).status(found->node).type != FileType::symlink)
        return std::nullopt;
    return file_system(found->mount).read_link(found->node);
}

std::vector<ExtendedAttribute> MountedGuest::attributes(std::string_view path) const {
    const std::optional<ResolvedPath> found = resolve(path, FinalLink::keep);
    if (!found)
        return {};
    return file_system(found->mount).attributes(found->node);
}

void MountedGuest::export_tree(const ExportOptions& options, TreeSink& sink, const OperationContext& operation) const {
    std::vector<TreeMount> mounts;
    mounts.reserve(file_systems_.size());
    for (const MountedFileSystem& mounted : file_systems_)
        mounts.push_back({mounted.mount.mount_point, mounted.file_system.get(), mounted.root(), mounted.not_exported});
    walk_tree(mounts, options, sink, operation);
}

std::vector<GuestMount> MountedGuest::mounts() const {
    std::vector<GuestMount> mounts;
    mounts.reserve(file_systems_.size());
    for (const MountedFileSystem& mounted : file_systems_)
        mounts.push_back(mounted.mount);
    return mounts;
}

} // namespace vm2oci
