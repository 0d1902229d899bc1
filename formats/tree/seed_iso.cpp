#include "formats/tree/seed_iso.hpp"

#include "formats/base/checked.hpp"
#include "formats/base/endian.hpp"
#include "formats/base/fd.hpp"
#include "formats/base/sha256.hpp"
#include "formats/tree/nocloud.hpp"

#include <algorithm>
#include <cstdint>
#include <span>
#include <string_view>

namespace vm2oci {
namespace {

constexpr std::size_t kSector = 2048;
constexpr std::string_view kLabel = "cidata";

// Where things lie, in sectors. Each directory fits into one sector: there are four short names at most.
constexpr std::uint32_t kPrimaryDescriptor = 16;
constexpr std::uint32_t kJolietDescriptor = 17;
constexpr std::uint32_t kTerminator = 18;
constexpr std::uint32_t kPathTables = 19; // little- and big-endian, primary then Joliet
constexpr std::uint32_t kPrimaryRoot = 23;
constexpr std::uint32_t kJolietRoot = 24;
constexpr std::uint32_t kFirstFile = 25;
constexpr std::uint32_t kPathTableSize = 10;

enum class NameEncoding { primary, joliet };

struct PlacedFile {
    std::string_view name;
    std::string_view content;
    std::uint32_t sector = 0;
};

class Image {
  public:
    explicit Image(std::uint32_t sectors) : bytes_(std::size_t{sectors} * kSector) {}

    std::byte* at(std::uint32_t sector, std::size_t offset = 0) {
        return bytes_.data() + std::size_t{sector} * kSector + offset;
    }
    void text(std::uint32_t sector, std::size_t offset, std::string_view value) {
        std::copy_n(as_bytes(value).begin(), value.size(), at(sector, offset));
    }
    std::vector<std::byte> take() { return std::move(bytes_); }

  private:
    std::vector<std::byte> bytes_;
};

// ISO 9660 writes many numbers twice, in both byte orders.
void put_both(std::byte* at, std::uint32_t value) {
    store_le<std::uint32_t>(at, value);
    store_be<std::uint32_t>(at + 4, value);
}

void put_both16(std::byte* at, std::uint16_t value) {
    store_le<std::uint16_t>(at, value);
    store_be<std::uint16_t>(at + 2, value);
}

std::string encode_name(std::string_view name, NameEncoding encoding) {
    if (encoding == NameEncoding::primary)
        return std::string(name) + ";1";
    std::string result;
    for (const char c : name) {
        result += '\0';
        result += c;
    }
    return result;
}

// Returns the record's length.
std::size_t put_record(std::byte* at, std::string_view identifier, std::uint32_t sector, std::uint32_t length,
                       unsigned char flags) {
    const std::size_t size = 33 + identifier.size() + (identifier.size() % 2 == 0 ? 1 : 0);
    at[0] = static_cast<std::byte>(size);
    put_both(at + 2, sector);
    put_both(at + 10, length);
    // The recording time: 1980-01-01, the same on every machine.
    at[18] = std::byte{80};
    at[19] = std::byte{1};
    at[20] = std::byte{1};
    at[25] = static_cast<std::byte>(flags);
    put_both16(at + 28, 1);
    at[32] = static_cast<std::byte>(identifier.size());
    std::copy_n(as_bytes(identifier).begin(), identifier.size(), at + 33);
    return size;
}

constexpr unsigned char kDirectoryFlag = 2;

void put_directory(Image& image, std::uint32_t sector, const std::vector<PlacedFile>& files, NameEncoding encoding) {
    const std::string_view self("\0", 1);
    const std::string_view parent("\1", 1);
    std::byte* at = image.at(sector);
    at += put_record(at, self, sector, kSector, kDirectoryFlag);
    at += put_record(at, parent, sector, kSector, kDirectoryFlag);
    for (const PlacedFile& file : files)
        at += put_record(at, encode_name(file.name, encoding), file.sector,
                         static_cast<std::uint32_t>(file.content.size()), 0);
}

void put_path_tables(Image& image, std::uint32_t sector, std::uint32_t root) {
    for (const std::uint32_t table : {sector, sector + 1}) {
        *image.at(table) = std::byte{1};
        *image.at(table, table == sector ? 6 : 7) = std::byte{1}; // the root is its own parent, number 1
    }
    store_le<std::uint32_t>(image.at(sector, 2), root);
    store_be<std::uint32_t>(image.at(sector + 1, 2), root);
}

void put_descriptor(Image& image, std::uint32_t sector, std::uint32_t sectors, std::uint32_t root,
                    std::uint32_t path_tables, NameEncoding encoding) {
    const bool joliet = encoding == NameEncoding::joliet;
    *image.at(sector) = std::byte{static_cast<unsigned char>(joliet ? 2 : 1)};
    image.text(sector, 1, "CD001\1");
    const auto blank = [&](std::size_t offset, std::size_t length) {
        for (std::size_t i = 0; i < length; ++i)
            *image.at(sector, offset + i) = std::byte{static_cast<unsigned char>(joliet && i % 2 == 0 ? 0 : ' ')};
    };
    blank(8, 64); // system and volume identifier
    image.text(sector, 40, joliet ? encode_name(kLabel, encoding) : std::string(kLabel));
    put_both(image.at(sector, 80), sectors);
    if (joliet)
        image.text(sector, 88, "%/E"); // UCS-2 level 3
    put_both16(image.at(sector, 120), 1);
    put_both16(image.at(sector, 124), 1);
    put_both16(image.at(sector, 128), static_cast<std::uint16_t>(kSector));
    put_both(image.at(sector, 132), kPathTableSize);
    store_le<std::uint32_t>(image.at(sector, 140), path_tables);
    store_be<std::uint32_t>(image.at(sector, 148), path_tables + 1);
    put_record(image.at(sector, 156), std::string_view("\0", 1), root, kSector, kDirectoryFlag);
    blank(190, 623);                                        // publisher, preparer, application, file identifiers
    for (const std::size_t time : {813U, 830U, 847U, 864U}) // created, modified, expires, effective: not given
        image.text(sector, time, "0000000000000000");
    *image.at(sector, 881) = std::byte{1};
}

class MemoryDisk final : public BlockDevice {
  public:
    explicit MemoryDisk(std::vector<std::byte> bytes) : bytes_(std::move(bytes)) {}

