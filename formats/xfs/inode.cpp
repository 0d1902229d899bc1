#include "formats/xfs/inode.hpp"

#include "formats/base/checked.hpp"
#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"

#include <fmt/format.h>

#include <cstring>
#include <limits>

namespace vm2oci::xfs {
namespace {

constexpr unsigned kInodeMagic = 0x494e; // "IN"
constexpr std::size_t kCoreBytes2 = 100;
constexpr std::size_t kCoreBytes3 = 176;
constexpr std::size_t kInodeChecksumAt = 100;
constexpr std::size_t kInodeNumberAt = 152;
constexpr std::size_t kInodeUuidAt = 160;

constexpr unsigned kFlagRealtime = 0x1;
constexpr std::uint64_t kFlagBigTime = 0x08;
constexpr std::uint64_t kFlagLargeCounters = 0x10;
constexpr std::uint64_t kFlagMetadata = 0x20;

constexpr std::uint64_t kNanoseconds = 1'000'000'000;
constexpr std::int64_t kBigTimeBegins = -(std::int64_t{1} << 31); // 1901-12-13

[[noreturn]] void fail_inode(std::uint64_t number, std::string_view what) {
    fail(ErrorKind::corrupt, fmt::format("inode {} {}", number, what));
}

template <std::unsigned_integral T>
T field(const Inode& inode, std::size_t at) {
    return load_be<T>(inode.raw.data() + at);
}

unsigned version_of(const Inode& inode) {
    return std::to_integer<unsigned>(inode.raw[4]);
}

std::uint64_t flags2_of(const Inode& inode) {
    return version_of(inode) == 3 ? field<std::uint64_t>(inode, 120) : 0;
}

ForkFormat fork_format(const Inode& inode, std::size_t at) {
    const unsigned format = std::to_integer<unsigned>(inode.raw[at]);
    if (format > static_cast<unsigned>(ForkFormat::tree))
        fail_inode(inode.number, "keeps its content in a form that there is not");
    return static_cast<ForkFormat>(format);
}

void check_identity(const Volume& volume, const Inode& inode, std::uint64_t offset) {
    if (field<std::uint16_t>(inode, 0) != kInodeMagic)
        fail_inode(inode.number, "is not there");
    const unsigned version = version_of(inode);
    if (volume.is_v5() ? version != 3 : version != 1 && version != 2)
        fail_inode(inode.number, "is of another version than its file system");
    if (!volume.is_v5())
        return;
    volume.check_sum(inode.raw, offset, kInodeChecksumAt, fmt::format("inode {}", inode.number));
    if (field<std::uint64_t>(inode, kInodeNumberAt) != inode.number)
        fail_inode(inode.number, "bears another number");
    const Uuid& uuid = volume.geometry().metadata_uuid;
    if (std::memcmp(inode.raw.data() + kInodeUuidAt, uuid.data(), uuid.size()) != 0)
        fail_inode(inode.number, "belongs to another xfs file system");
}

void find_forks(Inode& inode) {
    const std::size_t core = version_of(inode) == 3 ? kCoreBytes3 : kCoreBytes2;
    const std::size_t room = inode.raw.size() - core;
    const std::size_t data_bytes = std::to_integer<std::size_t>(inode.raw[82]) * 8;
    const bool has_large_counters = (flags2_of(inode) & kFlagLargeCounters) != 0;
    if (data_bytes >= room)
        fail_inode(inode.number, "has its attributes behind its end");
    inode.has_attributes = data_bytes != 0;
    const std::span<const std::byte> all = std::span<const std::byte>(inode.raw).subspan(core);
    inode.data.format = fork_format(inode, 5);
    inode.data.bytes = inode.has_attributes ? all.first(data_bytes) : all;
    inode.data.extents = has_large_counters ? field<std::uint64_t>(inode, 24) : field<std::uint32_t>(inode, 76);
    if (!inode.has_attributes)
        return;
    inode.attributes.format = fork_format(inode, 83);
    inode.attributes.bytes = all.subspan(data_bytes);
    inode.attributes.extents = has_large_counters ? field<std::uint32_t>(inode, 76) : field<std::uint16_t>(inode, 80);
}

Timestamp time_at(const Inode& inode, std::size_t at) {
    if ((flags2_of(inode) & kFlagBigTime) != 0) {
        const std::uint64_t since = field<std::uint64_t>(inode, at);
        return {kBigTimeBegins + static_cast<std::int64_t>(since / kNanoseconds),
                static_cast<std::uint32_t>(since % kNanoseconds)};
    }
    const auto nanoseconds = field<std::uint32_t>(inode, at + 4);
    return {static_cast<std::int32_t>(field<std::uint32_t>(inode, at)),
            static_cast<std::uint32_t>(std::min<std::uint64_t>(nanoseconds, kNanoseconds - 1))};
}

} // namespace

FileStatus Inode::status() const {
    FileStatus status;
    status.type = type;
    status.permissions = mode & 07777u;
    status.uid = field<std::uint32_t>(*this, 8);
    status.gid = field<std::uint32_t>(*this, 12);
    status.link_count = version_of(*this) == 1 ? field<std::uint16_t>(*this, 6) : field<std::uint32_t>(*this, 16);
    status.modified = time_at(*this, 40);
    if (type == FileType::regular || type == FileType::symlink)
        status.size = size;
    if (type == FileType::character_device || type == FileType::block_device) {
        // fs/xfs/xfs_linux.h, sysv_decode_dev().
        const auto device = load_be<std::uint32_t>(data.bytes.data());
        status.device_major = device >> 18 & 0x3fff;
        status.device_minor = device & 0x3ffff;
    }
    return status;
}

Inode read_inode(const Volume& volume, std::uint64_t number) {
    Inode inode;
    inode.number = number;
    inode.raw.resize(static_cast<std::size_t>(volume.geometry().inode_size));
    const std::uint64_t offset = volume.geometry().offset_of_inode(number);
    volume.read(offset, inode.raw);
    check_identity(volume, inode, offset);
    inode.mode = field<std::uint16_t>(inode, 2);
    const std::optional<FileType> type = file_type_of_mode(inode.mode);
    if (!type)
        fail_inode(number, inode.mode == 0 ? "is not in use" : "is of no known type");
    inode.type = *type;
    inode.size = field<std::uint64_t>(inode, 56);
    if (inode.size > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
        fail_inode(number, "is larger than a file can be");
    inode.is_realtime = (field<std::uint16_t>(inode, 90) & kFlagRealtime) != 0;
    if ((flags2_of(inode) & kFlagMetadata) != 0)
        fail_inode(number, "is metadata, and has a name");
    find_forks(inode);
    if (inode.status().link_count == 0)
        fail_inode(number, "is in use and was deleted");
    const bool is_device = inode.type == FileType::character_device || inode.type == FileType::block_device;
    if (is_device && (inode.data.format != ForkFormat::device || inode.data.bytes.size() < 4))
        fail_inode(number, "is a device without a number");
    return inode;
}

} // namespace vm2oci::xfs
