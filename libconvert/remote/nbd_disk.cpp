#include "libconvert/remote/nbd_disk.hpp"

#include "formats/base/checked.hpp"
#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/base/size.hpp"
#include "libconvert/remote/nbd_library.hpp"
#include "libconvert/remote/nbd_trust.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <iterator>
#include <map>
#include <mutex>
#include <optional>
#include <vector>

namespace vm2oci {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kMaxConnections = 8;
constexpr std::uint64_t kMaxRequest = 2 * MiB;   // several threads read side by side; servers take 32 MiB
constexpr std::uint64_t kStatusRange = 1 * GiB;  // asked for at once; answers may be shorter
constexpr std::size_t kMaxKnownExtents = 65'536; // 2 MiB of memory; what is forgotten is asked for again
constexpr int kTickMilliseconds = 200;           // how soon a cancellation is heard

constexpr nbd_completion_callback kNoCallback{nullptr, nullptr, nullptr};

struct CloseHandle {
    void operator()(nbd_handle* handle) const { nbd_library().close(handle); }
};
using Handle = std::unique_ptr<nbd_handle, CloseHandle>;

// What the last call in this thread says.
std::string last_error() {
    const char* text = nbd_library().get_error();
    return text == nullptr ? "no reason is given" : escape_untrusted(text);
}

struct Run {
    std::uint64_t end;
    ExtentKind kind;
};

// The runs of one answer to a question for block status.
struct StatusAnswer {
    std::vector<std::pair<std::uint64_t, Run>> runs; // by where they begin
};

int take_extents(void* user_data, const char* context, std::uint64_t offset, std::uint32_t* entries, std::size_t count,
                 int* /*error*/) noexcept {
    if (std::string_view(context) != LIBNBD_CONTEXT_BASE_ALLOCATION)
        return 0;
    auto& answer = *static_cast<StatusAnswer*>(user_data);
    try {
        for (std::size_t i = 0; i + 1 < count; i += 2) {
            const std::uint64_t length = entries[i];
            const std::uint32_t flags = entries[i + 1];
            // A hole alone may hold anything; only what is said to be zeros is passed over.
            const ExtentKind kind = (flags & LIBNBD_STATE_ZERO) == 0   ? ExtentKind::data
                                    : (flags & LIBNBD_STATE_HOLE) != 0 ? ExtentKind::unallocated
                                                                       : ExtentKind::zero;
            if (length == 0)
                return 0;
            answer.runs.push_back({offset, {offset + length, kind}});
            offset += length;
        }
    } catch (...) {
        return -1;
    }
    return 0;
}

class Connection {
  public:
    Connection(const std::string& uri, const OperationContext& operation, const NbdTimeouts& timeouts)
        : name_(escape_untrusted(uri)), operation_(operation), timeouts_(timeouts), handle_(nbd_library().create()) {
        const NbdLibrary& nbd = nbd_library();
        if (!handle_)
            fail(ErrorKind::external, "libnbd cannot make a handle: " + last_error());
        nbd.set_uri_allow_transports(handle_.get(), LIBNBD_ALLOW_TRANSPORT_TCP | LIBNBD_ALLOW_TRANSPORT_UNIX);
        nbd.set_uri_allow_local_file(handle_.get(), true); // keys that the user names in the URI
        nbd.add_meta_context(handle_.get(), LIBNBD_CONTEXT_BASE_ALLOCATION);
        if (nbd.aio_connect_uri(handle_.get(), uri.c_str()) == -1)
            fail_server("cannot be reached");
        wait(timeouts_.connect, "did not answer", [&] {
            if (nbd.aio_is_dead(handle_.get()) == 1 || nbd.aio_is_closed(handle_.get()) == 1)
                fail_server("cannot be reached");
            return nbd.aio_is_ready(handle_.get()) == 1;
        });
        // libnbd itself would refuse to ask for the last piece of such a disk.
        if (size() % block_size() != 0)
            nbd.set_strict_mode(handle_.get(), nbd.get_strict_mode(handle_.get()) & ~LIBNBD_STRICT_ALIGN);
    }

