// A blob in a registry as a BlockDevice: fetched by ranges, with read-ahead, and each byte once.
#pragma once

#include "formats/base/fd.hpp"
#include "libconvert/registry/blob_download.hpp"

#include <atomic>
#include <condition_variable>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

namespace vm2oci::registry {

inline constexpr std::uint64_t kUnitSize = 4 * KiB;      // what is cached; frames are larger, and cost little more then
inline constexpr std::uint64_t kLongestReadAhead = 1024; // units in one request while reads are sequential: 4 MiB
inline constexpr std::size_t kCachedUnits = 8192;        // 32 MiB in memory for each blob; the rest in a scratch file

// Every read is one request. Thread-safe. Error{unsupported} from registries that ignore ranges.
class RemoteParts final : public BlockDevice {
  public:
    RemoteParts(std::shared_ptr<RegistryClient> client, const Descriptor& blob)
        : client_(std::move(client)), size_(blob.size), fetcher_(*client_, blob) {}

    std::uint64_t size() const override { return size_; }
    void read_at(std::uint64_t offset, std::span<std::byte> buffer) const override;
    Extent extent_at(std::uint64_t offset) const override;

  private:
    std::shared_ptr<RegistryClient> client_;
    std::uint64_t size_;
    mutable RangeFetcher fetcher_;
};

// Thread-safe. The content is not checked against the digest, but for registries that ignore ranges: from those the
// whole blob is downloaded into a scratch file at the first read, and checked.
class RemoteBlob final : public BlockDevice {
  public:
    RemoteBlob(std::shared_ptr<RegistryClient> client, Descriptor blob, OperationContext operation);

    std::uint64_t size() const override { return blob_.size; }
    void read_at(std::uint64_t offset, std::span<std::byte> buffer) const override;
    Extent extent_at(std::uint64_t offset) const override;

    // Bytes that have come over the network so far.
    std::uint64_t fetched_bytes() const { return fetched_.load(std::memory_order_relaxed); }

  private:
    using Unit = std::shared_ptr<const std::vector<std::byte>>;
    struct Kept {
        Unit bytes; // null: being fetched
        std::list<std::uint64_t>::iterator use;
    };

    Unit unit(std::uint64_t number, std::uint64_t last) const;
    void keep(std::uint64_t number, Unit bytes) const;
    void put_aside(std::uint64_t number, const std::vector<std::byte>& bytes) const;
    Unit fetch_back(std::uint64_t number) const;
    bool is_aside(std::uint64_t number) const { return number < aside_.size() && aside_[number]; }
    std::uint64_t units_to_fetch(std::uint64_t number, std::uint64_t last) const;
    void fetch_units(std::uint64_t first, std::uint64_t count) const;
    void download_whole() const;
    std::uint64_t unit_size(std::uint64_t number) const;

    std::shared_ptr<RegistryClient> client_;
    Descriptor blob_;
    OperationContext operation_;
    mutable RangeFetcher fetcher_;
    mutable std::atomic<std::uint64_t> fetched_{0};

    mutable std::mutex mutex_;
    mutable std::condition_variable changed_;
    mutable std::map<std::uint64_t, Kept> units_;
    mutable std::list<std::uint64_t> recently_used_; // most recent first; only what is there
    mutable std::uint64_t next_sequential_ = 0;
    mutable std::uint64_t read_ahead_ = 1;
    mutable unsigned streak_ = 0; // requests that went on where the last one ended
    // What memory has no room for, at its place in the blob: a guest comes back to what it read before, and the network
    // is slower than any disk.
    mutable UniqueFd scratch_;
    mutable std::vector<bool> aside_; // units that scratch_ holds
    mutable bool may_put_aside_ = true;
    mutable UniqueFd whole_; // the scratch file of download_whole(), once it is complete
    mutable std::mutex download_mutex_;
};

} // namespace vm2oci::registry