    std::uint64_t size() const override { return bytes_.size(); }
    void read_at(std::uint64_t offset, std::span<std::byte> buffer) const override {
        check_range(*this, offset, buffer.size());
        std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(offset), buffer.size(), buffer.begin());
    }
    Extent extent_at(std::uint64_t offset) const override { return {bytes_.size() - offset, ExtentKind::data}; }

  private:
    std::vector<std::byte> bytes_;
};

} // namespace

std::string default_meta_data(const std::string& user_data) {
    const Sha256Sum sum = sha256(as_bytes(user_data));
    return "instance-id: vm2oci-" + to_hex(sum).substr(0, 16) + "\n";
}

std::vector<std::byte> make_seed_iso(const SeedFiles& files) {
    // In the order of their names, as ECMA-119 wants a directory.
    std::vector<PlacedFile> placed = {{nocloud::meta_data, files.meta_data}};
    if (files.network_config)
        placed.push_back({nocloud::network_config, *files.network_config});
    placed.push_back({nocloud::user_data, files.user_data});
    if (files.vendor_data)
        placed.push_back({nocloud::vendor_data, *files.vendor_data});
    std::uint32_t sectors = kFirstFile;
    for (PlacedFile& file : placed) {
        file.sector = sectors;
        sectors += checked_cast<std::uint32_t>(divide_up(file.content.size(), kSector), "seed file's size");
    }
    Image image(sectors);
    for (const PlacedFile& file : placed)
        image.text(file.sector, 0, file.content);
    put_descriptor(image, kPrimaryDescriptor, sectors, kPrimaryRoot, kPathTables, NameEncoding::primary);
    put_descriptor(image, kJolietDescriptor, sectors, kJolietRoot, kPathTables + 2, NameEncoding::joliet);
    *image.at(kTerminator) = std::byte{0xff};
    image.text(kTerminator, 1, "CD001\1");
    put_path_tables(image, kPathTables, kPrimaryRoot);
    put_path_tables(image, kPathTables + 2, kJolietRoot);
    put_directory(image, kPrimaryRoot, placed, NameEncoding::primary);
    put_directory(image, kJolietRoot, placed, NameEncoding::joliet);
    return image.take();
}

std::shared_ptr<const BlockDevice> make_seed_disk(const SeedFiles& files) {
    return std::make_shared<MemoryDisk>(make_seed_iso(files));
}

} // namespace vm2oci
