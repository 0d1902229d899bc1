#include "formats/oci/archive.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/base/fd.hpp"
#include "formats/base/output_file.hpp"
#include "formats/codec/layer_content.hpp"
#include "formats/oci/json.hpp"
#include "formats/oci/layout_index.hpp"
#include "formats/oci/stored_blob.hpp"
#include "formats/tree/tar.hpp"
#include "formats/tree/tar_reader.hpp"

#include <fcntl.h>
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

constexpr std::size_t kMaxMembers = 100'000; // blobs of some thousand images; bounds the memory
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

std::string blob_name(const Digest& digest) {
    return "blobs/sha256/" + digest.hex();
}

std::map<std::string, std::shared_ptr<const BlockDevice>> read_members(const fs::path& file,
                                                                       const OperationContext& operation) {
    auto fd = std::make_shared<UniqueFd>(open_read(file));
    const std::uint64_t size = file_size(fd->get());
    const std::shared_ptr<const LayerContent> content =
        open_layer_content(std::make_shared<FileStretch>(std::move(fd), 0, size), operation);
    std::map<std::string, std::shared_ptr<const BlockDevice>> members;
    TarReader reader(*content);
    while (const std::optional<TarMember> member = reader.next()) {
        operation.check_cancelled();
        if (member->type != TarType::regular)
            continue;
        if (members.size() == kMaxMembers)
            fail(ErrorKind::limit, "the archive has more than " + std::to_string(kMaxMembers) + " files");
        // The last of a name counts, as it does when the archive is unpacked.
        if (member->extents)
            fail(ErrorKind::unsupported, "the archive stores " + quote_untrusted(member->path) +
                                             " with holes left out; pack it again without tar's --sparse");
        members[member->path] = content_stretch(content, member->content_offset, member->content_size);
    }
    return members;
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

    State(fs::path file, std::optional<std::string> tag) : file_(std::move(file)), tag_(std::move(tag)) {
        if (file_.empty())
            fail(ErrorKind::usage, "an OCI archive needs a file: oci-archive:FILE[:TAG]");
        const fs::file_status status = fs::status(file_);
        if (!fs::exists(status) || (fs::is_regular_file(status) && fs::file_size(file_) == 0))
            return;
        if (!fs::is_regular_file(status))
            fail(ErrorKind::unsupported, file_.string() + " is no regular file; name another one for the archive");
        bool is_archive = false;
        try {
            is_archive = read_members(file_, {}).contains("oci-layout");
        } catch (const Error&) {
            is_archive = false;
        }
        if (!is_archive)
            fail(ErrorKind::conflict,
                 file_.string() + " is there and is no OCI archive; remove it or name another file");
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

    bool has(const Digest& digest) {
        const std::lock_guard lock(mutex_);
        return known_.contains(digest);
    }

    std::shared_ptr<const BlockDevice> open(const Descriptor& blob) {
        const std::lock_guard lock(mutex_);
        const auto placed = placed_.find(blob.digest);
        return placed == placed_.end() || !archive_ ? nullptr
                                                    : duplicate_stretch(archive_->fd(), placed->second, blob.size);
    }

    void publish(const Descriptor& top) {
        const std::lock_guard lock(mutex_);
        if (published_)
            fail(ErrorKind::usage, file_.string() + " has been published; an archive is written once");
        if (!slots_.empty())
            fail(ErrorKind::usage, "a blob of " + file_.string() + " is still being written");
        open_archive();
        append_file("index.json", layout_index_with(empty_layout_index(), top, tag_));
        append(std::string(kTarEndSize, '\0'));
        archive_->publish();
        published_ = true;
    }

  private:
    fs::path folder() const {
        const fs::path target = resolve_output(file_);
        return target.has_parent_path() ? target.parent_path() : fs::path(".");
    }

    void open_archive() {
        if (published_)
            fail(ErrorKind::usage, file_.string() + " has been published; an archive is written once");
        if (archive_)
            return;
        archive_.emplace(file_);
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
        append(tar_header(file_entry(blob_name(slot.blob->digest), size), {}, TarSizes::base256));
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
    std::mutex mutex_; // guards what follows
    std::optional<OutputFile> archive_;
    std::uint64_t end_ = 0; // of what is placed; moves only while no slot writes to the archive itself
    std::deque<std::shared_ptr<Slot>> slots_;
    std::set<Digest> known_;                 // committed
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
        const BlobIdentity blob{Digest(hash_.finish()), size_};
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

OciArchiveDestination::OciArchiveDestination(fs::path file, std::optional<std::string> tag)
    : state_(std::make_shared<State>(std::move(file), std::move(tag))) {}

OciArchiveDestination::~OciArchiveDestination() = default;

DestinationTraits OciArchiveDestination::traits() const {
    return {.one_blob_at_a_time = true};
}

bool OciArchiveDestination::has_blob(const Descriptor& blob) {
    return state_->has(blob.digest);
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
    state_->publish(top);
}

OciArchiveSource::OciArchiveSource(const fs::path& file, std::optional<std::string> tag,
                                   const OperationContext& operation)
    : name_(file.string()), tag_(std::move(tag)) {
    with_context(name_, [&] {
        members_ = read_members(file, operation);
        const auto layout = members_.find("oci-layout");
        if (layout == members_.end())
            fail(ErrorKind::not_found, "no OCI archive: there is no oci-layout in it");
        check_layout_file(read_small_file(*layout->second, "oci-layout"));
    });
}

Descriptor OciArchiveSource::resolve() {
    return with_context(name_, [&] {
        const auto index = members_.find("index.json");
        if (index == members_.end())
            fail(ErrorKind::corrupt, "the archive has no index.json");
        return find_in_layout_index(read_small_file(*index->second, "index.json"), tag_, "the archive");
    });
}

std::string OciArchiveSource::read_manifest(const Descriptor& manifest) {
    return with_context(name_, [&] { return read_manifest_blob(*open_blob(manifest), manifest); });
}

std::shared_ptr<const BlockDevice> OciArchiveSource::open_blob(const Descriptor& blob) {
    const auto found = members_.find(blob_name(blob.digest));
    if (found == members_.end())
        fail(ErrorKind::not_found, "the archive " + name_ + " has no blob " + blob.digest.text());
    return found->second;
}

} // namespace vm2oci
