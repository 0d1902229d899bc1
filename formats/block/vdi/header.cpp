#include "formats/block/vdi/header.hpp"

#include "formats/base/checked.hpp"
#include "formats/base/endian.hpp"
#include "formats/base/fd.hpp"
#include "formats/base/size.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace vm2oci::vdi {
namespace {

constexpr std::uint32_t kSignature = 0xbeda107f;
constexpr std::uint32_t kVersion = 0x00010001;
constexpr std::uint64_t kBlockBytes = MiB;            // QEMU reads no other, and VirtualBox makes no other
constexpr std::uint32_t kMaxBlocks = 0x3fffffff;      // QEMU's limit
constexpr std::uint32_t kMinHeaderBytes = 0x180 - 72; // as version 1.1 has had it from the beginning
constexpr std::size_t kHeaderBytes = 512;
constexpr std::size_t kCommentBytes = 256;

namespace at {
constexpr std::size_t signature = 64;
constexpr std::size_t version = 68;
constexpr std::size_t header_size = 72;
constexpr std::size_t type = 76;
constexpr std::size_t comment = 84;
constexpr std::size_t map_offset = 340;
constexpr std::size_t data_offset = 344;
constexpr std::size_t sector_size = 360;
constexpr std::size_t disk_size = 368;
constexpr std::size_t block_size = 376;
constexpr std::size_t block_extra = 380;
constexpr std::size_t blocks = 384;
constexpr std::size_t allocated = 388;
constexpr std::size_t link_id = 424;
constexpr std::size_t parent_id = 440;
} // namespace at
constexpr std::size_t kUuidBytes = 16;

} // namespace

Header read_header(const BlockDevice& file) {
    std::array<std::byte, kHeaderBytes> bytes;
    if (file.size() < bytes.size())
        fail(ErrorKind::corrupt, fmt::format("the file has {} bytes and ends inside the header of a VDI", file.size()));
    file.read_at(0, bytes);
    const auto field = [&](std::size_t offset) { return load_le<std::uint32_t>(&bytes[offset]); };
    if (field(at::signature) != kSignature)
        fail(ErrorKind::corrupt, "not a VDI: it does not bear the signature");
    if (field(at::version) != kVersion)
        fail(ErrorKind::unsupported, fmt::format("version {:#x} of VDIs is not known here", field(at::version)));
    if (field(at::header_size) < kMinHeaderBytes)
        fail(ErrorKind::corrupt, fmt::format("the VDI claims a header of {} bytes", field(at::header_size)));
    const std::uint32_t type = field(at::type);
    if (type != static_cast<std::uint32_t>(ImageType::dynamic) && type != static_cast<std::uint32_t>(ImageType::fixed))
        fail(ErrorKind::unsupported, fmt::format("the VDI is of type {}, and only dynamic (1) and fixed (2) ones are "
                                                 "read here; convert a snapshot with the tool that made it",
                                                 type));
    const auto is_null = [&](std::size_t offset) { return is_zero(std::span(bytes).subspan(offset, kUuidBytes)); };
    if (!is_null(at::link_id) || !is_null(at::parent_id))
        fail(ErrorKind::unsupported, "the VDI is a snapshot on top of another one, which is not read here; convert it "
                                     "with the tool that made it");
    if (field(at::sector_size) != kSectorBytes)
        fail(ErrorKind::unsupported, fmt::format("the VDI's sectors have {} bytes", field(at::sector_size)));
    if (field(at::block_size) != kBlockBytes || field(at::block_extra) != 0)
        fail(ErrorKind::unsupported, fmt::format("the VDI's blocks have {} and {} bytes; only 1 MiB is read here",
                                                 field(at::block_size), field(at::block_extra)));
    Header header;
    header.type = static_cast<ImageType>(type);
    header.map_offset = field(at::map_offset);
    header.data_offset = field(at::data_offset);
    header.block_size = field(at::block_size);
    header.blocks = field(at::blocks);
    const std::string_view comment = as_text(bytes).substr(at::comment, kCommentBytes);
    header.comment = comment.substr(0, comment.find('\0'));
    // VirtualBox makes disks that do not end on a sector.
    header.disk_size = align_up(load_le<std::uint64_t>(&bytes[at::disk_size]), kSectorBytes, "size of the VDI's disk");
    if (header.map_offset % kSectorBytes != 0 || header.data_offset % kSectorBytes != 0 ||
        header.map_offset < kHeaderBytes)
        fail(ErrorKind::corrupt, fmt::format("the VDI's map is at {:#x} and its data at {:#x}, which is not behind the "
                                             "header on a sector",
                                             header.map_offset, header.data_offset));
    if (header.disk_size == 0)
        fail(ErrorKind::corrupt, "the VDI claims a disk of no bytes");
    if (header.blocks > kMaxBlocks)
        fail(ErrorKind::limit, fmt::format("the VDI has {} blocks; the limit is {}", header.blocks, kMaxBlocks));
    if (header.blocks < divide_up(header.disk_size, header.block_size))
        fail(ErrorKind::corrupt,
             fmt::format("the VDI has {} blocks, and a disk of {} needs {}", header.blocks,
                         format_size(header.disk_size), divide_up(header.disk_size, header.block_size)));
    if (field(at::allocated) > header.blocks)
        fail(ErrorKind::corrupt,
             fmt::format("the VDI claims {} allocated blocks of {}", field(at::allocated), header.blocks));
    return header;
}

} // namespace vm2oci::vdi
