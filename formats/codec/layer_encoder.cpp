#include "formats/codec/layer_encoder.hpp"

#include "formats/base/error.hpp"
#include "formats/block/block_device.hpp"
#include "formats/codec/frame_checksum.hpp"
#include "formats/codec/frame_compressor.hpp"

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>

namespace vm2oci {
namespace {

constexpr std::size_t kQueuedFrames = 12; // beyond those in the compressors' hands; evens out slow and fast frames

enum class FrameStyle { compressed, stored };

using Buffer = std::unique_ptr<std::byte[]>;

struct Frame {
    Buffer content;
    std::size_t content_size = 0;
    Buffer packed; // null for Compression::none: the content goes out as it is
    std::size_t packed_size = 0;
    std::uint32_t checksum = 0;
    FrameContent facts;
    std::optional<IndexedFrame> indexed; // none: of zeros, stored, or nobody keeps an index
    FrameStyle style = FrameStyle::compressed;
    bool is_reused = false;
    bool is_packed = false;
    bool is_hashed = false;
};

// One thread's compressor, and the frame that it makes of zeros: raw disks have many of them.
class Packer {
  public:
    Packer(const CompressionSpec& spec, const EncoderOptions& options)
        : has_checksums_(spec.algorithm == Compression::zstd), options_(options),
          compressor_(make_frame_compressor(spec)) {
        if (options.earlier)
            earlier_ = std::make_unique<EarlierFrames::Finder>(*options.earlier);
    }

    void pack(Frame& frame) {
        const std::span<const std::byte> content(frame.content.get(), frame.content_size);
        const std::span<std::byte> packed(frame.packed.get(), compressor_->bound(kFrameSize));
        const bool zeros = is_zero(content);
        frame.facts.is_zero = zeros;
        frame.is_reused = false;
        frame.indexed.reset();
        if (options_.frame_digests == FrameDigests::compute && !zeros)
            frame.facts.digest = sha256(content);
        if (frame.style == FrameStyle::compressed && zeros && content.size() == kFrameSize) {
            pack_zeros(frame, content, packed);
            return;
        }
        if (earlier_ && frame.style == FrameStyle::compressed) {
            take_or_compress(frame, content, packed);
            return;
        }
        frame.checksum = has_checksums_ ? frame_checksum(content) : 0;
        frame.packed_size = frame.style == FrameStyle::stored ? compressor_->store(content, packed)
                                                              : compressor_->compress(content, packed);
    }

  private:
    void take_or_compress(Frame& frame, std::span<const std::byte> content, std::span<std::byte> packed) {
        IndexedFrame indexed = earlier_->find(content, packed);
        frame.is_reused = indexed.frame.compressed_size != 0;
        if (!frame.is_reused)
            earlier_->complete(indexed, packed.first(compressor_->compress(content, packed)));
        frame.packed_size = indexed.frame.compressed_size;
        frame.checksum = indexed.frame.checksum;
        frame.indexed = indexed;
    }

    void pack_zeros(Frame& frame, std::span<const std::byte> zeros, std::span<std::byte> packed) {
        if (zero_frame_.empty()) {
            const std::size_t size = compressor_->compress(zeros, packed);
            zero_frame_.assign(packed.begin(), packed.begin() + static_cast<std::ptrdiff_t>(size));
            zero_checksum_ = has_checksums_ ? frame_checksum(zeros) : 0;
        }
        std::ranges::copy(zero_frame_, packed.begin());
        frame.packed_size = zero_frame_.size();
        frame.checksum = zero_checksum_;
    }

    const bool has_checksums_;
    const EncoderOptions& options_;
    std::unique_ptr<FrameCompressor> compressor_;
    std::unique_ptr<EarlierFrames::Finder> earlier_;
    std::vector<std::byte> zero_frame_;
    std::uint32_t zero_checksum_ = 0;
};

// A frame without content, such as zstd's skippable ones.
EncodedFrame empty_frame(std::span<const std::byte> bytes) {
    return {static_cast<std::uint32_t>(bytes.size()), 0, frame_checksum({})};
}

} // namespace

// Frames move: free -> filled by the caller -> (packed by any compressor, hashed in order) -> written in order -> free.
class LayerEncoder::Pipeline {
  public:
    Pipeline(const CompressionSpec& spec, ByteSink& out, const OperationContext& operation, EncoderOptions options)
        : spec_(spec), options_(std::move(options)), out_(out), operation_(operation) {
        resolve_level(spec);
        if (options_.earlier)
            layer_.index.key = options_.earlier->key();
        const unsigned compressors = compresses() ? std::min(operation.thread_count(), kMaxCompressors) : 0;
        max_frames_ = compressors + kQueuedFrames;
        if (compresses())
            packed_capacity_ = make_frame_compressor(spec)->bound(kFrameSize);
        if (operation.thread_count() == 1) {
            if (compresses())
                own_packer_ = std::make_unique<Packer>(spec_, options_);
            return;
        }
        try {
            for (unsigned i = 0; i < compressors; ++i)
                start([this] { compress_frames(); });
            if (hashes())
                start([this] { hash_frames(); });
            start([this] { write_frames(); });
        } catch (...) {
            stop();
            throw;
        }
    }

