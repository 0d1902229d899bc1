#include "formats/base/error.hpp"
#include "formats/fat/file_system.hpp"
#include "tests/support/memory_device.hpp"

#include <catch2/catch.hpp>

#include <string>

using namespace vm2oci;

namespace {

enum class Width { fat12 = 12, fat16 = 16, fat32 = 32 };

constexpr std::uint64_t kSector = 512; // and one cluster
constexpr std::uint64_t kReserved = 32;
constexpr std::uint64_t kRootEntries = 64;
constexpr unsigned kFolder = 0x10;
constexpr unsigned kLabel = 0x08;

void put_number(std::string& bytes, std::size_t at, std::size_t width, std::uint64_t value) {
    for (std::size_t i = 0; i < width; ++i)
        bytes.at(at + i) = static_cast<char>(value >> (8 * i));
}

// A file system laid out by hand: one table, clusters of one sector.
struct Volume {
    explicit Volume(Width w)
        : width(w), clusters(w == Width::fat12   ? 100
                             : w == Width::fat16 ? 5000
                                                 : 70000),
          table_sectors(((clusters + 2) * static_cast<std::uint64_t>(w) / 8 + kSector) / kSector),
          root_at((kReserved + table_sectors) * kSector),
          data_at(root_at + (w == Width::fat32 ? 0 : kRootEntries * 32)),
          disk(std::make_shared<test::MemoryDevice>(data_at + clusters * kSector)) {
        put_boot(clusters);
        if (w == Width::fat32)
            link(2, end());
    }

    void put_boot(std::uint64_t said_clusters) {
        std::string boot(kSector, '\0');
        put_number(boot, 11, 2, kSector);
        put_number(boot, 13, 1, 1);
        put_number(boot, 14, 2, kReserved);
        put_number(boot, 16, 1, 1);
        put_number(boot, 17, 2, width == Width::fat32 ? 0 : kRootEntries);
        put_number(boot, 32, 4, data_at / kSector + said_clusters);
        put_number(boot, width == Width::fat32 ? 36 : 22, width == Width::fat32 ? 4 : 2, table_sectors);
        put_number(boot, 44, 4, width == Width::fat32 ? 2 : 0);
        disk->put(0, boot);
    }
    std::uint32_t end() const { return width == Width::fat12 ? 0xfff : width == Width::fat16 ? 0xffff : 0xfffffff; }

    void link(std::uint32_t cluster, std::uint32_t next) {
        const std::uint64_t at = kReserved * kSector + std::uint64_t{cluster} * static_cast<unsigned>(width) / 8;
        std::string bytes(width == Width::fat32 ? 4 : 2, '\0');
        if (width == Width::fat12) {
            disk->read_at(at, std::as_writable_bytes(std::span(bytes)));
            const unsigned low = static_cast<unsigned char>(bytes[0]);
            const unsigned high = static_cast<unsigned char>(bytes[1]);
            const unsigned old = low | high << 8;
            next = cluster % 2 == 0 ? (old & 0xf000) | next : (old & 0x000f) | next << 4;
        }
        put_number(bytes, 0, bytes.size(), next);
        disk->put(at, bytes);
    }
    std::uint64_t at(std::uint32_t cluster) const { return data_at + (cluster - 2) * kSector; }
    std::uint64_t root() const { return width == Width::fat32 ? at(2) : root_at; }

    // `name` as it stands on the disk: eight and three letters.
    static std::string entry(const std::string& name, unsigned attributes, std::uint32_t cluster, std::uint32_t size) {
        std::string bytes(32, '\0');
        bytes.replace(0, 11, name);
        put_number(bytes, 11, 1, attributes);
        put_number(bytes, 20, 2, cluster >> 16);
        put_number(bytes, 22, 2, 13 << 11 | 37 << 5 | 21); // 13:37:42
        put_number(bytes, 24, 2, (2024 - 1980) << 9 | 2 << 5 | 29);
        put_number(bytes, 26, 2, cluster & 0xffff);
        put_number(bytes, 28, 4, size);
        return bytes;
    }
    // The parts of a long name, last one first, for the short entry `owner`.
    static std::string long_name(const std::u16string& name, const std::string& owner, unsigned change_checksum = 0) {
        unsigned sum = 0;
        for (std::size_t i = 0; i < 11; ++i)
            sum = ((sum & 1) * 128 + sum / 2 + static_cast<unsigned char>(owner[i])) & 0xff;
        std::string all;
        const std::size_t parts = (name.size() + 12) / 13;
        for (std::size_t part = parts; part > 0; --part) {
            std::string bytes(32, '\xff');
            put_number(bytes, 0, 1, part | (part == parts ? 0x40u : 0u));
            put_number(bytes, 11, 2, 0x0f);
            put_number(bytes, 13, 1, sum ^ change_checksum);
            put_number(bytes, 26, 2, 0);
            std::size_t unit = (part - 1) * 13;
            for (const auto& [begin, count] : {std::pair<std::size_t, std::size_t>{1, 5}, {14, 6}, {28, 2}})
                for (std::size_t i = 0; i < count; ++i, ++unit)
                    put_number(bytes, begin + 2 * i, 2,
                               unit < name.size()    ? name[unit]
                               : unit == name.size() ? 0
                                                     : 0xffff);
            all += bytes;
        }
        return all;
    }
    void put_root(const std::string& entries) { disk->put(root(), entries); }

