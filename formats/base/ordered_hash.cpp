#include "formats/base/ordered_hash.hpp"

#include "formats/base/size.hpp"

#include <algorithm>
#include <iterator>
#include <limits>

namespace vm2oci {
namespace {

constexpr std::size_t kMaxKeptBytes = 16 * MiB; // what several threads are ahead of the slowest one
constexpr std::size_t kMaxKeptPieces = 4096;
constexpr std::uint64_t kSmallGap = 4 * MiB; // tables that nobody reads; larger gaps are left for the end
constexpr std::size_t kReadStep = 1 * MiB;

} // namespace

void OrderedHash::take(std::uint64_t offset, std::span<const std::byte> bytes) {
    if (offset > next_ || bytes.size() <= next_ - offset)
        return;
    hash_.update(bytes.subspan(static_cast<std::size_t>(next_ - offset)));
    next_ = offset + bytes.size();
}

void OrderedHash::take_kept() {
    while (!kept_.empty() && kept_.begin()->first <= next_) {
        take(kept_.begin()->first, kept_.begin()->second);
        kept_bytes_ -= kept_.begin()->second.size();
        kept_.erase(kept_.begin());
    }
}

void OrderedHash::read_up_to(std::uint64_t end, const std::function<void()>& before_step) {
    std::vector<std::byte> buffer;
    while (next_ < end) {
        before_step();
        buffer.resize(static_cast<std::size_t>(std::min<std::uint64_t>(kReadStep, end - next_)));
        read_(next_, buffer);
        take(next_, buffer);
        take_kept();
    }
}

void OrderedHash::keep(std::uint64_t offset, std::span<const std::byte> bytes) {
    std::vector<std::byte>& piece = kept_[offset];
    if (bytes.size() <= piece.size())
        return;
    kept_bytes_ += bytes.size() - piece.size();
    piece.assign(bytes.begin(), bytes.end());
    const auto is_full = [this] { return kept_bytes_ > kMaxKeptBytes || kept_.size() > kMaxKeptPieces; };
    if (is_full() && kept_.begin()->first - next_ <= kSmallGap) {
        read_up_to(kept_.begin()->first, [] {});
        take_kept();
    }
    while (is_full()) {
        kept_bytes_ -= kept_.rbegin()->second.size();
        kept_.erase(std::prev(kept_.end()));
    }
}

void OrderedHash::feed(std::uint64_t offset, std::span<const std::byte> bytes) {
    const std::lock_guard lock(mutex_);
    if (offset > next_) {
        keep(offset, bytes);
        return;
    }
    take(offset, bytes);
    take_kept();
}

std::vector<std::byte> OrderedHash::finish(std::uint64_t size, const std::function<void()>& before_step) {
    const std::lock_guard lock(mutex_);
    read_up_to(size, before_step);
    next_ = std::numeric_limits<std::uint64_t>::max();
    return hash_.finish();
}

} // namespace vm2oci
