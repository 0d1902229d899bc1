// Small VMDKs in memory, byte by byte: those that QEMU writes as well, and those that only VMware does.
//
// A unit of content is a grain of 4 KiB, filled with one value; guests have 600 grains, which needs two grain tables.
#pragma once

#include "tests/support/image_bytes.hpp"

#include <cstdint>
#include <map>
#include <string>

namespace vm2oci::test {

inline constexpr std::uint64_t kVmdkGrain = 4096;
inline constexpr std::uint64_t kVmdkGrains = 600;
inline constexpr std::uint64_t kVmdkSectors = kVmdkGrains * kVmdkGrain / 512;
inline constexpr unsigned kZeroedGrain = 0x100; // as a value: the table says zeros, and nothing is stored

// By grain; what is not in it is not allocated.
using GrainValues = std::map<std::uint64_t, unsigned>;

// "# Disk DescriptorFile …" with these lines of extents.
std::string vmdk_descriptor(const std::string& create_type, const std::string& extents,
                            const std::string& parent_id = "ffffffff", const std::string& id = "1a2b3c4d");

// Where make_sparse_vmdk() puts things, in bytes.
namespace sparse_at {
inline constexpr std::uint64_t descriptor = 512;
inline constexpr std::uint64_t redundant_directory = 21 * 512;
inline constexpr std::uint64_t redundant_tables = 22 * 512; // two of 2 KiB
inline constexpr std::uint64_t directory = 30 * 512;
inline constexpr std::uint64_t tables = 31 * 512;
inline constexpr std::uint64_t grains = 40 * 512;
} // namespace sparse_at

// monolithicSparse with both directories. `descriptor` empty: an extent without one.
ImageBytes make_sparse_vmdk(const GrainValues& values, const std::string& descriptor);
inline ImageBytes make_sparse_vmdk(const GrainValues& values) {
    return make_sparse_vmdk(
        values, vmdk_descriptor("monolithicSparse", "RW " + std::to_string(kVmdkSectors) + " SPARSE \"a.vmdk\"\n"));
}

// streamOptimized as VMware exports it: grains behind markers, tables behind them, and a footer.
ImageBytes make_stream_vmdk(const GrainValues& values);
// Where its first grain's marker is.
inline constexpr std::uint64_t kStreamGrainsAt = 128 * 512;

// The extent of a vmfsSparse disk (COWD): grains of 8 sectors, one table of 4096.
ImageBytes make_cowd_extent(const GrainValues& values);
namespace cowd_at {
inline constexpr std::uint64_t directory = 2048;
inline constexpr std::uint64_t table = 4096;
inline constexpr std::uint64_t grains = 4096 + 16384;
} // namespace cowd_at

// The extent of a seSparse disk.
ImageBytes make_sesparse_extent(const GrainValues& values);
namespace sesparse_at {
inline constexpr std::uint64_t volatile_header = 512;
inline constexpr std::uint64_t directory = 8 * 512;
inline constexpr std::uint64_t tables = 16 * 512;
inline constexpr std::uint64_t grains = 256 * 512;
} // namespace sesparse_at

} // namespace vm2oci::test