    Width width;
    std::uint64_t clusters;
    std::uint64_t table_sectors;
    std::uint64_t root_at;
    std::uint64_t data_at;
    std::shared_ptr<test::MemoryDevice> disk;
};

std::vector<std::string> names(const FileSystem& files, NodeId folder) {
    std::vector<std::string> all;
    for (const DirectoryEntry& entry : files.list(folder))
        all.push_back(entry.name);
    return all;
}

std::string content(const FileSystem& files, NodeId file, std::uint64_t offset, std::size_t length) {
    std::string bytes(length, '\0');
    files.read_at(file, offset, std::as_writable_bytes(std::span(bytes)));
    return bytes;
}

ErrorKind kind_of(const std::function<void()>& action) {
    try {
        action();
    } catch (const Error& error) {
        return error.kind();
    }
    return ErrorKind::usage; // what nothing here throws
}

} // namespace

TEST_CASE("files and folders of every width of FAT") {
    const Width width = GENERATE(Width::fat12, Width::fat16, Width::fat32);
    INFO(static_cast<int>(width));
    Volume volume(width);
    // A file in three clusters that lie apart, an even and an odd one among them; a folder with a file in it.
    volume.put_root(Volume::entry("DISK LABEL ", kLabel, 0, 0) + Volume::entry("BOOT    CFG", 0, 7, 1100) +
                    Volume::entry("EFI        ", kFolder, 20, 0) + Volume::entry("EMPTY   TXT", 0, 0, 0));
    volume.link(7, 90);
    volume.link(90, 11);
    volume.link(11, volume.end());
    volume.disk->fill(volume.at(7), kSector, 'a').fill(volume.at(90), kSector, 'b').fill(volume.at(11), kSector, 'c');
    volume.link(20, volume.end());
    volume.disk->put(volume.at(20), Volume::entry(".          ", kFolder, 20, 0) +
                                        Volume::entry("..         ", kFolder, 0, 0) +
                                        Volume::entry("GRUB       ", 0, 21, 3));
    volume.link(21, volume.end());
    volume.disk->put(volume.at(21), "abc");

    const FatFileSystem files(volume.disk);
    CHECK(names(files, files.root()) == std::vector<std::string>{"BOOT.CFG", "EFI", "EMPTY.TXT"});
    const NodeId boot = files.lookup(files.root(), "boot.cfg").value();
    CHECK(content(files, boot, 0, 1100) == std::string(512, 'a') + std::string(512, 'b') + std::string(76, 'c'));
    CHECK(content(files, boot, 511, 2) == "ab");
    CHECK(content(files, boot, 1100, 0).empty());
    CHECK(kind_of([&] { content(files, boot, 1099, 2); }) == ErrorKind::corrupt);
    const FileStatus status = files.status(boot);
    CHECK(status.type == FileType::regular);
    CHECK(status.permissions == 0755);
    CHECK(status.size == 1100);
    CHECK(status.modified == Timestamp{1709213862, 0}); // 2024-02-29 13:37:42
    const NodeId folder = files.lookup(files.root(), "EFI").value();
    CHECK(files.status(folder).type == FileType::directory);
    CHECK(names(files, folder) == std::vector<std::string>{"GRUB"});
    CHECK(content(files, files.lookup(folder, "grub").value(), 0, 3) == "abc");
    CHECK(content(files, files.lookup(files.root(), "EMPTY.TXT").value(), 0, 0).empty());
    CHECK_FALSE(files.lookup(files.root(), "nowhere"));
    CHECK(files.attributes(boot).empty());
    const std::uint64_t used = width == Width::fat32 ? 6 : 5;
    CHECK(files.usage().total_bytes == volume.clusters * kSector);
    CHECK(files.usage().free_bytes == (volume.clusters - used) * kSector);
}

