#include "tests/support/vhdx_writer.hpp"

#include "formats/base/crc32c.hpp"

namespace vm2oci::test {
namespace {

constexpr std::uint64_t kSlot = 4096;

void put_guid(ImageBytes& image, std::uint64_t offset, const std::string& guid) {
    image.put(offset, std::span<const std::byte>(vhdx::make_guid(guid)));
}

void seal(ImageBytes& image, std::uint64_t offset, std::uint64_t length) {
    image.put_le(offset + 4, 4, 0);
    image.put_le(offset + 4, 4, crc32c(image.at(offset, length)));
}

void put_utf16(ImageBytes& image, std::uint64_t offset, const std::string& text) {
    for (std::size_t i = 0; i < text.size(); ++i)
        image.put_le(offset + 2 * i, 2, static_cast<std::uint8_t>(text[i]));
}

void put_item(ImageBytes& image, std::uint64_t index, const std::string& guid, std::uint64_t offset,
              std::uint64_t length) {
    const std::uint64_t entry = vhdx_at::metadata + 32 + 32 * index;
    put_guid(image, entry, guid);
    image.put_le(entry + 16, 4, offset - vhdx_at::metadata);
    image.put_le(entry + 20, 4, length);
    image.put_le(entry + 24, 4, 4);
}

void put_metadata(ImageBytes& image, const VhdxShape& shape) {
    const std::uint64_t items = vhdx_at::items;
    image.put(vhdx_at::metadata, "metadata");
    image.put_le(vhdx_at::metadata + 10, 2, shape.parent_guid ? 6 : 5);
    put_item(image, 0, "caa16737-fa36-4d43-b3b6-33f0aa44e76b", items, 8);
    image.put_le(items, 4, shape.block_size);
    image.put_le(items + 4, 4, shape.parent_guid ? 2 : 0);
    put_item(image, 1, "2fa54224-cd1b-4876-b211-5dbed83bf4b8", items + 8, 8);
    image.put_le(items + 8, 8, shape.size);
    put_item(image, 2, "beca12ab-b2e6-4523-93ef-c309e000c746", items + 16, 16);
    image.fill(items + 16, 16, 0x77);
    put_item(image, 3, "8141bf1d-a96f-4709-ba47-f233a8faab5f", items + 32, 4);
    image.put_le(items + 32, 4, shape.sector_size);
    put_item(image, 4, "cda348c7-445d-4471-9cc9-e9885251c556", items + 36, 4);
    image.put_le(items + 36, 4, 4096);
    if (!shape.parent_guid)
        return;
    const std::string key = "parent_linkage";
    const std::string value = "{" + *shape.parent_guid + "}";
    put_item(image, 5, "a8d35f2d-b30b-454d-abf7-d3d84834ab0c", items + 64, 256);
    put_guid(image, items + 64, "b04aefb7-d19e-4a81-b789-25b8e9445913");
    image.put_le(items + 64 + 18, 2, 1);
    image.put_le(items + 64 + 20, 4, 32);
    image.put_le(items + 64 + 24, 4, 64);
    image.put_le(items + 64 + 28, 2, 2 * key.size());
    image.put_le(items + 64 + 30, 2, 2 * value.size());
    put_utf16(image, items + 64 + 32, key);
    put_utf16(image, items + 64 + 64, value);
}

// The entries of the table, and what they point to.
void put_blocks(ImageBytes& image, const VhdxShape& shape) {
    const std::uint64_t ratio = (std::uint64_t{1} << 23) * shape.sector_size / shape.block_size;
    const auto put_entry = [&](std::uint64_t index, std::uint64_t place, std::uint64_t state) {
        image.put_le(vhdx_at::table + 8 * index, 8, place | state);
    };
    image.fill(vhdx_at::blocks - 1, 1, 0);
    if (shape.parent_guid) {
        const std::uint64_t bitmap = image.size();
        image.fill(bitmap, kMegabyte, 0);
        put_entry(ratio, bitmap, 6);
        for (const auto& [block, value] : shape.partial_blocks) {
            const std::uint64_t sectors = shape.block_size / shape.sector_size;
            image.fill(bitmap + block * sectors / 8, sectors / 8, 0x55); // sectors 0, 2, 4 …
        }
    }
    const auto put_block = [&](std::uint64_t block, std::uint8_t value, std::uint64_t state) {
        put_entry(block + block / ratio, image.size(), state);
        image.fill(image.size(), shape.block_size, value);
    };
    for (const auto& [block, value] : shape.blocks)
        put_block(block, value, 6);
    for (const auto& [block, value] : shape.partial_blocks)
        put_block(block, value, 7);
}

} // namespace

void seal_vhdx(ImageBytes& image) {
    for (const std::uint64_t header : vhdx_at::headers)
        seal(image, header, 4096);
    for (const std::uint64_t table : vhdx_at::regions)
        seal(image, table, 65536);
}

ImageBytes make_vhdx(const VhdxShape& shape) {
    ImageBytes image;
    image.put(0, "vhdxfile");
    put_utf16(image, 8, "a test");
    for (std::uint64_t i = 0; i < 2; ++i) {
        const std::uint64_t header = vhdx_at::headers[i];
        image.fill(header, 4096, 0);
        image.put(header, "head");
        image.put_le(header + 8, 8, 7 + i);
        put_guid(image, header + 32, shape.data_guid);
        image.put_le(header + 66, 2, 1);
        image.put_le(header + 68, 4, kMegabyte);
        image.put_le(header + 72, 8, vhdx_at::log);
        const std::uint64_t regions = vhdx_at::regions[i];
        image.fill(regions, 65536, 0);
        image.put(regions, "regi");
        image.put_le(regions + 8, 4, 2);
        put_guid(image, regions + 16, "2dc27766-f623-4200-9d64-115e9bfd4a08");
        image.put_le(regions + 32, 8, vhdx_at::table);
        image.put_le(regions + 40, 4, kMegabyte);
        image.put_le(regions + 44, 4, 1);
        put_guid(image, regions + 48, "8b7ca206-4790-4b9a-b8fe-575f050f886e");
        image.put_le(regions + 64, 8, vhdx_at::metadata);
        image.put_le(regions + 72, 4, kMegabyte);
        image.put_le(regions + 76, 4, 1);
    }
    put_metadata(image, shape);
    put_blocks(image, shape);
    seal_vhdx(image);
    return image;
}

void mark_log(ImageBytes& image) {
    for (const std::uint64_t header : vhdx_at::headers)
        put_guid(image, header + 48, kLogGuid);
    seal_vhdx(image);
}

std::uint64_t put_log_entry(ImageBytes& image, const LogEntryShape& entry) {
    ImageBytes bytes;
    const std::uint64_t heads = (64 + 32 * entry.changes.size() + kSlot - 1) / kSlot;
    bytes.fill(0, heads * kSlot, 0);
    bytes.put(0, "loge");
    bytes.put_le(12, 4, entry.tail_slot * kSlot);
    bytes.put_le(16, 8, entry.sequence);
    bytes.put_le(24, 4, entry.changes.size());
    put_guid(bytes, 32, kLogGuid);
    bytes.put_le(48, 8, entry.flushed_size);
    bytes.put_le(56, 8, entry.last_size);
    std::uint64_t descriptor = 64;
    for (const LogChange& change : entry.changes) {
        bytes.put(descriptor, change.content ? "desc" : "zero");
        bytes.put_le(descriptor + 16, 8, change.offset);
        bytes.put_le(descriptor + 24, 8, entry.sequence);
        if (change.content) {
            const std::span<const std::byte> page(*change.content);
            bytes.put(descriptor + 4, page.last(4));
            bytes.put(descriptor + 8, page.first(8));
            const std::uint64_t data = bytes.size();
            bytes.put(data, "data");
            bytes.put_le(data + 4, 4, entry.sequence >> 32);
            bytes.put(data + 8, page.subspan(8, 4084));
            bytes.put_le(data + 4092, 4, entry.sequence & 0xffffffff);
        } else {
            bytes.put_le(descriptor + 8, 8, change.length);
        }
        descriptor += 32;
    }
    bytes.put_le(8, 4, bytes.size());
    bytes.put_le(4, 4, crc32c(bytes.bytes));
    for (std::uint64_t at = 0; at < bytes.size(); at += kSlot)
        image.put(vhdx_at::log + (entry.slot * kSlot + at) % kMegabyte, bytes.at(at, kSlot));
    return bytes.size() / kSlot;
}

void seal_log_entry(ImageBytes& image, std::uint64_t slot, std::uint64_t slots) {
    seal(image, vhdx_at::log + slot * kSlot, slots * kSlot);
}

} // namespace vm2oci::test
