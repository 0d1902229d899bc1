#include "libconvert/registry/remote_blob.hpp"

#include <algorithm>
#include <cstring>

namespace vm2oci::registry {
namespace {

class FileSink final : public ByteSink {
  public:
    explicit FileSink(int fd) : fd_(fd) {}
    void write(std::span<const std::byte> bytes) override { write_exactly(fd_, bytes); }

  private:
    int fd_;
};

} // namespace

void RemoteParts::read_at(std::uint64_t offset, std::span<std::byte> buffer) const {
    check_range(*this, offset, buffer.size());
    if (fetcher_.fetch(offset, buffer) == RangeAnswer::ignored)
        fail(ErrorKind::unsupported, client_->host() + " does not serve parts of blobs");
}

Extent RemoteParts::extent_at(std::uint64_t offset) const {
    check_range(*this, offset, 1);
    return {size_ - offset, ExtentKind::data};
}

RemoteBlob::RemoteBlob(std::shared_ptr<RegistryClient> client, Descriptor blob, OperationContext operation)
    : client_(std::move(client)), blob_(std::move(blob)), operation_(operation), fetcher_(*client_, blob_) {}

std::uint64_t RemoteBlob::unit_size(std::uint64_t number) const {
    return std::min(kUnitSize, blob_.size - number * kUnitSize);
}

Extent RemoteBlob::extent_at(std::uint64_t offset) const {
    check_range(*this, offset, 1);
    return {blob_.size - offset, ExtentKind::data};
}

void RemoteBlob::read_at(std::uint64_t offset, std::span<std::byte> buffer) const {
    check_range(*this, offset, buffer.size());
    const std::uint64_t last = buffer.empty() ? 0 : (offset + buffer.size() - 1) / kUnitSize;
    while (!buffer.empty()) {
        const std::uint64_t number = offset / kUnitSize;
        const auto at = static_cast<std::size_t>(offset % kUnitSize);
        const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), unit_size(number) - at));
        if (const Unit bytes = unit(number, last))
            std::memcpy(buffer.data(), bytes->data() + at, count);
        else
            read_exactly_at(whole_.get(), offset, buffer.first(count));
        buffer = buffer.subspan(count);
        offset += count;
    }
}

// How many units from `number` on one request should bring: those up to `last`, which the reader wants, and more while
// reads go on where the last ones ended.
std::uint64_t RemoteBlob::units_to_fetch(std::uint64_t number, std::uint64_t last) const {
    const std::uint64_t wanted = std::min(last - number + 1, kLongestReadAhead);
    streak_ = number == next_sequential_ && number != 0 ? streak_ + 1 : 0;
    // Two neighbours are no stream yet: what a file system scatters lies side by side now and then.
    const bool is_stream = streak_ >= 2;
    read_ahead_ = is_stream ? std::min(std::max(read_ahead_ * 2, wanted), kLongestReadAhead) : wanted;
    const std::uint64_t all = (blob_.size + kUnitSize - 1) / kUnitSize;
    std::uint64_t count = 1;
    while (count < read_ahead_ && number + count < all && !units_.contains(number + count) && !is_aside(number + count))
        ++count;
    next_sequential_ = number + count;
    return count;
}

// The unit's bytes; null when the whole blob lies in the scratch file.
RemoteBlob::Unit RemoteBlob::unit(std::uint64_t number, std::uint64_t last) const {
    std::unique_lock lock(mutex_);
    while (true) {
        if (whole_)
            return nullptr;
        const auto found = units_.find(number);
        if (found != units_.end() && found->second.bytes) {
            recently_used_.splice(recently_used_.begin(), recently_used_, found->second.use);
            return found->second.bytes;
        }
        if (found != units_.end()) { // another thread fetches it
            changed_.wait(lock);
            continue;
        }
        if (is_aside(number))
            return fetch_back(number);
        const std::uint64_t count = units_to_fetch(number, last);
        for (std::uint64_t i = 0; i < count; ++i)
            units_.emplace(number + i, Kept{nullptr, recently_used_.end()});
        lock.unlock();
        try {
            fetch_units(number, count);
        } catch (...) {
            lock.lock();
            for (std::uint64_t i = 0; i < count; ++i)
                units_.erase(number + i);
            changed_.notify_all();
            throw;
        }
        lock.lock();
    }
}

void RemoteBlob::fetch_units(std::uint64_t first, std::uint64_t count) const {
    const std::uint64_t begin = first * kUnitSize;
    const std::uint64_t end = std::min(begin + count * kUnitSize, blob_.size);
    std::vector<std::byte> bytes(end - begin);
    if (fetcher_.fetch(begin, bytes) == RangeAnswer::ignored) {
        download_whole();
        return;
    }
    fetched_ += bytes.size();
    const std::lock_guard lock(mutex_);
    // Backwards, so that what was asked for counts as used last, and what was read ahead before that.
    for (std::uint64_t i = count; i-- > 0;) {
        const auto from = bytes.begin() + static_cast<std::ptrdiff_t>(i * kUnitSize);
        const auto to = from + static_cast<std::ptrdiff_t>(unit_size(first + i));
        keep(first + i, std::make_shared<const std::vector<std::byte>>(from, to));
    }
    changed_.notify_all();
}

// With mutex_ held, as the next two.
void RemoteBlob::keep(std::uint64_t number, Unit bytes) const {
    recently_used_.push_front(number);
    units_[number] = {std::move(bytes), recently_used_.begin()};
    while (recently_used_.size() > kCachedUnits) {
        const auto oldest = units_.find(recently_used_.back());
        put_aside(oldest->first, *oldest->second.bytes);
        units_.erase(oldest);
        recently_used_.pop_back();
    }
}

void RemoteBlob::put_aside(std::uint64_t number, const std::vector<std::byte>& bytes) const {
    if (!may_put_aside_ || is_aside(number))
        return;
    try {
        if (!scratch_) {
            scratch_ = scratch_file(operation_.scratch_folder);
            aside_.resize((blob_.size + kUnitSize - 1) / kUnitSize);
        }
        write_exactly_at(scratch_.get(), number * kUnitSize, bytes);
        aside_[number] = true;
    } catch (const Error&) {
        may_put_aside_ = false; // no room: what comes again is fetched again
    }
}

RemoteBlob::Unit RemoteBlob::fetch_back(std::uint64_t number) const {
    std::vector<std::byte> bytes(unit_size(number));
    read_exactly_at(scratch_.get(), number * kUnitSize, bytes);
    auto unit = std::make_shared<const std::vector<std::byte>>(std::move(bytes));
    keep(number, unit);
    return unit;
}

void RemoteBlob::download_whole() const {
    const std::lock_guard one_download(download_mutex_);
    {
        const std::lock_guard lock(mutex_);
        if (whole_)
            return;
    }
    operation_.progress->note(client_->host() + " does not serve parts of blobs: all of it is downloaded first");
    UniqueFd file = scratch_file(operation_.scratch_folder);
    FileSink sink(file.get());
    OperationContext quiet = operation_;
    quiet.progress = &silent_progress();
    download_blob(*client_, blob_, sink, quiet);
    fetched_ += blob_.size;
    const std::lock_guard lock(mutex_);
    whole_ = std::move(file);
    changed_.notify_all();
}

} // namespace vm2oci::registry
