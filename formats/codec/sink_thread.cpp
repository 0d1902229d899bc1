#include "formats/codec/sink_thread.hpp"

#include "formats/base/size.hpp"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace vm2oci {
namespace {

constexpr std::size_t kPiece = 256 * KiB;
constexpr std::size_t kMaxPieces = 16;

} // namespace

struct SinkThread::State {
    explicit State(ByteSink& sink) : out(sink), thread([this] { run(); }) {}

    ~State() {
        {
            const std::lock_guard lock(mutex);
            stopping = true;
        }
        changed.notify_all();
        if (thread.joinable())
            thread.join();
    }

    State(const State&) = delete;
    State& operator=(const State&) = delete;

    void run() {
        std::unique_lock lock(mutex);
        for (;;) {
            changed.wait(lock, [this] { return stopping || closing || !pieces.empty(); });
            if (stopping || pieces.empty())
                return;
            std::vector<std::byte> piece = std::move(pieces.front());
            pieces.pop_front();
            lock.unlock();
            try {
                out.write(piece);
            } catch (...) {
                lock.lock();
                failure = std::current_exception();
                changed.notify_all();
                return;
            }
            lock.lock();
            if (spare.size() < kMaxPieces)
                spare.push_back(std::move(piece));
            changed.notify_all();
        }
    }

    void add(std::span<const std::byte> bytes) {
        std::unique_lock lock(mutex);
        changed.wait(lock, [this] { return failure || pieces.size() < kMaxPieces; });
        if (failure)
            std::rethrow_exception(failure);
        std::vector<std::byte> piece;
        if (!spare.empty()) {
            piece = std::move(spare.back());
            spare.pop_back();
        }
        lock.unlock();
        piece.assign(bytes.begin(), bytes.end());
        lock.lock();
        pieces.push_back(std::move(piece));
        changed.notify_all();
    }

    ByteSink& out;
    std::mutex mutex; // guards what follows but the thread
    std::condition_variable changed;
    std::deque<std::vector<std::byte>> pieces;
    std::vector<std::vector<std::byte>> spare;
    bool closing = false;
    bool stopping = false;
    std::exception_ptr failure;
    std::thread thread; // last: it uses the rest
};

SinkThread::SinkThread(ByteSink& out) : state_(std::make_unique<State>(out)) {}

SinkThread::~SinkThread() = default;

void SinkThread::write(std::span<const std::byte> bytes) {
    for (; !bytes.empty(); bytes = bytes.subspan(std::min(bytes.size(), kPiece)))
        state_->add(bytes.first(std::min(bytes.size(), kPiece)));
}

void SinkThread::finish() {
    {
        const std::lock_guard lock(state_->mutex);
        state_->closing = true;
    }
    state_->changed.notify_all();
    state_->thread.join();
    if (state_->failure)
        std::rethrow_exception(state_->failure);
}

} // namespace vm2oci
