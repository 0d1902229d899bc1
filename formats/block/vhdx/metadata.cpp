#include "formats/block/vhdx/metadata.hpp"

#include "formats/base/checked.hpp"
#include "formats/base/endian.hpp"
#include "formats/base/fd.hpp"
#include "formats/base/size.hpp"
#include "formats/base/utf16.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <vector>

namespace vm2oci::vhdx {
namespace {

constexpr std::uint64_t kTableBytes = 64 * KiB;
constexpr std::size_t kTableHeadBytes = 32;
constexpr std::size_t kItemEntryBytes = 32;
constexpr std::uint32_t kMaxItems = 2047;
constexpr std::uint32_t kMaxItemBytes = MiB; // the format's
constexpr std::uint64_t kMinBlockBytes = MiB;
constexpr std::uint64_t kMaxBlockBytes = 256 * MiB;
constexpr std::uint64_t kMaxDiskBytes = 64 * TiB;
constexpr std::uint32_t kUserItem = 1;
constexpr std::uint32_t kRequiredItem = 4;
constexpr std::uint32_t kFixedFlag = 1;
constexpr std::uint32_t kParentFlag = 2;

enum Item : std::size_t { file_parameters, disk_size, disk_id, logical_sector, physical_sector, parent_locator };
constexpr std::size_t kKnownItems = 6;

const std::array<Guid, kKnownItems>& item_guids() {
    static const std::array<Guid, kKnownItems> guids = {
        make_guid("caa16737-fa36-4d43-b3b6-33f0aa44e76b"), make_guid("2fa54224-cd1b-4876-b211-5dbed83bf4b8"),
        make_guid("beca12ab-b2e6-4523-93ef-c309e000c746"), make_guid("8141bf1d-a96f-4709-ba47-f233a8faab5f"),
        make_guid("cda348c7-445d-4471-9cc9-e9885251c556"), make_guid("a8d35f2d-b30b-454d-abf7-d3d84834ab0c")};
    return guids;
}

struct ItemPlace {
    std::uint64_t offset = 0; // in the region
    std::uint32_t length = 0;
};

using ItemPlaces = std::array<std::optional<ItemPlace>, kKnownItems>;

void check_apart(std::vector<ItemPlace> places) {
    std::ranges::sort(places, {}, &ItemPlace::offset);
    for (std::size_t i = 1; i < places.size(); ++i)
        if (places[i].offset < places[i - 1].offset + places[i - 1].length)
            fail(ErrorKind::corrupt, "two items of the VHDX' metadata lie over each other");
}

ItemPlaces read_table(const BlockDevice& file, const Region& region) {
    if (region.length < kTableBytes || region.end() > file.size())
        fail(ErrorKind::corrupt, "the VHDX' metadata ends beyond the file: it is truncated; get it again");
    std::vector<std::byte> table(kTableBytes);
    file.read_at(region.offset, table);
    if (!as_text(table).starts_with("metadata"))
        fail(ErrorKind::corrupt, "the VHDX has no metadata where its region table says");
    const auto count = load_le<std::uint16_t>(&table[10]);
    if (count > kMaxItems)
        fail(ErrorKind::corrupt,
             fmt::format("the VHDX' metadata has {} items; the format ends at {}", count, kMaxItems));
    ItemPlaces known;
    std::vector<ItemPlace> all;
    for (std::size_t i = 0; i < count; ++i) {
        const std::byte* entry = &table[kTableHeadBytes + i * kItemEntryBytes];
        const Guid guid = load_guid(entry);
        const ItemPlace place{load_le<std::uint32_t>(entry + 16), load_le<std::uint32_t>(entry + 20)};
        const auto flags = load_le<std::uint32_t>(entry + 24);
        if (place.length > kMaxItemBytes || (place.length == 0 && place.offset != 0) ||
            (place.length != 0 && (place.offset < kTableBytes || place.offset + place.length > region.length)))
            fail(ErrorKind::corrupt, fmt::format("an item of the VHDX' metadata is at {:#x} and has {} bytes, which is "
                                                 "not in its region",
                                                 place.offset, place.length));
        if (place.length != 0)
            all.push_back(place);
        const auto found = std::ranges::find(item_guids(), guid);
        if (found == item_guids().end() || (flags & kUserItem) != 0) {
            if ((flags & kRequiredItem) != 0)
                fail(ErrorKind::unsupported, "the VHDX needs metadata that is not known here: " + to_string(guid));
            continue;
        }
        std::optional<ItemPlace>& item = known[static_cast<std::size_t>(found - item_guids().begin())];
        if (item)
            fail(ErrorKind::corrupt, "the VHDX' metadata has an item twice: " + to_string(guid));
        item = place;
    }
    check_apart(std::move(all));
    return known;
}

class ItemReader {
  public:
    ItemReader(const BlockDevice& file, const Region& region, const ItemPlaces& places)
        : file_(file), region_(region), places_(places) {}

    bool has(Item item) const { return places_[item].has_value(); }
    std::vector<std::byte> read(Item item) const {
        if (!places_[item])
            fail(ErrorKind::corrupt, "the VHDX' metadata lacks an item: " + to_string(item_guids()[item]));
        std::vector<std::byte> bytes(places_[item]->length);
        if (!bytes.empty())
            file_.read_at(region_.offset + places_[item]->offset, bytes);
        return bytes;
    }
    std::vector<std::byte> read(Item item, std::size_t length) const {
        std::vector<std::byte> bytes = read(item);
        if (bytes.size() != length)
            fail(ErrorKind::corrupt,
                 fmt::format("an item of the VHDX' metadata has {} bytes and should have {}", bytes.size(), length));
        return bytes;
    }

