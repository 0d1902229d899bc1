#include "formats/oci/layout.hpp"

#include "formats/base/error.hpp"
#include "formats/base/fd.hpp"
#include "formats/base/output_file.hpp"
#include "formats/oci/json.hpp"
#include "formats/oci/layout_files.hpp"
#include "formats/oci/layout_index.hpp"
#include "formats/oci/stored_blob.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <map>
#include <mutex>
#include <string_view>
#include <vector>

namespace vm2oci {
namespace fs = std::filesystem;
namespace {

// What file systems and desktops put into a folder that is empty to its owner.
constexpr std::array<std::string_view, 5> kNobodysNames = {"lost+found", ".DS_Store", ".Trash-0", ".snapshot",
                                                           "System Volume Information"};

// True if nothing is there that a new layout does not have. What a killed run leaves counts as a layout.
bool looks_like_layout(const fs::path& folder) {
    std::error_code error;
    for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
        const std::string name = entry->path().filename().string();
        const bool is_nobodys = std::ranges::find(kNobodysNames, name) != kNobodysNames.end();
        if (name != "oci-layout" && name != "index.json" && name != "blobs" && !name.starts_with(".vm2oci-") &&
            !is_nobodys)
            return false;
    }
    if (error)
        fail_errno("cannot read the folder " + folder.string(), error.value());
    return true;
}

void write_file(const fs::path& folder, const fs::path& name, std::string_view text) {
    TemporaryFile file(folder);
    write_exactly(file.fd(), as_bytes(text));
    file.publish(folder / name, keep_status(folder / name, file.fd()));
}

void write_file_unless_there(const fs::path& folder, const fs::path& name, std::string_view text) {
    if (fs::exists(fs::symlink_status(folder / name)))
        return;
    TemporaryFile file(folder);
    write_exactly(file.fd(), as_bytes(text));
    file.publish_new(folder / name);
}

} // namespace

class OciLayoutDestination::State {
  public:
    State(const fs::path& folder, std::optional<std::string> tag, OperationContext operation)
        : folder_(folder.empty() ? fs::path() : resolve_folder(folder)), tag_(std::move(tag)), operation_(operation) {
        if (folder_.empty())
            fail(ErrorKind::usage, "an OCI layout needs a folder: oci:FOLDER[:TAG]");
        const fs::file_status status = fs::status(folder_);
        if (!fs::exists(status))
            return;
        if (!fs::is_directory(status))
            fail(ErrorKind::conflict, folder_.string() + " is not a folder; name another one for the OCI layout");
        if (fs::exists(fs::symlink_status(folder_ / "oci-layout")))
            check_layout(folder_);
        else if (!looks_like_layout(folder_))
            fail(ErrorKind::conflict,
                 folder_.string() + " holds something else than an OCI layout; name an empty or a new folder");
        // Refused now, before hours of work.
        with_context(folder_.string(), [&] { layout_index_with(current_index(), likely_entry(), tag_); });
    }

    ~State() {
        // Only folders that this object made and that are empty: nothing of anybody else can be lost.
        for (auto made = made_folders_.rbegin(); made != made_folders_.rend(); ++made)
            ::rmdir(made->c_str());
    }

    State(const State&) = delete;
    State& operator=(const State&) = delete;

    TemporaryFile new_file() {
        const std::lock_guard lock(mutex_);
        make_folders(layout_blob_folder(folder_));
        return TemporaryFile(layout_blob_folder(folder_));
    }

    bool has(const BlobIdentity& blob) {
        {
            const std::lock_guard lock(mutex_);
            const auto whole = whole_.find(blob.digest);
            if (staged_.contains(blob.digest) || (whole != whole_.end() && whole->second == blob.size))
                return true;
        }
        if (!is_stored_whole(blob))
            return false;
        const std::lock_guard lock(mutex_);
        whole_[blob.digest] = blob.size;
        return true;
    }

    void stage(const BlobIdentity& blob, TemporaryFile file) {
        if (has(blob))
            return;
        const std::lock_guard lock(mutex_);
        staged_.try_emplace(blob.digest, std::move(file));
    }

