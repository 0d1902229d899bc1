#include "libconvert/registry/streaming_blob_writer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace vm2oci::registry {
namespace {

BlobIdentity checked_identity(const std::optional<Descriptor>& expected, const BlobIdentity& made) {
    if (expected && (expected->digest != made.digest || expected->size != made.size))
        fail(ErrorKind::corrupt, fmt::format("the blob is {} with {} bytes, and it should be {} with {}",
                                             made.digest.text(), made.size, expected->digest.text(), expected->size));
    return made;
}

} // namespace

// Shared by the writer and the uploading thread. Chunks do not change once they are in here.
class StreamingBlobWriter::Window final : public UploadContent {
  public:
    // The check and the hold are one step: between them the writer could drop the chunk that is sent again.
    bool keep_from(std::uint64_t offset) const override {
        const std::lock_guard lock(mutex_);
        if (offset < begin_)
            return false;
        uploaded_ = std::min(uploaded_, offset);
        return true;
    }

    void read_at(std::uint64_t offset, std::span<std::byte> buffer) const override {
        const std::lock_guard lock(mutex_);
        if (stopping_)
            fail(ErrorKind::cancelled, "the upload was given up");
        if (offset < begin_ || offset > end_ || buffer.size() > end_ - offset)
            throw UploadLost(ErrorKind::external, "what is to be uploaded again is no longer at hand");
        std::uint64_t chunk_begin = begin_;
        for (const std::vector<std::byte>& chunk : chunks_) {
            const std::uint64_t chunk_end = chunk_begin + chunk.size();
            if (offset < chunk_end && !buffer.empty()) {
                const auto at = static_cast<std::size_t>(offset - chunk_begin);
                const std::size_t count = std::min(buffer.size(), chunk.size() - at);
                std::memcpy(buffer.data(), chunk.data() + at, count);
                buffer = buffer.subspan(count);
                offset += count;
            }
            chunk_begin = chunk_end;
        }
    }

    // Of the writer: waits until the chunk fits beside what has not arrived yet.
    void add(std::vector<std::byte> chunk) {
        std::unique_lock lock(mutex_);
        const std::uint64_t room = std::max<std::uint64_t>(kWindowSize, 2 * chunk.size()) - chunk.size();
        changed_.wait(lock, [&] { return failure_ || end_ - uploaded_ <= room; });
        rethrow_failure();
        end_ += chunk.size();
        chunks_.push_back(std::move(chunk));
        while (end_ - begin_ > kWindowSize && begin_ + chunks_.front().size() <= uploaded_) {
            begin_ += chunks_.front().size();
            chunks_.pop_front();
        }
        changed_.notify_all();
    }

    // Of the uploader: the end of what has been added, once that is beyond `uploaded`; nullopt when no more comes.
    std::optional<std::uint64_t> wait_for_more(std::uint64_t uploaded) {
        std::unique_lock lock(mutex_);
        uploaded_ = uploaded;
        changed_.notify_all();
        changed_.wait(lock, [&] { return stopping_ || finished_ || end_ > uploaded_; });
        if (stopping_ || end_ == uploaded_)
            return std::nullopt;
        return end_;
    }

    void finish_adding() {
        const std::lock_guard lock(mutex_);
        finished_ = true;
        changed_.notify_all();
    }
    void stop() {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
        changed_.notify_all();
    }
    void set_failure(std::exception_ptr failure) {
        const std::lock_guard lock(mutex_);
        failure_ = std::move(failure);
        changed_.notify_all();
    }
    void check() {
        const std::lock_guard lock(mutex_);
        rethrow_failure();
    }

  private:
    void rethrow_failure() const {
        if (failure_)
            std::rethrow_exception(failure_);
    }

    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<std::vector<std::byte>> chunks_; // the bytes [begin_, end_)
    std::uint64_t begin_ = 0;
    std::uint64_t end_ = 0;
    mutable std::uint64_t uploaded_ = 0; // what begins before that may be dropped; goes back with keep_from()
    bool finished_ = false;
    bool stopping_ = false;
    std::exception_ptr failure_;
};

StreamingBlobWriter::StreamingBlobWriter(std::shared_ptr<RegistryClient> client, std::optional<Descriptor> expected)
    : client_(std::move(client)), expected_(std::move(expected)), window_(std::make_unique<Window>()),
      upload_(std::make_unique<BlobUpload>(*client_, nullptr)) {}

StreamingBlobWriter::~StreamingBlobWriter() {
    stop();
}

void StreamingBlobWriter::stop() noexcept {
    if (!uploader_.joinable())
        return;
    window_->stop();
    uploader_.join();
}

void StreamingBlobWriter::upload_chunks() {
    try {
        std::uint64_t uploaded = 0;
        while (const std::optional<std::uint64_t> end = window_->wait_for_more(uploaded)) {
            upload_->send(*window_, *end);
            uploaded = *end;
        }
    } catch (...) {
        window_->set_failure(std::current_exception());
    }
}

void StreamingBlobWriter::hand_over() {
    if (!uploader_.joinable()) {
        // The registry may want larger chunks than the first one that was filled.
        chunk_size_ = upload_->chunk_size();
        if (filling_.size() < chunk_size_)
            return;
        uploader_ = std::thread([this] { upload_chunks(); });
    }
    window_->add(std::move(filling_));
    filling_ = {};
    filling_.reserve(chunk_size_);
}

void StreamingBlobWriter::write(std::span<const std::byte> bytes) {
    hash_.update(bytes);
    written_ += bytes.size();
    while (!bytes.empty()) {
        const std::size_t room = static_cast<std::size_t>(chunk_size_) - filling_.size();
        const std::size_t count = std::min(room, bytes.size());
        filling_.insert(filling_.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(count));
        bytes = bytes.subspan(count);
        if (filling_.size() == chunk_size_)
            hand_over();
    }
}

BlobIdentity StreamingBlobWriter::commit() {
    BlobIdentity made = checked_identity(expected_, {Digest(hash_.finish()), written_});
    const Descriptor blob{.media_type = {}, .digest = made.digest, .size = made.size};
    const bool all_in_memory = !uploader_.joinable();
    if (all_in_memory && blob_exists(*client_, blob)) {
        upload_.reset();
        return made;
    }
    if (!filling_.empty())
        window_->add(std::move(filling_));
    if (!all_in_memory) {
        window_->finish_adding();
        uploader_.join();
        window_->check();
    }
    upload_->finish(*window_, made);
    return made;
}

void PresentBlobWriter::write(std::span<const std::byte> bytes) {
    hash_.update(bytes);
    written_ += bytes.size();
}

BlobIdentity PresentBlobWriter::commit() {
    return checked_identity(expected_, {Digest(hash_.finish()), written_});
}

} // namespace vm2oci::registry