  private:
    const BlockDevice& file_;
    const Region& region_;
    const ItemPlaces& places_;
};

std::string utf16_text(std::span<const std::byte> bytes) {
    std::vector<std::uint16_t> units;
    for (std::size_t i = 0; i + 1 < bytes.size(); i += 2)
        units.push_back(load_le<std::uint16_t>(&bytes[i]));
    return utf16_to_utf8(units);
}

// "{83ed2cd4-…}".
Guid parse_linkage(const std::string& text) {
    constexpr std::size_t kTextLength = 38;
    if (text.size() != kTextLength || text.front() != '{' || text.back() != '}' ||
        !std::ranges::all_of(text.substr(1, kTextLength - 2),
                             [](char c) {
                                 return c == '-' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') ||
                                        (c >= 'A' && c <= 'F');
                             }) ||
        std::ranges::count(text, '-') != 4)
        fail(ErrorKind::corrupt, "the VHDX' parent locator names its parent by something that is no GUID");
    return make_guid(text.substr(1, kTextLength - 2));
}

ParentLocator parse_parent_locator(std::span<const std::byte> item) {
    constexpr std::size_t kHeadBytes = 20;
    constexpr std::size_t kEntryBytes = 12;
    static const Guid locator_type = make_guid("b04aefb7-d19e-4a81-b789-25b8e9445913");
    if (item.size() < kHeadBytes)
        fail(ErrorKind::corrupt, "the VHDX' parent locator is too short");
    if (load_guid(item.data()) != locator_type)
        fail(ErrorKind::unsupported, "the VHDX' parent locator is of a kind that is not known here");
    const auto count = load_le<std::uint16_t>(&item[18]);
    const auto text_at = [&](std::uint64_t offset, std::uint64_t length) {
        if (offset + length > item.size())
            fail(ErrorKind::corrupt, "the VHDX' parent locator reaches beyond its end");
        return utf16_text(item.subspan(static_cast<std::size_t>(offset), static_cast<std::size_t>(length)));
    };
    ParentLocator locator;
    bool linked = false;
    for (std::size_t i = 0; i < count; ++i) {
        if (kHeadBytes + (i + 1) * kEntryBytes > item.size())
            fail(ErrorKind::corrupt, "the VHDX' parent locator reaches beyond its end");
        const std::byte* entry = &item[kHeadBytes + i * kEntryBytes];
        const std::string key = text_at(load_le<std::uint32_t>(entry), load_le<std::uint16_t>(entry + 8));
        const std::string value = text_at(load_le<std::uint32_t>(entry + 4), load_le<std::uint16_t>(entry + 10));
        if (key == "parent_linkage") {
            if (linked)
                fail(ErrorKind::corrupt, "the VHDX' parent locator names two parents");
            locator.data_write_guid = parse_linkage(value);
            linked = true;
        } else if (key == "parent_linkage2") {
            locator.second_guid = parse_linkage(value);
        } else if (key == "relative_path" || (key == "absolute_win32_path" && locator.name.empty())) {
            locator.name = value;
        }
    }
    if (!linked)
        fail(ErrorKind::corrupt, "the VHDX' parent locator names no parent");
    return locator;
}

void check_sizes(const Metadata& metadata) {
    if (!std::has_single_bit(metadata.block_size) || metadata.block_size < kMinBlockBytes ||
        metadata.block_size > kMaxBlockBytes)
        fail(ErrorKind::corrupt, fmt::format("the VHDX' blocks have {} bytes, which is no power of two from 1 MiB to "
                                             "256 MiB",
                                             metadata.block_size));
    for (const std::uint32_t size : {metadata.logical_sector_size, metadata.physical_sector_size})
        if (size != 512 && size != 4096)
            fail(ErrorKind::corrupt, fmt::format("the VHDX' sectors have {} bytes, and neither 512 nor 4096", size));
    if (metadata.disk_size == 0 || metadata.disk_size % metadata.logical_sector_size != 0 ||
        metadata.disk_size > kMaxDiskBytes)
        fail(ErrorKind::corrupt, fmt::format("the VHDX claims a disk of {} bytes, which is not in its sectors or over "
                                             "64 TiB",
                                             metadata.disk_size));
}

} // namespace

Metadata read_metadata(const BlockDevice& file, const Region& region) {
    const ItemPlaces places = read_table(file, region);
    const ItemReader items(file, region, places);
    Metadata metadata;
    const auto parameters = items.read(Item::file_parameters, 8);
    metadata.block_size = load_le<std::uint32_t>(parameters.data());
    const auto flags = load_le<std::uint32_t>(&parameters[4]);
    metadata.fixed = (flags & kFixedFlag) != 0;
    metadata.disk_size = load_le<std::uint64_t>(items.read(Item::disk_size, 8).data());
    metadata.logical_sector_size = load_le<std::uint32_t>(items.read(Item::logical_sector, 4).data());
    metadata.physical_sector_size = load_le<std::uint32_t>(items.read(Item::physical_sector, 4).data());
    metadata.disk_id = load_guid(items.read(Item::disk_id, sizeof(Guid)).data());
    check_sizes(metadata);
    if ((flags & kParentFlag) != 0)
        metadata.parent = parse_parent_locator(items.read(Item::parent_locator));
    return metadata;
}

} // namespace vm2oci::vhdx
