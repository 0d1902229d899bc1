// libext2fs over our disks: an open file system handle whose blocks come from a BlockDevice.
//
// Nothing throws through libext2fs: what the disk throws is kept, the library gets an error code, and check() rethrows
// the original once the library has returned.
#pragma once

#include "formats/block/block_changes.hpp"
#include "formats/block/block_device.hpp"

#include <ext2fs/ext2fs.h>

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace vm2oci {

// A bit of one of the superblock's sets of features, and what e2fsprogs calls it.
struct Ext4FeatureName {
    std::uint32_t bit;
    const char* name;
};

// What a new file system is given; everything else is as mke2fs makes ext4 by default.
struct Ext4Geometry {
    std::uint64_t inodes = 0;
    std::array<std::byte, 16> uuid{};
    std::array<std::byte, 16> hash_seed{}; // of the order of names in indexed folders
    std::string label;                     // the first 16 bytes count
    std::int64_t time = 1;                 // seconds since 1970, 1 to 2^32 - 1: when it was made
    unsigned reserved_percent = 5;         // of the blocks, for root
};

// Group descriptors are held in memory. Honest ones of 2 TiB in blocks of 1 KiB take 16 MiB.
inline constexpr std::uint64_t kMaxGroupDescriptorBytes = 32ull * 1024 * 1024;

// Not thread-safe.
class Ext4Library {
  public:
    // Opens for reading, or for writing if `changes` is given; then `device` must show what was written to `changes`.
    // Both outlive this object's user: `device` is shared, `changes` is not owned. Error{corrupt}, Error{unsupported}
    // (by the feature's name), Error{limit}. The journal is not looked at (see journal.hpp).
    explicit Ext4Library(std::shared_ptr<const BlockDevice> device, BlockChanges* changes = nullptr);
    // Makes an ext4 file system with blocks of 4 KiB that fills `device`, which reads as zeros, and leaves it open for
    // writing: with a root folder, lost+found and a journal, and nothing else. The same input makes the same bytes.
    // Error{limit} for a size that no ext4 can have.
    Ext4Library(std::shared_ptr<const BlockDevice> device, BlockChanges& changes, const Ext4Geometry& geometry);
    ~Ext4Library(); // without writing: call close() to flush
    Ext4Library(const Ext4Library&) = delete;
    Ext4Library& operator=(const Ext4Library&) = delete;

    ext2_filsys handle() const { return handle_; }
    const BlockDevice& device() const { return *device_; }

    // Throws what the disk threw during the call that returned `code`, else Error{corrupt} with the library's words;
    // nothing when `code` is 0 and the disk was well.
    void check(errcode_t code, std::string_view what) const;
    // Until the next call, at most `count` blocks may be read through the library: what makes it read more is a
    // structure that goes in circles. 0: no limit.
    void limit_reads(std::uint64_t count) const;
    // Writes everything out and closes. The object must not be used afterwards.
    void close();

  private:
    struct Channel;
    friend struct ChannelFunctions;

    void initialize(const Ext4Geometry& geometry);
    // The root, lost+found, and what the format keeps for itself.
    void make_reserved_inodes();

    std::shared_ptr<const BlockDevice> device_;
    std::unique_ptr<Channel> channel_;
    ext2_filsys handle_ = nullptr;
};

} // namespace vm2oci