    std::shared_ptr<const BlockDevice> open(const Descriptor& blob) {
        const std::lock_guard lock(mutex_);
        if (const auto staged = staged_.find(blob.digest); staged != staged_.end())
            return duplicate_range(staged->second.fd(), 0, blob.size);
        auto stored = std::make_shared<UniqueFd>(open_in_layout(folder_, layout_blob_path(blob.digest)));
        return *stored ? std::make_shared<FileRange>(std::move(stored), 0, blob.size) : nullptr;
    }

    void publish(const Descriptor& top, const std::vector<TaggedImage>& others) {
        const std::lock_guard lock(mutex_);
        make_folders(layout_blob_folder(folder_));
        collect_stale_files(folder_);
        collect_stale_files(layout_blob_folder(folder_));
        // What prunes a layout sees blobs and the index that names them together, or none of them. In a new one there
        // is nothing to lock yet, and nothing to prune.
        std::optional<LayoutLock> layout_lock;
        if (fs::exists(fs::symlink_status(folder_ / "oci-layout")))
            layout_lock.emplace(folder_);
        require_stored_blobs();
        // A full disk shows here, before anything has become visible.
        for (auto& [digest, file] : staged_)
            if (::fsync(file.fd()) != 0)
                fail_errno("cannot write " + (folder_ / layout_blob_path(digest)).string(), errno);
        while (!staged_.empty()) {
            const auto first = staged_.begin();
            const fs::path path = folder_ / layout_blob_path(first->first);
            first->second.publish(path, keep_status(path, first->second.fd())); // where a damaged one lies
            staged_.erase(first);
        }
        // index.json first: a folder with oci-layout and without index.json would be a broken layout.
        write_file_unless_there(folder_, "index.json", empty_layout_index());
        write_file_unless_there(folder_, "oci-layout", kLayoutFileText);
        if (!layout_lock)
            layout_lock.emplace(folder_);
        const std::string old_index = current_index();
        std::string new_index = layout_index_with(old_index, top, tag_);
        for (const TaggedImage& other : others)
            new_index = layout_index_with(new_index, other.top, other.tag);
        if (new_index != old_index)
            write_file(folder_, "index.json", new_index);
        made_folders_.clear();
    }

  private:
    bool is_stored_whole(const BlobIdentity& blob) const {
        const fs::path path = folder_ / layout_blob_path(blob.digest);
        struct stat status {};
        if (::lstat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode) ||
            static_cast<std::uint64_t>(status.st_size) != blob.size)
            return false;
        try {
            auto file = std::make_shared<UniqueFd>(open_in_layout(folder_, layout_blob_path(blob.digest)));
            if (!*file)
                return false;
            // Its time of change becomes now: what prunes the layout leaves it alone for a while.
            ::fchmod(file->get(), status.st_mode & 07777U);
            return is_whole_blob(FileRange(std::move(file), 0, blob.size), blob, operation_);
        } catch (const Error& error) {
            if (error.kind() == ErrorKind::cancelled)
                throw;
            return false; // it cannot be read: another takes its place
        }
    }

    // What counted as there may have been pruned meanwhile, if it took long.
    void require_stored_blobs() const {
        for (const auto& [digest, size] : whole_)
            if (!fs::exists(fs::symlink_status(folder_ / layout_blob_path(digest))))
                fail(ErrorKind::conflict,
                     fmt::format("{}: the blob {} was removed from the layout meanwhile; begin again", folder_.string(),
                                 digest.text()));
    }

    std::string current_index() const {
        return read_in_layout(folder_, "index.json", kMaxManifestBytes).value_or(empty_layout_index());
    }

    void make_folders(const fs::path& path) {
        if (fs::is_directory(fs::symlink_status(path)))
            return;
        if (path.has_parent_path() && path.parent_path() != path)
            if (const fs::path parent = path.parent_path(); !fs::is_directory(fs::status(parent)))
                make_folders(parent);
        if (::mkdir(path.c_str(), 0777) != 0) {
            if (errno == EEXIST && fs::is_directory(fs::symlink_status(path)))
                return; // somebody else was faster
            if (errno == EEXIST && fs::is_symlink(fs::symlink_status(path)))
                fail(ErrorKind::unsafe, path.string() + " is a link, which a layout may not have");
            fail_errno("cannot make the folder " + path.string(), errno);
        }
        made_folders_.push_back(path);
    }

    const fs::path folder_;
    const std::optional<std::string> tag_;
    const OperationContext operation_;
    std::mutex mutex_; // guards what follows
    std::map<Digest, TemporaryFile> staged_;
    std::map<Digest, std::uint64_t> whole_; // sizes of stored blobs that have been read
    std::vector<fs::path> made_folders_;    // parents before children
};

