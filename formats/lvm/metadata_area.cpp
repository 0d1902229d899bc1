#include "formats/lvm/metadata_area.hpp"

#include "formats/base/checked.hpp"
#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"
#include "formats/lvm/volume_group.hpp"

#include <libdeflate.h>

#include <array>
#include <cstring>
#include <optional>

namespace vm2oci::lvm {
namespace {

constexpr std::size_t kSector = 512;
constexpr std::uint32_t kChecksumSeed = 0xf597a6cf;
constexpr std::size_t kAreaHeader = 512;
constexpr std::uint32_t kLocationIgnored = 1;
constexpr std::size_t kMaxAreas = 16;

// LVM's CRC-32 starts elsewhere and is not inverted at its end.
std::uint32_t checksum(std::span<const std::byte> bytes) {
    return ~libdeflate_crc32(~kChecksumSeed, bytes.data(), bytes.size());
}

struct Area {
    std::uint64_t offset;
    std::uint64_t size;
};

// The metadata areas that the label names.
std::vector<Area> read_areas(const BlockDevice& device) {
    for (std::uint64_t sector = 0; sector < 4; ++sector) {
        std::array<std::byte, kSector> label;
        if ((sector + 1) * kSector > device.size())
            break;
        device.read_at(sector * kSector, label);
        if (std::memcmp(label.data(), "LABELONE", 8) != 0 || std::memcmp(label.data() + 24, "LVM2 001", 8) != 0)
            continue;
        if (load_le<std::uint32_t>(label.data() + 16) != checksum(std::span(label).subspan(20)))
            fail(ErrorKind::corrupt, "the checksum of the LVM label is wrong");
        std::size_t at = load_le<std::uint32_t>(label.data() + 20);
        if (at > kSector - 40)
            fail(ErrorKind::corrupt, "the LVM label is damaged");
        at += 32 + 8; // identifier and device size; then data areas, a zero, metadata areas, a zero
        std::vector<Area> areas;
        for (unsigned lists_done = 0; lists_done < 2; at += 16) {
            if (at + 16 > kSector)
                fail(ErrorKind::corrupt, "the LVM label is damaged");
            const Area area{load_le<std::uint64_t>(label.data() + at), load_le<std::uint64_t>(label.data() + at + 8)};
            if (area.offset == 0)
                ++lists_done;
            else if (lists_done == 1 && areas.size() < kMaxAreas)
                areas.push_back(area);
        }
        return areas;
    }
    fail(ErrorKind::corrupt, "the LVM label is not there");
}

std::optional<std::string> read_area(const BlockDevice& device, const Area& area) {
    constexpr std::string_view kMagic = " LVM2 x[5A%r0N*>";
    if (area.size < kAreaHeader || area.offset > device.size() || area.size > device.size() - area.offset)
        fail(ErrorKind::corrupt, "an LVM metadata area lies outside its volume");
    std::array<std::byte, kAreaHeader> header;
    device.read_at(area.offset, header);
    if (std::memcmp(header.data() + 4, kMagic.data(), kMagic.size()) != 0 ||
        load_le<std::uint32_t>(header.data()) != checksum(std::span(header).subspan(4)))
        fail(ErrorKind::corrupt, "an LVM metadata area is damaged");
    const std::byte* location = header.data() + 40;
    const std::uint64_t offset = load_le<std::uint64_t>(location);
    const std::uint64_t size = load_le<std::uint64_t>(location + 8);
    if (offset == 0 || size == 0 || (load_le<std::uint32_t>(location + 20) & kLocationIgnored) != 0)
        return std::nullopt;
    if (size > kMaxLvmTextBytes)
        fail(ErrorKind::limit, "the LVM metadata is larger than any real one");
    if (offset < kAreaHeader || offset >= area.size || size > area.size - kAreaHeader)
        fail(ErrorKind::corrupt, "the LVM metadata lies outside its area");
    // The area behind its header is a ring.
    std::string text(static_cast<std::size_t>(size), '\0');
    const std::span<std::byte> bytes = std::as_writable_bytes(std::span(text));
    const std::size_t first = static_cast<std::size_t>(std::min(size, area.size - offset));
    device.read_at(area.offset + offset, bytes.first(first));
    if (first < bytes.size())
        device.read_at(area.offset + kAreaHeader, bytes.subspan(first));
    if (load_le<std::uint32_t>(location + 16) != checksum(bytes))
        fail(ErrorKind::corrupt, "the checksum of the LVM metadata is wrong");
    return text;
}

} // namespace

std::string read_metadata_text(const BlockDevice& device) {
    std::optional<Error> problem;
    for (const Area& area : read_areas(device)) {
        try {
            if (std::optional<std::string> text = read_area(device, area))
                return std::move(*text);
        } catch (const Error& error) {
            // A second area at the end of the volume may still be good.
            if (error.kind() != ErrorKind::corrupt)
                throw;
            problem = error;
        }
    }
    if (problem)
        throw Error(*problem);
    return {};
}

} // namespace vm2oci::lvm