    std::uint64_t size() const {
        const std::int64_t size = nbd_library().get_size(handle_.get());
        if (size < 0)
            fail_server("does not tell its size");
        return static_cast<std::uint64_t>(size);
    }
    bool allows_several() const { return nbd_library().can_multi_conn(handle_.get()) == 1; }
    bool tells_extents() const {
        return nbd_library().can_meta_context(handle_.get(), LIBNBD_CONTEXT_BASE_ALLOCATION) == 1;
    }
    // What requests are multiples of; 1: anything goes.
    std::uint64_t block_size() const {
        const std::int64_t size = nbd_library().get_block_size(handle_.get(), LIBNBD_SIZE_MINIMUM);
        return size > 1 ? static_cast<std::uint64_t>(size) : 1;
    }
    std::uint64_t largest_request() const {
        const std::int64_t size = nbd_library().get_block_size(handle_.get(), LIBNBD_SIZE_MAXIMUM);
        return size > 0 ? std::min(kMaxRequest, static_cast<std::uint64_t>(size)) : kMaxRequest;
    }

    // False once a request was given up: its answer may still come, to where nobody waits for it any more.
    bool is_usable() const { return usable_; }

    void read(std::uint64_t offset, std::span<std::byte> buffer) {
        complete(nbd_library().aio_pread(handle_.get(), buffer.data(), buffer.size(), offset, kNoCallback, 0),
                 "cannot read");
    }
    StatusAnswer status(std::uint64_t offset, std::uint64_t length) {
        StatusAnswer answer;
        const nbd_extent_callback callback{take_extents, &answer, nullptr};
        complete(nbd_library().aio_block_status(handle_.get(), length, offset, callback, kNoCallback, 0),
                 "cannot tell its holes");
        return answer;
    }

  private:
    [[noreturn]] void fail_server(std::string_view what) const {
        fail(ErrorKind::io, fmt::format("the NBD server {} {}: {}", name_, what, last_error()));
    }

    // Calls `is_done` until it says so.
    template <class Done>
    void wait(std::chrono::milliseconds limit, std::string_view late, Done is_done) {
        const Clock::time_point end = Clock::now() + limit;
        while (!is_done()) {
            operation_.check_cancelled();
            if (Clock::now() >= end)
                fail(ErrorKind::io, fmt::format("the NBD server {} {} within {} s", name_, late,
                                                std::chrono::duration_cast<std::chrono::seconds>(limit).count()));
            if (nbd_library().poll(handle_.get(), kTickMilliseconds) == -1)
                fail_server("is lost");
        }
    }

    void complete(std::int64_t cookie, std::string_view what) {
        usable_ = false;
        if (cookie < 0)
            fail_server(what);
        int state = 0;
        wait(timeouts_.answer, "did not answer", [&] {
            state = nbd_library().aio_command_completed(handle_.get(), static_cast<std::uint64_t>(cookie));
            return state != 0;
        });
        // A refusal leaves the connection as it was, its end does not.
        usable_ = state > 0 || nbd_library().aio_is_ready(handle_.get()) == 1;
        if (state < 0)
            fail_server(what);
    }

    const std::string name_;
    const OperationContext& operation_;
    const NbdTimeouts timeouts_;
    Handle handle_;
    bool usable_ = true;
};

class NbdDisk final : public BlockDevice {
  public:
    NbdDisk(std::string uri, const OperationContext& operation, NbdTimeouts timeouts)
        : uri_(std::move(uri)), operation_(operation), timeouts_(timeouts) {
        auto first = std::make_unique<Connection>(uri_, operation_, timeouts_);
        size_ = first->size();
        tells_extents_ = first->tells_extents();
        block_size_ = first->block_size();
        largest_request_ = std::max(block_size_, align_down(first->largest_request(), block_size_));
        max_connections_ =
            first->allows_several() ? std::min<std::size_t>(kMaxConnections, operation_.thread_count()) : 1;
        idle_.push_back(std::move(first));
        connections_ = 1;
    }

    std::uint64_t size() const override { return size_; }

    void read_at(std::uint64_t offset, std::span<std::byte> buffer) const override {
        check_range(*this, offset, buffer.size());
        if (buffer.empty())
            return;
        const Lease connection(*this);
        while (!buffer.empty()) {
            const std::uint64_t begin = align_down(offset, block_size_);
            const std::uint64_t wanted = align_up(offset - begin + buffer.size(), block_size_);
            // The last block of a disk that is no multiple of blocks ends where the disk does, and is asked for alone:
            // some servers refuse it.
            const std::uint64_t whole_blocks = std::max(block_size_, align_down(size_ - begin, block_size_));
            const std::uint64_t length = std::min({largest_request_, wanted, whole_blocks, size_ - begin});
            const std::uint64_t skipped = offset - begin;
            const auto used = static_cast<std::size_t>(std::min<std::uint64_t>(length - skipped, buffer.size()));
            if (skipped == 0 && used == length) {
                connection->read(begin, buffer.first(used));
            } else {
                std::vector<std::byte> whole(static_cast<std::size_t>(length));
                connection->read(begin, whole);
                std::copy_n(whole.begin() + static_cast<std::ptrdiff_t>(skipped), used, buffer.begin());
            }
            buffer = buffer.subspan(used);
            offset += used;
        }
    }

