#include "formats/oci/archive.hpp"

#include "formats/base/error.hpp"
#include "formats/base/fd.hpp"
#include "formats/base/folder_lock.hpp"
#include "formats/base/output_file.hpp"
#include "formats/base/size.hpp"
#include "formats/oci/json.hpp"
#include "formats/oci/layout_index.hpp"
#include "formats/oci/stored_blob.hpp"
#include "formats/tree/tar.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <deque>
#include <mutex>
#include <set>
#include <vector>

namespace vm2oci {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kCopyStep = 1 * MiB;

Entry folder_entry(std::string path) {
    Entry entry;
    entry.path = std::move(path);
    entry.status.type = FileType::directory;
    entry.status.permissions = 0755;
    return entry;
}

Entry file_entry(std::string path, std::uint64_t size) {
    Entry entry;
    entry.path = std::move(path);
    entry.status.permissions = 0644;
    entry.status.size = size;
    return entry;
}

// An archive as it was found.
struct FoundArchive {
    ArchiveMembers members;
    std::string index_text = empty_layout_index();
};

// Which file a name stands for, and in which state.
struct FileIdentity {
    bool exists = false;
    dev_t device = 0;
    ino_t inode = 0;
    off_t size = 0;
    std::int64_t seconds = 0;
    std::int64_t nanoseconds = 0;
    bool operator==(const FileIdentity&) const = default;
};

FileIdentity identify_file(const fs::path& file) {
    struct stat status {};
    if (::stat(file.c_str(), &status) != 0)
        return {};
    return {true, status.st_dev, status.st_ino, status.st_size, status.st_mtim.tv_sec, status.st_mtim.tv_nsec};
}

FoundArchive find_archive(const fs::path& file, const OperationContext& operation) {
    const fs::file_status status = fs::status(file);
    if (!fs::exists(status) || (fs::is_regular_file(status) && fs::file_size(file) == 0))
        return {};
    if (!fs::is_regular_file(status))
        fail(ErrorKind::unsupported, file.string() + " is no regular file; name another one for the archive");
    FoundArchive found;
    try {
        found.members = read_archive_members(file, operation);
    } catch (const Error& error) {
        if (error.kind() == ErrorKind::cancelled)
            throw;
        found.members.clear();
    }
    if (!found.members.contains("oci-layout"))
        fail(ErrorKind::conflict, file.string() + " is there and is no OCI archive; remove it or name another file");
    const auto index = found.members.find("index.json");
    if (index == found.members.end())
        fail(ErrorKind::conflict, file.string() +
                                      " is there and is a damaged OCI archive: it has no index.json, so "
                                      "that what else it holds would be lost; remove it or name another file");
    found.index_text = read_small_file(*index->second, file.string() + ", index.json");
    return found;
}

} // namespace

class OciArchiveDestination::State {
  public:
    // A blob from begin_blob() to its place in the archive.
    struct Slot {
        UniqueFd scratch; // empty: it is written to the archive itself
        bool finished = false;
        std::optional<BlobIdentity> blob; // of a finished slot; none: dropped
    };

    State(fs::path file, std::optional<std::string> tag, const OperationContext& operation)
        : file_(std::move(file)), tag_(std::move(tag)), operation_(operation) {
        if (file_.empty())
            fail(ErrorKind::usage, "an OCI archive needs a file: oci-archive:FILE[:TAG]");
        identity_ = identify_file(file_);
        found_ = find_archive(file_, operation_);
        // Refused now, before hours of work.
        with_context(file_.string(), [&] { layout_index_with(found_.index_text, likely_entry(), tag_); });
    }

    std::shared_ptr<Slot> begin() {
        const std::lock_guard lock(mutex_);
        open_archive();
        auto slot = std::make_shared<Slot>();
        if (!slots_.empty())
            slot->scratch = scratch_file(folder());
        slots_.push_back(slot);
        return slot;
    }