    ~Pipeline() { stop(); }
    Pipeline(const Pipeline&) = delete;
    Pipeline& operator=(const Pipeline&) = delete;

    bool compresses() const { return spec_.algorithm != Compression::none; }
    bool hashes() const { return compresses() && options_.content_digest == ContentDigest::compute; }

    void append(std::span<const std::byte> bytes) {
        while (!bytes.empty()) {
            if (filling_ == nullptr)
                filling_ = take_free_frame();
            const std::size_t room = kFrameSize - filling_->content_size;
            const std::size_t length = std::min(room, bytes.size());
            std::byte* const place = filling_->content.get() + filling_->content_size;
            if (bytes.data() != place)
                std::memcpy(place, bytes.data(), length);
            filling_->content_size += length;
            layer_.content_size += length;
            bytes = bytes.subspan(length);
            if (filling_->content_size == kFrameSize)
                submit(FrameStyle::compressed);
        }
    }

    std::span<std::byte> room() {
        if (filling_ == nullptr)
            filling_ = take_free_frame();
        return {filling_->content.get() + filling_->content_size, kFrameSize - filling_->content_size};
    }

    void end_frame(FrameStyle style) {
        if (has_filled() && compresses())
            submit(style);
    }

    EncodedLayer finish(const TailMaker& make_tail) {
        // A layer of nothing is still one frame: no bytes at all would be neither gzip nor zstd.
        const bool is_empty = layer_.content_size == 0 && compresses();
        if (filling_ == nullptr && is_empty)
            filling_ = take_free_frame();
        if (has_filled() || is_empty)
            submit(FrameStyle::compressed);
        {
            const std::lock_guard lock(mutex_);
            closing_ = true;
        }
        wake_everybody();
        join();
        if (failure_)
            std::rethrow_exception(failure_);
        operation_.check_cancelled();
        if (spec_.algorithm == Compression::zstd)
            write_tail(make_tail);
        if (hashes())
            layer_.diff_id = content_hash_.finish();
        return std::move(layer_);
    }

  private:
    template <class Body>
    void start(Body body) {
        threads_.emplace_back([this, body] {
            try {
                body();
            } catch (...) {
                const std::lock_guard lock(mutex_);
                if (!failure_)
                    failure_ = std::current_exception();
                stopping_ = true;
            }
            wake_everybody();
        });
    }

    bool has_filled() const { return filling_ != nullptr && filling_->content_size > 0; }

    void wake_everybody() {
        for (std::condition_variable* waiting : {&frame_freed_, &pack_wanted_, &hash_wanted_, &frame_done_})
            waiting->notify_all();
    }

    void stop() {
        {
            const std::lock_guard lock(mutex_);
            stopping_ = true;
        }
        wake_everybody();
        join();
    }

    void join() {
        for (std::thread& thread : threads_)
            if (thread.joinable())
                thread.join();
    }

    std::unique_ptr<Frame> take_free_frame() {
        operation_.check_cancelled();
        std::unique_lock lock(mutex_);
        frame_freed_.wait(lock, [this] { return stopping_ || !free_.empty() || frame_count_ < max_frames_; });
        if (failure_)
            std::rethrow_exception(failure_);
        if (!free_.empty()) {
            std::unique_ptr<Frame> frame = std::move(free_.back());
            free_.pop_back();
            return frame;
        }
        ++frame_count_;
        lock.unlock();
        auto frame = std::make_unique<Frame>();
        frame->content = std::make_unique_for_overwrite<std::byte[]>(kFrameSize);
        if (compresses())
            frame->packed = std::make_unique_for_overwrite<std::byte[]>(packed_capacity_);
        return frame;
    }

    void submit(FrameStyle style) {
        filling_->style = style;
        filling_->is_packed = !compresses();
        filling_->is_hashed = !hashes();
        if (threads_.empty()) {
            make_frame_here();
            return;
        }
        {
            const std::lock_guard lock(mutex_);
            if (failure_)
                std::rethrow_exception(failure_);
            if (compresses()) {
                to_pack_.push_back(filling_.get());
                if (hashes())
                    to_hash_.push_back(filling_.get());
            }
            in_order_.push_back(std::move(filling_));
        }
        if (compresses()) {
            pack_wanted_.notify_one();
            hash_wanted_.notify_one();
        } else {
            frame_done_.notify_one();
        }
    }

    // With one thread, which is the caller's.
    void make_frame_here() {
        if (compresses())
            own_packer_->pack(*filling_);
        if (hashes())
            content_hash_.update({filling_->content.get(), filling_->content_size});
        write_frame(*filling_);
        filling_->content_size = 0;
        free_.push_back(std::move(filling_));
    }

    // The next frame for a thread to work on; null when there will be none.
    Frame* next(std::deque<Frame*>& queue, std::condition_variable& wanted) {
        std::unique_lock lock(mutex_);
        wanted.wait(lock, [&] { return stopping_ || closing_ || !queue.empty(); });
        if (stopping_ || queue.empty())
            return nullptr;
        Frame* frame = queue.front();
        queue.pop_front();
        return frame;
    }

