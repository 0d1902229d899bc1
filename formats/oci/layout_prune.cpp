#include "formats/oci/layout_prune.hpp"

#include "formats/base/error.hpp"
#include "formats/base/fd.hpp"
#include "formats/oci/image.hpp"
#include "formats/oci/json.hpp"
#include "formats/oci/layout_files.hpp"
#include "formats/oci/layout_index.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <deque>
#include <map>
#include <set>

namespace vm2oci {
namespace fs = std::filesystem;
namespace {

struct StoredBlob {
    std::uint64_t size = 0;
    std::chrono::seconds age{0}; // since it was written, or got its name
};

using StoredBlobs = std::map<Digest, StoredBlob>;

// Whatever else lies there is not ours to remove.
std::optional<Digest> digest_of_name(const std::string& name) {
    try {
        return Digest::parse("sha256:" + name);
    } catch (const Error&) {
        return std::nullopt;
    }
}

StoredBlobs list_blobs(const fs::path& folder, const OperationContext& operation) {
    StoredBlobs blobs;
    const std::time_t now = std::time(nullptr);
    std::error_code error;
    for (fs::directory_iterator entry(layout_blob_folder(folder), error), end; !error && entry != end;
         entry.increment(error)) {
        operation.check_cancelled();
        const auto digest = digest_of_name(entry->path().filename().string());
        struct stat status {};
        if (!digest || ::lstat(entry->path().c_str(), &status) != 0 || !S_ISREG(status.st_mode))
            continue;
        const std::time_t since = std::max(status.st_ctim.tv_sec, status.st_mtim.tv_sec);
        blobs[*digest] = {static_cast<std::uint64_t>(status.st_size), std::chrono::seconds(now - since)};
    }
    if (error && error.value() != ENOENT)
        fail(ErrorKind::io, fmt::format("{}: {}", layout_blob_folder(folder).string(), error.message()));
    return blobs;
}

// What images reach of a layout.
class Reached {
  public:
    Reached(const fs::path& folder, const OperationContext& operation) : folder_(folder), operation_(operation) {}

    bool contains(const Digest& digest) const { return seen_.contains(digest); }

    void add(const Descriptor& root) {
        std::deque<Descriptor> pending{root};
        while (!pending.empty()) {
            operation_.check_cancelled();
            const Descriptor next = std::move(pending.front());
            pending.pop_front();
            if (!seen_.insert(next.digest).second || !(is_index(next.media_type) || is_manifest(next.media_type)))
                continue;
            const auto text = read_in_layout(folder_, layout_blob_path(next.digest), kMaxManifestBytes);
            if (!text)
                fail(ErrorKind::corrupt,
                     fmt::format("the manifest {} is missing, so nobody knows what it needs", next.digest.text()));
            for (Descriptor& child : children_of(next.media_type, *text))
                pending.push_back(std::move(child));
        }
    }

  private:
    static std::vector<Descriptor> children_of(const std::string& media_type, const std::string& text) {
        if (is_index(media_type))
            return parse_index(text).manifests;
        const ImageManifest manifest = parse_manifest(text);
        std::vector<Descriptor> children = manifest.layers;
        children.push_back(manifest.config);
        return children;
    }

    const fs::path& folder_;
    const OperationContext& operation_;
    std::set<Digest> seen_;
};

// A manifest that no entry names, and what it is about.
struct Referrer {
    Descriptor manifest;
    Digest subject;
};

std::optional<Referrer> read_referrer(const fs::path& folder, const Digest& digest, std::uint64_t size) {
    if (size > kMaxManifestBytes)
        return std::nullopt;
    try {
        const auto text = read_in_layout(folder, layout_blob_path(digest), kMaxManifestBytes);
        if (!text || !text->starts_with('{'))
            return std::nullopt;
        const ImageManifest manifest = parse_manifest(*text);
        if (!manifest.subject)
            return std::nullopt;
        return Referrer{{.media_type = std::string(media_type::oci_manifest), .digest = digest, .size = size},
                        manifest.subject->digest};
    } catch (const Error&) {
        return std::nullopt; // no manifest
    }
}

// Signatures and such of what is reached, and of these in turn.
void add_referrers(const fs::path& folder, const StoredBlobs& blobs, Reached& reached) {
    std::vector<Referrer> referrers;
    for (const auto& [digest, blob] : blobs)
        if (!reached.contains(digest))
            if (auto referrer = read_referrer(folder, digest, blob.size))
                referrers.push_back(*std::move(referrer));
    for (bool again = true; again;) {
        again = false;
        for (const Referrer& referrer : referrers)
            if (reached.contains(referrer.subject) && !reached.contains(referrer.manifest.digest)) {
                reached.add(referrer.manifest);
                again = true;
            }
    }
}

} // namespace

PruneReport prune_layout(const fs::path& folder, const PruneOptions& options, const OperationContext& operation) {
    check_layout(folder);
    const LayoutLock lock(folder);
    return with_context(folder.string(), [&] {
        const auto index = read_in_layout(folder, "index.json", kMaxManifestBytes);
        if (!index)
            fail(ErrorKind::corrupt, "the layout has no index.json");
        Reached reached(folder, operation);
        for (const Descriptor& entry : parse_index(*index).manifests)
            reached.add(entry);
        const StoredBlobs blobs = list_blobs(folder, operation);
        add_referrers(folder, blobs, reached);

        PruneReport report;
        for (const auto& [digest, blob] : blobs) {
            if (reached.contains(digest)) {
                ++report.kept;
                report.kept_bytes += blob.size;
            } else if (blob.age < options.least_age) {
                ++report.young;
            } else {
                if (options.mode == PruneMode::remove && ::unlink((folder / layout_blob_path(digest)).c_str()) != 0 &&
                    errno != ENOENT)
                    fail_errno("cannot remove the blob " + digest.text(), errno);
                report.removed.push_back({digest, blob.size});
                report.removed_bytes += blob.size;
            }
        }
        if (options.mode == PruneMode::remove) {
            collect_stale_files(folder);
            collect_stale_files(layout_blob_folder(folder));
        }
        return report;
    });
}

} // namespace vm2oci