    Extent extent_at(std::uint64_t offset) const override {
        check_range(*this, offset, 1);
        if (!tells_extents_)
            return {size_ - offset, ExtentKind::data};
        if (const std::optional<Extent> known = find_known(offset))
            return *known;
        const std::uint64_t begin = align_down(offset, block_size_);
        StatusAnswer answer;
        {
            const Lease connection(*this);
            answer = connection->status(begin, std::min(kStatusRange, size_ - begin));
        }
        remember(answer);
        for (const auto& [run_begin, run] : answer.runs)
            if (run_begin <= offset && offset < run.end)
                return {std::min(run.end, size_) - offset, run.kind};
        // It has not said anything of it.
        return {std::min<std::uint64_t>(block_size_ - (offset - begin), size_ - offset), ExtentKind::data};
    }

  private:
    // A connection for as long as one call takes.
    class Lease {
      public:
        explicit Lease(const NbdDisk& disk) : disk_(disk), connection_(disk.take()) {}
        ~Lease() { disk_.give_back(std::move(connection_)); }
        Lease(const Lease&) = delete;
        Lease& operator=(const Lease&) = delete;
        Connection* operator->() const { return connection_.get(); }

      private:
        const NbdDisk& disk_;
        std::unique_ptr<Connection> connection_;
    };

    std::unique_ptr<Connection> take() const {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return !idle_.empty() || connections_ < max_connections_; });
        if (!idle_.empty()) {
            std::unique_ptr<Connection> connection = std::move(idle_.back());
            idle_.pop_back();
            return connection;
        }
        ++connections_;
        lock.unlock();
        try {
            return std::make_unique<Connection>(uri_, operation_, timeouts_);
        } catch (...) {
            lock.lock();
            --connections_;
            changed_.notify_one();
            throw;
        }
    }

    void give_back(std::unique_ptr<Connection> connection) const {
        if (!connection->is_usable())
            connection.reset(); // before what it may still write to is gone
        const std::lock_guard lock(mutex_);
        if (connection)
            idle_.push_back(std::move(connection));
        else
            --connections_;
        changed_.notify_one();
    }

    std::optional<Extent> find_known(std::uint64_t offset) const {
        const std::lock_guard lock(mutex_);
        auto run = known_.upper_bound(offset);
        if (run == known_.begin())
            return std::nullopt;
        --run;
        if (run->second.end <= offset)
            return std::nullopt;
        return Extent{std::min(run->second.end, size_) - offset, run->second.kind};
    }

    void remember(const StatusAnswer& answer) const {
        const std::lock_guard lock(mutex_);
        if (known_.size() + answer.runs.size() > kMaxKnownExtents)
            known_.clear();
        for (const auto& [begin, run] : answer.runs)
            known_.insert_or_assign(begin, run);
    }

    const std::string uri_;
    const OperationContext& operation_;
    const NbdTimeouts timeouts_;
    std::uint64_t size_ = 0;
    std::uint64_t block_size_ = 1;
    std::uint64_t largest_request_ = kMaxRequest;
    std::size_t max_connections_ = 1;
    bool tells_extents_ = false;

    mutable std::mutex mutex_; // guards what follows
    mutable std::condition_variable changed_;
    mutable std::vector<std::unique_ptr<Connection>> idle_;
    mutable std::size_t connections_ = 0;
    mutable std::map<std::uint64_t, Run> known_; // by where they begin
};

} // namespace

bool is_nbd_uri(std::string_view text) {
    for (const std::string_view scheme : {"nbd://", "nbds://", "nbd+unix://", "nbds+unix://"})
        if (text.starts_with(scheme))
            return true;
    return false;
}

std::shared_ptr<const BlockDevice> open_nbd_disk(const std::string& uri, const OperationContext& operation,
                                                 NbdTimeouts timeouts) {
    if (!is_nbd_uri(uri))
        fail(ErrorKind::usage, quote_untrusted(uri) + " is no NBD URI");
    require_trusted_server(uri);
    return std::make_shared<NbdDisk>(uri, operation, timeouts);
}

} // namespace vm2oci
