#include "tests/support/vmdk_writer.hpp"

#include <zlib.h>

namespace vm2oci::test {
namespace {

constexpr std::uint64_t kSector = 512;
constexpr std::uint64_t kTableEntries = 512;

void put_header(ImageBytes& image, std::uint64_t offset, std::uint32_t version, std::uint32_t flags,
                std::uint64_t descriptor_sectors, std::uint64_t redundant, std::uint64_t directory,
                std::uint64_t overhead, std::uint16_t compression) {
    image.put(offset, "KDMV");
    image.put_le(offset + 4, 4, version);
    image.put_le(offset + 8, 4, flags);
    image.put_le(offset + 12, 8, kVmdkSectors);
    image.put_le(offset + 20, 8, kVmdkGrain / kSector);
    image.put_le(offset + 28, 8, descriptor_sectors == 0 ? 0 : 1);
    image.put_le(offset + 36, 8, descriptor_sectors);
    image.put_le(offset + 44, 4, kTableEntries);
    image.put_le(offset + 48, 8, redundant);
    image.put_le(offset + 56, 8, directory);
    image.put_le(offset + 64, 8, overhead);
    image.put(offset + 73, "\n \r\n");
    image.put_le(offset + 77, 2, compression);
    image.fill(offset + 79, kSector - 79, 0);
}

std::vector<std::byte> packed(unsigned value) {
    const std::vector<std::byte> grain(kVmdkGrain, std::byte(value));
    std::vector<std::byte> stream(compressBound(kVmdkGrain));
    uLongf length = stream.size();
    compress(reinterpret_cast<Bytef*>(stream.data()), &length, reinterpret_cast<const Bytef*>(grain.data()),
             kVmdkGrain);
    stream.resize(length);
    return stream;
}

void put_marker(ImageBytes& image, std::uint64_t sectors, std::uint32_t type) {
    const std::uint64_t at = image.size();
    image.fill(at, kSector, 0);
    image.put_le(at, 8, sectors);
    image.put_le(at + 12, 4, type);
}

} // namespace

std::string vmdk_descriptor(const std::string& create_type, const std::string& extents, const std::string& parent_id,
                            const std::string& id) {
    return "# Disk DescriptorFile\nversion=1\nencoding=\"UTF-8\"\nCID=" + id + "\nparentCID=" + parent_id +
           "\ncreateType=\"" + create_type + "\"\n\n# Extent description\n" + extents +
           "\n# The Disk Data Base\n#DDB\n\nddb.adapterType = \"lsilogic\"\n";
}

ImageBytes make_sparse_vmdk(const GrainValues& values, const std::string& descriptor) {
    constexpr std::uint32_t kFlags = 1 | 2 | 4; // newline test, redundant directory, zeroed grains
    ImageBytes image;
    put_header(image, 0, 2, kFlags, descriptor.empty() ? 0 : 20, sparse_at::redundant_directory / kSector,
               sparse_at::directory / kSector, sparse_at::grains / kSector, 0);
    image.put(sparse_at::descriptor, descriptor);
    for (std::uint64_t table = 0; table < 2; ++table) {
        image.put_le(sparse_at::redundant_directory + 4 * table, 4, sparse_at::redundant_tables / kSector + 4 * table);
        image.put_le(sparse_at::directory + 4 * table, 4, sparse_at::tables / kSector + 4 * table);
    }
    image.fill(sparse_at::grains - 1, 1, 0);
    for (const auto& [grain, value] : values) {
        std::uint64_t entry = 1;
        if (value != kZeroedGrain) {
            entry = image.size() / kSector;
            image.fill(image.size(), kVmdkGrain, static_cast<std::uint8_t>(value));
        }
        image.put_le(sparse_at::tables + 4 * grain, 4, entry);
        image.put_le(sparse_at::redundant_tables + 4 * grain, 4, entry);
    }
    return image;
}

ImageBytes make_stream_vmdk(const GrainValues& values) {
    constexpr std::uint32_t kFlags = 0x30001;
    constexpr std::uint32_t kTableMarker = 1;
    constexpr std::uint32_t kDirectoryMarker = 2;
    constexpr std::uint32_t kFooterMarker = 3;
    constexpr std::uint32_t kEndMarker = 0;
    ImageBytes image;
    put_header(image, 0, 3, kFlags, 20, 0, ~std::uint64_t{0}, 128, 1);
    image.put(kSector, vmdk_descriptor("streamOptimized",
                                       "RW " + std::to_string(kVmdkSectors) + " SPARSE \"generated-stream.vmdk\"\n"));
    image.fill(kStreamGrainsAt - 1, 1, 0);
    std::vector<std::uint64_t> directory;
    for (std::uint64_t first = 0; first < kVmdkGrains; first += kTableEntries) {
        ImageBytes table;
        table.fill(0, kTableEntries * 4, 0);
        bool any = false;
        for (const auto& [grain, value] : values) {
            if (grain < first || grain >= first + kTableEntries)
                continue;
            any = true;
            const std::uint64_t at = image.size();
            const std::vector<std::byte> stream = packed(value);
            table.put_le((grain - first) * 4, 4, at / kSector);
            image.put_le(at, 8, grain * kVmdkGrain / kSector);
            image.put_le(at + 8, 4, stream.size());
            image.put(at + 12, stream);
            image.align(kSector);
        }
        if (any) {
            put_marker(image, kTableEntries * 4 / kSector, kTableMarker);
            directory.push_back(image.size() / kSector);
            image.put(image.size(), table.bytes);
        } else {
            directory.push_back(0);
        }
    }
    put_marker(image, 1, kDirectoryMarker);
    const std::uint64_t directory_at = image.size();
    for (std::size_t i = 0; i < directory.size(); ++i)
        image.put_le(directory_at + 4 * i, 4, directory[i]);
    image.align(kSector);
    put_marker(image, 1, kFooterMarker);
    put_header(image, image.size(), 3, kFlags, 20, 0, directory_at / kSector, 128, 1);
    put_marker(image, 0, kEndMarker);
    return image;
}

ImageBytes make_cowd_extent(const GrainValues& values) {
    ImageBytes image;
    image.put(0, "COWD");
    image.put_le(4, 4, 1);
    image.put_le(8, 4, 3);
    image.put_le(12, 4, kVmdkSectors);
    image.put_le(16, 4, kVmdkGrain / kSector);
    image.put_le(20, 4, cowd_at::directory / kSector);
    image.put_le(24, 4, 1);
    image.put_le(cowd_at::directory, 4, cowd_at::table / kSector);
    image.fill(cowd_at::grains - 1, 1, 0);
    for (const auto& [grain, value] : values) {
        image.put_le(cowd_at::table + 4 * grain, 4, image.size() / kSector);
        image.fill(image.size(), kVmdkGrain, static_cast<std::uint8_t>(value));
    }
    image.put_le(28, 4, image.size() / kSector);
    return image;
}

ImageBytes make_sesparse_extent(const GrainValues& values) {
    ImageBytes image;
    image.put_le(0, 8, 0xcafebabe);
    image.put_le(8, 8, 0x200000001);
    image.put_le(16, 8, kVmdkSectors);
    image.put_le(24, 8, 8);
    image.put_le(32, 8, 64);
    // Offset and size in sectors: volatile header, journal header, journal, directory, tables, free bitmap, back map,
    // grains.
    const std::uint64_t places[] = {1, 1, 2, 1, 3, 1, 8, 1, 16, 64, 80, 8, 88, 8, 256, kVmdkSectors};
    for (std::size_t i = 0; i < std::size(places); ++i)
        image.put_le(80 + 8 * i, 8, places[i]);
    image.put_le(sesparse_at::volatile_header, 8, 0xcafecafe);
    image.put_le(sesparse_at::directory, 8, 0x1000000000000000);
    image.fill(sesparse_at::grains - 1, 1, 0);
    std::uint64_t index = 0;
    for (const auto& [grain, value] : values) {
        std::uint64_t entry = 0x2000000000000000;
        if (value != kZeroedGrain) {
            // The low twelve bits of the index stand at the top of the entry.
            entry = 0x3000000000000000 | (index & 0xfff) << 48 | index >> 12;
            image.fill(sesparse_at::grains + index * kVmdkGrain, kVmdkGrain, static_cast<std::uint8_t>(value));
            ++index;
        }
        image.put_le(sesparse_at::tables + 8 * grain, 8, entry);
    }
    return image;
}

} // namespace vm2oci::test