    // From the slot's own writer only, so that contents need no lock.
    void write(const Slot& slot, std::uint64_t offset, std::span<const std::byte> bytes) {
        if (slot.scratch)
            write_exactly_at(slot.scratch.get(), offset, bytes);
        else
            write_exactly_at(archive_->fd(), end_ + kTarBlock + offset, bytes);
    }

    void finish(Slot& slot, std::optional<BlobIdentity> blob) {
        const std::lock_guard lock(mutex_);
        slot.blob = std::move(blob);
        slot.finished = true;
        if (slot.blob)
            known_.insert(slot.blob->digest);
        while (!slots_.empty() && slots_.front()->finished) {
            place(*slots_.front());
            slots_.pop_front();
        }
    }

    bool has(const BlobIdentity& blob) {
        {
            const std::lock_guard lock(mutex_);
            if (known_.contains(blob.digest))
                return true;
        }
        const auto member = found_.members.find(archive_blob_name(blob.digest));
        if (member == found_.members.end() || !is_readable_whole(*member->second, blob))
            return false;
        const std::lock_guard lock(mutex_);
        if (known_.insert(blob.digest).second)
            kept_.push_back(blob);
        return true;
    }

    std::shared_ptr<const BlockDevice> open(const Descriptor& blob) {
        const std::lock_guard lock(mutex_);
        const auto placed = placed_.find(blob.digest);
        return placed == placed_.end() || !archive_ ? nullptr
                                                    : duplicate_range(archive_->fd(), placed->second, blob.size);
    }

    void publish(const Descriptor& top, const std::vector<TaggedImage>& others) {
        const std::lock_guard lock(mutex_);
        if (published_)
            fail(ErrorKind::usage, file_.string() + " has been published; an archive is written once");
        if (!slots_.empty())
            fail(ErrorKind::usage, "a blob of " + file_.string() + " is still being written");
        open_archive();
        for (const BlobIdentity& blob : kept_)
            append_member(found_, blob);
        while (!publish_beside(top, others))
            operation_.check_cancelled();
        published_ = true;
    }

  private:
    bool is_readable_whole(const BlockDevice& content, const BlobIdentity& blob) const {
        try {
            return is_whole_blob(content, blob, operation_);
        } catch (const Error& error) {
            if (error.kind() == ErrorKind::cancelled)
                throw;
            return false;
        }
    }

    // Takes over the images of the archive that is there, and its place. False: another one has got there meanwhile.
    bool publish_beside(const Descriptor& top, const std::vector<TaggedImage>& others) {
        const FileIdentity before = identify_file(file_);
        const FoundArchive current = before == identity_ ? found_ : find_archive(file_, operation_);
        Descriptor entry = top;
        if (!tag_)
            entry.annotations[kContainerdNameAnnotation] = import_name(file_);
        std::string index = layout_index_with(current.index_text, entry, tag_);
        for (const TaggedImage& other : others)
            index = layout_index_with(index, other.top, other.tag);
        with_context(file_.string() + ", an image of another tag", [&] {
            for (const BlobIdentity& blob : reachable_blobs(index, top.digest, current.members))
                append_member(current, blob);
        });
        const std::uint64_t end_of_blobs = end_;
        append_file("index.json", index);
        append(std::string(kTarEndSize, '\0'));
        // Slow things first: others wait for the lock.
        if (::ftruncate(archive_->fd(), static_cast<off_t>(end_)) != 0 || ::fsync(archive_->fd()) != 0)
            fail_errno("cannot write " + file_.string(), errno);
        const FolderLock lock(folder(), operation_);
        if (identify_file(file_) != before) {
            end_ = end_of_blobs;
            return false;
        }
        archive_->publish();
        return true;
    }

