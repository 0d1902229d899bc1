#include "formats/fat/file_system.hpp"

#include "formats/base/checked.hpp"
#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"
#include "formats/fat/geometry.hpp"
#include "formats/fat/names.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <chrono>

namespace vm2oci {
namespace {

constexpr std::size_t kEntrySize = 32;
constexpr unsigned kAttributeVolume = 0x08;
constexpr unsigned kAttributeFolder = 0x10;
constexpr unsigned kAttributeLongName = 0x0f;
constexpr NodeId kRoot{0}; // every other node is where its folder entry stands on the device

struct RawEntry {
    std::array<std::byte, kEntrySize> bytes;

    unsigned attributes() const { return std::to_integer<unsigned>(bytes[11]); }
    bool is_deleted() const { return bytes[0] == std::byte{0xe5}; }
    bool is_folder() const { return (attributes() & kAttributeFolder) != 0; }
    std::uint32_t size() const { return load_le<std::uint32_t>(bytes.data() + 28); }
    std::uint32_t first_cluster(fat::Width width) const {
        const std::uint32_t low = load_le<std::uint16_t>(bytes.data() + 26);
        return width == fat::Width::fat32 ? low | std::uint32_t{load_le<std::uint16_t>(bytes.data() + 20)} << 16 : low;
    }
};

Timestamp decode_time(unsigned date, unsigned time) {
    using namespace std::chrono;
    const year_month_day day{year(1980 + static_cast<int>(date >> 9)), month((date >> 5) & 15u),
                             std::chrono::day(date & 31u)};
    if (!day.ok())
        return {};
    const seconds since =
        sys_days(day).time_since_epoch() + hours(time >> 11) + minutes((time >> 5) & 63u) + seconds((time & 31u) * 2);
    return {since.count(), 0};
}

bool equal_names(std::string_view a, std::string_view b) {
    return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](unsigned char x, unsigned char y) {
               return (x < 0x80 ? std::tolower(x) : x) == (y < 0x80 ? std::tolower(y) : y);
           });
}

} // namespace

struct FatFileSystem::State {
    explicit State(std::shared_ptr<const BlockDevice> opened)
        : device(std::move(opened)), geometry(fat::read_geometry(*device)) {}

    std::shared_ptr<const BlockDevice> device;
    fat::Geometry geometry;
    NodeId mapped = kRoot; // whose chain is kept; the root's never is
    std::vector<std::uint32_t> chain;

    RawEntry entry(NodeId node) const {
        RawEntry raw;
        device->read_at(static_cast<std::uint64_t>(node), raw.bytes);
        return raw;
    }
    std::uint64_t offset_of(std::uint32_t cluster) const {
        return geometry.data_at + std::uint64_t{cluster - fat::kFirstCluster} * geometry.cluster_size;
    }

    // The ranges of a folder: where they lie and how long they are.
    std::vector<std::pair<std::uint64_t, std::uint64_t>> folder_parts(NodeId folder) const {
        std::uint32_t first = geometry.root_cluster;
        if (folder != kRoot) {
            const RawEntry raw = entry(folder);
            if (!raw.is_folder())
                fail(ErrorKind::corrupt, "this entry of the FAT file system is no folder");
            first = raw.first_cluster(geometry.width);
        }
        if (folder == kRoot && geometry.width != fat::Width::fat32)
            return {{geometry.root_at, geometry.root_size}};
        std::vector<std::pair<std::uint64_t, std::uint64_t>> parts;
        for (const std::uint32_t cluster :
             fat::read_chain(*device, geometry, first, divide_up(kMaxFatDirectoryBytes, geometry.cluster_size)))
            parts.emplace_back(offset_of(cluster), geometry.cluster_size);
        return parts;
    }
};

FatFileSystem::FatFileSystem(std::shared_ptr<const BlockDevice> device)
    : state_(std::make_unique<State>(std::move(device))) {}

FatFileSystem::~FatFileSystem() = default;

NodeId FatFileSystem::root() const {
    return kRoot;
}

FileStatus FatFileSystem::status(NodeId node) const {
    FileStatus status;
    status.permissions = 0755;
    if (node == kRoot) {
        status.type = FileType::directory;
        return status;
    }
    const RawEntry raw = state_->entry(node);
    status.type = raw.is_folder() ? FileType::directory : FileType::regular;
    status.size = raw.is_folder() ? 0 : raw.size();
    status.modified =
        decode_time(load_le<std::uint16_t>(raw.bytes.data() + 24), load_le<std::uint16_t>(raw.bytes.data() + 22));
    return status;
}