TEST_CASE("long names are put together, and dropped where they belong to no file") {
    Volume volume(Width::fat16);
    const std::string long_one = Volume::entry("ARATHE~1CON", 0, 0, 0);
    const std::string orphan = Volume::entry("ORPHAN  TXT", 0, 0, 0);
    std::string deleted = Volume::entry("XELETED TXT", 0, 0, 0);
    deleted[0] = '\xe5';
    std::string lower = Volume::entry("LOWER   TXT", 0, 0, 0);
    lower[12] = 0x18;
    const std::u16string umlauts = u"Ü\U0001F427.conf";
    const std::string short_umlauts = Volume::entry("_~1     CON", 0, 0, 0);
    volume.put_root(Volume::long_name(u"A rather long name.conf", long_one) + long_one +
                    Volume::long_name(u"of somebody else", orphan, 1) + orphan +
                    Volume::long_name(u"deleted", deleted) + deleted + lower +
                    Volume::long_name(umlauts, short_umlauts) + short_umlauts);
    const FatFileSystem files(volume.disk);
    CHECK(names(files, files.root()) ==
          std::vector<std::string>{"A rather long name.conf", "ORPHAN.TXT", "lower.txt", "\u00dc\U0001F427.conf"});
    CHECK(files.lookup(files.root(), "a RATHER long NAME.conf"));
}

TEST_CASE("damaged FAT file systems are refused where the damage lies") {
    Volume volume(Width::fat16);
    volume.put_root(Volume::entry("LOOP       ", 0, 7, 5000) + Volume::entry("FAR        ", 0, 9, 1000) +
                    Volume::entry("SHORT      ", 0, 11, 5000) + Volume::entry("RING       ", kFolder, 13, 0) +
                    Volume::entry("NOWHERE    ", kFolder, 0, 0));
    volume.link(7, 8);
    volume.link(8, 7);
    volume.link(9, 60000);
    volume.link(11, volume.end());
    volume.link(13, 14);
    volume.link(14, 13);
    // No end of the folder in either of its clusters.
    for (const std::uint32_t cluster : {13u, 14u})
        for (std::uint64_t at = 0; at < kSector; at += 32)
            volume.disk->put(volume.at(cluster) + at, Volume::entry("DISK LABEL ", kLabel, 0, 0));
    const FatFileSystem files(volume.disk);
    for (const char* name : {"LOOP", "FAR", "SHORT"}) {
        INFO(name);
        const NodeId file = files.lookup(files.root(), name).value();
        CHECK(kind_of([&] { content(files, file, 0, 1); }) == ErrorKind::corrupt);
    }
    for (const char* name : {"RING", "NOWHERE"}) {
        INFO(name);
        const NodeId folder = files.lookup(files.root(), name).value();
        CHECK(kind_of([&] { files.list(folder); }) == ErrorKind::corrupt);
    }
    CHECK(kind_of([&] { files.list(files.lookup(files.root(), "SHORT").value()); }) == ErrorKind::corrupt);
    CHECK(kind_of([&] { content(files, files.root(), 0, 1); }) == ErrorKind::corrupt);
    CHECK(kind_of([&] { files.read_link(files.root()); }) == ErrorKind::corrupt);

    volume.put_root(Volume::entry("TWICE      ", 0, 0, 0) + Volume::entry("TWICE      ", 0, 0, 0));
    CHECK(kind_of([&] { files.list(files.root()); }) == ErrorKind::corrupt);
}

TEST_CASE("a boot sector that contradicts itself or its disk is refused") {
    struct Damage {
        std::size_t at;
        std::size_t width;
        std::uint64_t value;
    };
    for (const Damage& damage : {Damage{11, 2, 0}, Damage{11, 2, 513}, Damage{11, 2, 8192}, Damage{13, 1, 0},
                                 Damage{13, 1, 3}, Damage{14, 2, 0}, Damage{16, 1, 0}, Damage{22, 2, 1},
                                 Damage{22, 2, 60000}, Damage{32, 4, 10}, Damage{32, 4, 0xffffffff}}) {
        INFO(damage.at << "=" << damage.value);
        Volume volume(Width::fat16);
        std::string bytes(damage.width, '\0');
        put_number(bytes, 0, damage.width, damage.value);
        volume.disk->put(damage.at, bytes);
        CHECK(kind_of([&] { FatFileSystem files(volume.disk); }) == ErrorKind::corrupt);
    }
    CHECK(kind_of([&] { FatFileSystem files(std::make_shared<test::MemoryDevice>(100)); }) == ErrorKind::corrupt);
}