    void append_member(const FoundArchive& found, const BlobIdentity& blob) {
        if (placed_.contains(blob.digest))
            return;
        const BlockDevice& content = *found.members.at(archive_blob_name(blob.digest));
        if (content.size() != blob.size)
            fail(ErrorKind::corrupt, blob.digest.text() + " has another size than its descriptor says");
        append(tar_header(file_entry(archive_blob_name(blob.digest), blob.size), {}, TarSizes::base256));
        placed_.emplace(blob.digest, end_);
        std::vector<std::byte> buffer(kCopyStep);
        Sha256 hash;
        for (std::uint64_t offset = 0; offset < blob.size; offset += buffer.size()) {
            operation_.check_cancelled();
            const std::span<std::byte> step = std::span(buffer).first(
                static_cast<std::size_t>(std::min<std::uint64_t>(blob.size - offset, kCopyStep)));
            content.read_at(offset, step);
            hash.update(step);
            append(as_text(step));
        }
        if (Digest(hash.finish()) != blob.digest)
            fail(ErrorKind::corrupt, blob.digest.text() + " is damaged; remove the archive or name another file");
        append(std::string(tar_padding(blob.size), '\0'));
    }

    fs::path folder() const {
        const fs::path target = resolve_output(file_);
        return target.has_parent_path() ? target.parent_path() : fs::path(".");
    }

    void open_archive() {
        if (published_)
            fail(ErrorKind::usage, file_.string() + " has been published; an archive is written once");
        if (archive_)
            return;
        archive_ = std::make_unique<OutputFile>(file_);
        append_file("oci-layout", kLayoutFileText);
        append(tar_header(folder_entry("blobs")));
        append(tar_header(folder_entry("blobs/sha256")));
    }

    void append(std::string_view bytes) {
        write_exactly_at(archive_->fd(), end_, as_bytes(bytes));
        end_ += bytes.size();
    }

    void append_file(const std::string& name, std::string_view text) {
        append(tar_header(file_entry(name, text.size())));
        append(text);
        append(std::string(tar_padding(text.size()), '\0'));
    }

    // The first slot, finished: its content gets its header, or its space is given back.
    void place(Slot& slot) {
        if (!slot.blob || placed_.contains(slot.blob->digest)) {
            if (!slot.scratch && ::ftruncate(archive_->fd(), static_cast<off_t>(end_)) != 0)
                fail_errno("cannot write " + file_.string(), errno);
            return;
        }
        const std::uint64_t size = slot.blob->size;
        if (slot.scratch)
            copy_content(slot.scratch.get(), size);
        // One block, whatever the size: the content stands behind it already.
        append(tar_header(file_entry(archive_blob_name(slot.blob->digest), size), {}, TarSizes::base256));
        placed_.emplace(slot.blob->digest, end_);
        end_ += size;
        append(std::string(tar_padding(size), '\0'));
        slot.scratch.reset();
    }

    void copy_content(int from, std::uint64_t size) {
        std::vector<std::byte> buffer(kCopyStep);
        for (std::uint64_t offset = 0; offset < size; offset += buffer.size()) {
            const std::span<std::byte> step =
                std::span(buffer).first(static_cast<std::size_t>(std::min<std::uint64_t>(size - offset, kCopyStep)));
            read_exactly_at(from, offset, step);
            write_exactly_at(archive_->fd(), end_ + kTarBlock + offset, step);
        }
    }

    const fs::path file_;
    const std::optional<std::string> tag_;
    const OperationContext operation_;
    FileIdentity identity_; // of what was found
    FoundArchive found_;
    std::mutex mutex_; // guards what follows
    std::unique_ptr<OutputFile> archive_;
    std::uint64_t end_ = 0; // of what is placed; moves only while no slot writes to the archive itself
    std::deque<std::shared_ptr<Slot>> slots_;
    std::set<Digest> known_;                 // committed, or found and whole
    std::vector<BlobIdentity> kept_;         // found and whole
    std::map<Digest, std::uint64_t> placed_; // where the content lies in the archive
    bool published_ = false;
};

namespace {

template <class State>
class ArchiveBlobWriter final : public BlobWriter {
  public:
    explicit ArchiveBlobWriter(std::shared_ptr<State> state) : state_(std::move(state)), slot_(state_->begin()) {}
    ~ArchiveBlobWriter() override {
        try {
            if (!slot_->finished)
                state_->finish(*slot_, std::nullopt);
        } catch (const Error&) {
            // The archive is not published then either: the next write or publish() meets the same broken disk.
        }
    }