std::vector<DirectoryEntry> FatFileSystem::list(NodeId folder) const {
    std::vector<DirectoryEntry> entries;
    fat::LongName long_name;
    std::vector<std::byte> part;
    bool ended = false;
    for (const auto& [offset, length] : state_->folder_parts(folder)) {
        part.resize(static_cast<std::size_t>(length));
        state_->device->read_at(offset, part);
        for (std::size_t at = 0; at + kEntrySize <= part.size() && !ended; at += kEntrySize) {
            RawEntry raw;
            std::copy_n(part.begin() + static_cast<std::ptrdiff_t>(at), kEntrySize, raw.bytes.begin());
            if (raw.bytes[0] == std::byte{0}) { // no entries behind this one
                ended = true;
            } else if (!raw.is_deleted() && (raw.attributes() & 0x3f) == kAttributeLongName) {
                long_name.add(raw.bytes);
            } else if (raw.is_deleted() || (raw.attributes() & kAttributeVolume) != 0) {
                long_name.clear();
            } else {
                std::string name = long_name.take(raw.bytes).value_or(fat::short_name(raw.bytes));
                if (name == "." || name == "..")
                    continue;
                if (!is_valid_file_name(name))
                    fail(ErrorKind::corrupt, "a folder of the FAT file system holds a name that cannot be");
                entries.push_back({std::move(name), NodeId{offset + at}});
            }
        }
        if (ended)
            break;
    }
    std::sort(entries.begin(), entries.end(),
              [](const DirectoryEntry& a, const DirectoryEntry& b) { return a.name < b.name; });
    for (std::size_t i = 1; i < entries.size(); ++i)
        if (entries[i].name == entries[i - 1].name)
            fail(ErrorKind::corrupt, "a folder of the FAT file system holds one name twice");
    return entries;
}

std::optional<NodeId> FatFileSystem::lookup(NodeId folder, std::string_view name) const {
    for (const DirectoryEntry& entry : list(folder))
        if (equal_names(entry.name, name))
            return entry.node;
    return std::nullopt;
}

std::string FatFileSystem::read_link(NodeId) const {
    fail(ErrorKind::corrupt, "FAT has no symlinks");
}

std::vector<ExtendedAttribute> FatFileSystem::attributes(NodeId) const {
    return {};
}

void FatFileSystem::read_at(NodeId file, std::uint64_t offset, std::span<std::byte> buffer) const {
    if (file == kRoot)
        fail(ErrorKind::corrupt, "this entry of the FAT file system is no file");
    const RawEntry raw = state_->entry(file);
    const std::uint64_t size = raw.size();
    const std::uint64_t cluster_size = state_->geometry.cluster_size;
    if (raw.is_folder() || offset > size || buffer.size() > size - offset)
        fail(ErrorKind::corrupt, "a read beyond the end of a file of the FAT file system");
    if (buffer.empty())
        return;
    if (state_->mapped != file) {
        state_->mapped = kRoot;
        state_->chain = fat::read_chain(*state_->device, state_->geometry, raw.first_cluster(state_->geometry.width),
                                        state_->geometry.cluster_count);
        if (state_->chain.size() < divide_up(size, cluster_size))
            fail(ErrorKind::corrupt, "a file of the FAT file system is shorter than its size");
        state_->mapped = file;
    }
    while (!buffer.empty()) {
        const std::uint64_t within = offset % cluster_size;
        const std::size_t step =
            static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), cluster_size - within));
        const std::uint32_t cluster = state_->chain[static_cast<std::size_t>(offset / cluster_size)];
        state_->device->read_at(state_->offset_of(cluster) + within, buffer.first(step));
        buffer = buffer.subspan(step);
        offset += step;
    }
}

FileSystemUsage FatFileSystem::usage() const {
    FileSystemUsage usage;
    usage.total_bytes = state_->geometry.cluster_count * state_->geometry.cluster_size;
    usage.free_bytes = fat::count_free_clusters(*state_->device, state_->geometry) * state_->geometry.cluster_size;
    return usage;
}

} // namespace vm2oci