namespace {

// Hashes on the way into a file that has no name yet.
template <class State>
class FileBlobWriter final : public BlobWriter {
  public:
    explicit FileBlobWriter(std::shared_ptr<State> state) : state_(std::move(state)), file_(state_->new_file()) {}

    void write(std::span<const std::byte> bytes) override {
        write_exactly(file_.fd(), bytes);
        hash_.update(bytes);
        size_ += bytes.size();
    }

    BlobIdentity commit() override {
        BlobIdentity blob{Digest(hash_.finish()), size_};
        state_->stage(blob, std::move(file_));
        return blob;
    }

  private:
    std::shared_ptr<State> state_;
    TemporaryFile file_;
    Sha256 hash_;
    std::uint64_t size_ = 0;
};

} // namespace

OciLayoutDestination::OciLayoutDestination(const fs::path& folder, std::optional<std::string> tag,
                                           OperationContext operation)
    : state_(std::make_shared<State>(folder, std::move(tag), operation)) {}

OciLayoutDestination::~OciLayoutDestination() = default;

DestinationTraits OciLayoutDestination::traits() const {
    return {};
}

bool OciLayoutDestination::has_blob(const Descriptor& blob) {
    return state_->has({blob.digest, blob.size});
}

std::unique_ptr<BlobWriter> OciLayoutDestination::begin_blob(const std::optional<Descriptor>& /*expected*/) {
    return std::make_unique<FileBlobWriter<State>>(state_);
}

Descriptor OciLayoutDestination::put_manifest(const std::string& bytes, const std::string& media_type) {
    const std::unique_ptr<BlobWriter> writer = begin_blob(std::nullopt);
    writer->write(as_bytes(bytes));
    const BlobIdentity blob = writer->commit();
    return {.media_type = media_type, .digest = blob.digest, .size = blob.size};
}

std::shared_ptr<const BlockDevice> OciLayoutDestination::open_written(const Descriptor& blob) {
    return state_->open(blob);
}

void OciLayoutDestination::publish(const Descriptor& top) {
    state_->publish(top, {});
}

void OciLayoutDestination::publish_together(const Descriptor& top, const std::vector<TaggedImage>& others) {
    state_->publish(top, others);
}

OciLayoutSource::OciLayoutSource(fs::path folder, std::optional<std::string> tag)
    : folder_(std::move(folder)), tag_(std::move(tag)) {
    check_layout(folder_);
}

std::string OciLayoutSource::index_text() const {
    const std::optional<std::string> index = read_in_layout(folder_, "index.json", kMaxManifestBytes);
    if (!index)
        fail(ErrorKind::corrupt, "the layout has no index.json");
    return *index;
}

Descriptor OciLayoutSource::resolve() {
    return with_context(folder_.string(), [&] { return find_in_layout_index(index_text(), tag_, "the layout"); });
}

std::vector<Descriptor> OciLayoutSource::images() {
    return with_context(folder_.string(), [&] { return images_in_layout_index(index_text(), tag_, "the layout"); });
}

std::string OciLayoutSource::read_manifest(const Descriptor& manifest) {
    return with_context(folder_.string(), [&] {
        if (std::string platforms = platform_index(index_text(), tag_);
            !platforms.empty() && Digest::of(platforms) == manifest.digest)
            return platforms;
        return read_manifest_blob(*open_blob(manifest), manifest);
    });
}

std::shared_ptr<const BlockDevice> OciLayoutSource::open_blob(const Descriptor& blob) {
    auto file = std::make_shared<UniqueFd>(open_in_layout(folder_, layout_blob_path(blob.digest)));
    if (!*file)
        fail(ErrorKind::not_found, "the layout " + folder_.string() + " has no blob " + blob.digest.text());
    const std::uint64_t size = file_size(file->get());
    return std::make_shared<FileRange>(std::move(file), 0, size);
}

} // namespace vm2oci