    void write(std::span<const std::byte> bytes) override {
        state_->write(*slot_, size_, bytes);
        hash_.update(bytes);
        size_ += bytes.size();
    }

    BlobIdentity commit() override {
        BlobIdentity blob{Digest(hash_.finish()), size_};
        state_->finish(*slot_, blob);
        return blob;
    }

  private:
    std::shared_ptr<State> state_;
    std::shared_ptr<typename State::Slot> slot_;
    Sha256 hash_;
    std::uint64_t size_ = 0;
};

} // namespace

OciArchiveDestination::OciArchiveDestination(fs::path file, std::optional<std::string> tag,
                                             const OperationContext& operation)
    : state_(std::make_shared<State>(std::move(file), std::move(tag), operation)) {}

OciArchiveDestination::~OciArchiveDestination() = default;

DestinationTraits OciArchiveDestination::traits() const {
    return {.one_blob_at_a_time = true};
}

bool OciArchiveDestination::has_blob(const Descriptor& blob) {
    return state_->has({blob.digest, blob.size});
}

std::unique_ptr<BlobWriter> OciArchiveDestination::begin_blob(const std::optional<Descriptor>& /*expected*/) {
    return std::make_unique<ArchiveBlobWriter<State>>(state_);
}

Descriptor OciArchiveDestination::put_manifest(const std::string& bytes, const std::string& media_type) {
    const std::unique_ptr<BlobWriter> writer = begin_blob(std::nullopt);
    writer->write(as_bytes(bytes));
    const BlobIdentity blob = writer->commit();
    return {.media_type = media_type, .digest = blob.digest, .size = blob.size};
}

std::shared_ptr<const BlockDevice> OciArchiveDestination::open_written(const Descriptor& blob) {
    return state_->open(blob);
}

void OciArchiveDestination::publish(const Descriptor& top) {
    state_->publish(top, {});
}

void OciArchiveDestination::publish_together(const Descriptor& top, const std::vector<TaggedImage>& others) {
    state_->publish(top, others);
}

OciArchiveSource::OciArchiveSource(const fs::path& file, std::optional<std::string> tag,
                                   const OperationContext& operation)
    : name_(file.string()), tag_(std::move(tag)) {
    with_context(name_, [&] {
        members_ = read_archive_members(file, operation);
        const auto layout = members_.find("oci-layout");
        if (layout == members_.end() && members_.contains("manifest.json"))
            fail(ErrorKind::unsupported, "this is an archive of docker save; skopeo makes a layout of it: skopeo copy "
                                         "docker-archive:FILE oci:DIR:TAG");
        if (layout == members_.end())
            fail(ErrorKind::not_found, "no OCI archive: there is no oci-layout in it");
        check_layout_file(read_small_file(*layout->second, "oci-layout"));
    });
}

std::string OciArchiveSource::index_text() const {
    const auto index = members_.find("index.json");
    if (index == members_.end())
        fail(ErrorKind::corrupt, "the archive has no index.json");
    return read_small_file(*index->second, "index.json");
}

Descriptor OciArchiveSource::resolve() {
    return with_context(name_, [&] { return find_in_layout_index(index_text(), tag_, "the archive"); });
}

std::vector<Descriptor> OciArchiveSource::images() {
    return with_context(name_, [&] { return images_in_layout_index(index_text(), tag_, "the archive"); });
}

std::string OciArchiveSource::read_manifest(const Descriptor& manifest) {
    return with_context(name_, [&] {
        if (std::string platforms = platform_index(index_text(), tag_);
            !platforms.empty() && Digest::of(platforms) == manifest.digest)
            return platforms;
        return read_manifest_blob(*open_blob(manifest), manifest);
    });
}

std::shared_ptr<const BlockDevice> OciArchiveSource::open_blob(const Descriptor& blob) {
    const auto found = members_.find(archive_blob_name(blob.digest));
    if (found == members_.end())
        fail(ErrorKind::not_found, "the archive " + name_ + " has no blob " + blob.digest.text());
    return found->second;
}

} // namespace vm2oci