    // The writer is woken for the frame that it waits for only.
    void mark(const Frame& frame, bool& done) {
        const std::lock_guard lock(mutex_);
        done = true;
        if (frame.is_packed && frame.is_hashed && !in_order_.empty() && in_order_.front().get() == &frame)
            frame_done_.notify_one();
    }

    void compress_frames() {
        Packer packer(spec_, options_);
        while (Frame* frame = next(to_pack_, pack_wanted_)) {
            packer.pack(*frame);
            mark(*frame, frame->is_packed);
        }
    }

    void hash_frames() {
        while (Frame* frame = next(to_hash_, hash_wanted_)) {
            content_hash_.update({frame->content.get(), frame->content_size});
            mark(*frame, frame->is_hashed);
        }
    }

    void write_frames() {
        for (;;) {
            std::unique_lock lock(mutex_);
            frame_done_.wait(lock, [this] {
                const bool front_done =
                    !in_order_.empty() && in_order_.front()->is_packed && in_order_.front()->is_hashed;
                return stopping_ || front_done || (closing_ && in_order_.empty());
            });
            if (stopping_ || in_order_.empty())
                return;
            std::unique_ptr<Frame> frame = std::move(in_order_.front());
            in_order_.pop_front();
            lock.unlock();
            write_frame(*frame);
            frame->content_size = 0;
            lock.lock();
            free_.push_back(std::move(frame));
            lock.unlock();
            frame_freed_.notify_one();
        }
    }

    void write_tail(const TailMaker& make_tail) {
        std::vector<std::vector<std::byte>> tail;
        if (make_tail)
            tail = make_tail(layer_);
        std::vector<EncodedFrame> listed = layer_.frames;
        for (const std::vector<std::byte>& frame : tail)
            listed.push_back(empty_frame(frame));
        tail.push_back(make_seek_table(listed));
        for (const std::vector<std::byte>& frame : tail) {
            out_.write(frame);
            layer_.compressed_size += frame.size();
        }
    }

    void write_frame(const Frame& frame) {
        if (!compresses()) {
            out_.write({frame.content.get(), frame.content_size});
            layer_.compressed_size += frame.content_size;
            return;
        }
        out_.write({frame.packed.get(), frame.packed_size});
        if (frame.indexed) {
            layer_.index.frames.push_back(*frame.indexed);
            layer_.index.frames.back().offset = layer_.compressed_size;
        }
        layer_.compressed_size += frame.packed_size;
        layer_.frames.push_back({static_cast<std::uint32_t>(frame.packed_size),
                                 static_cast<std::uint32_t>(frame.content_size), frame.checksum});
        layer_.reused_frames += frame.is_reused ? 1 : 0;
        if (options_.frame_digests == FrameDigests::compute)
            layer_.contents.push_back(frame.facts);
    }

    const CompressionSpec spec_;
    const EncoderOptions options_;
    ByteSink& out_;
    const OperationContext operation_;
    std::size_t max_frames_ = 0;
    std::size_t packed_capacity_ = 0;

    std::unique_ptr<Frame> filling_;     // the caller's thread only
    std::unique_ptr<Packer> own_packer_; // the same; null where there are threads
    Sha256 content_hash_;                // the hashing thread only, until joined
    EncodedLayer layer_; // content_size: the caller's thread; the rest: the writing thread, until joined

    std::mutex mutex_;                    // guards what follows, and the flags of submitted frames
    std::condition_variable frame_freed_; // waited for by the caller
    std::condition_variable pack_wanted_; // by the compressors
    std::condition_variable hash_wanted_;
    std::condition_variable frame_done_; // by the writer: the first in order is packed and hashed
    std::vector<std::unique_ptr<Frame>> free_;
    std::deque<std::unique_ptr<Frame>> in_order_;
    std::deque<Frame*> to_pack_;
    std::deque<Frame*> to_hash_;
    std::size_t frame_count_ = 0;
    bool closing_ = false;
    bool stopping_ = false;
    std::exception_ptr failure_;

    std::vector<std::thread> threads_;
};

LayerEncoder::LayerEncoder(CompressionSpec spec, ByteSink& out, const OperationContext& operation,
                           EncoderOptions options)
    : pipeline_(std::make_unique<Pipeline>(spec, out, operation, std::move(options))) {}

LayerEncoder::~LayerEncoder() = default;

void LayerEncoder::write(std::span<const std::byte> bytes) {
    pipeline_->append(bytes);
}

std::span<std::byte> LayerEncoder::room() {
    return pipeline_->room();
}

void LayerEncoder::end_frame() {
    pipeline_->end_frame(FrameStyle::compressed);
}

void LayerEncoder::end_frame_stored() {
    pipeline_->end_frame(FrameStyle::stored);
}

EncodedLayer LayerEncoder::finish(const TailMaker& make_tail) {
    return pipeline_->finish(make_tail);
}

} // namespace vm2oci
