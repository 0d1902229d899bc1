#include "libconvert/package/sparsify.hpp"

#include "formats/base/checked.hpp"
#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/base/size.hpp"
#include "formats/block/masked.hpp"
#include "libconvert/guest/file_system_drivers.hpp"
#include "libconvert/guest/volumes.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace vm2oci {
namespace {

// The header with the signature fills one page of the guest, of at most 64 KiB.
constexpr std::uint64_t kSwapHeader = 64 * KiB;

constexpr std::string_view kGptSwap = "0657fd6d-a4ab-43c4-84e5-0933c84b4f4f";
constexpr std::string_view kMbrSwap = "0x82";

// Somebody other than the content itself calls it swap: the type of its partition, or the guest's fstab.
bool is_declared_swap(const std::shared_ptr<const BlockDevice>& disk, const DiskLayout& layout, std::size_t index,
                      GuestAccess access, const OperationContext& operation) {
    const Partition* partition = partition_of(layout, layout.volumes[index]);
    if (partition != nullptr && (partition->type == kGptSwap || partition->type == kMbrSwap))
        return true;
    access.backend = GuestBackend::native;
    const OpenedGuest opened = open_guest(disk, access, operation);
    for (std::size_t i = 0; i < opened.fstab.size(); ++i)
        if (opened.fstab[i].type == "swap" && opened.fstab_volumes[i] == index)
            return true;
    return false;
}

class UnusedSpace {
  public:
    // `unused` in bytes of the volume.
    void add(const Volume& volume, std::uint64_t offset, std::uint64_t length) {
        const std::uint64_t first = align_up(offset, volume.stored_unit);
        const std::uint64_t behind = align_down(offset + length, volume.stored_unit);
        for (const VolumeSegment& segment : volume.stored) {
            const std::uint64_t begin = std::max(first, segment.offset);
            const std::uint64_t end = std::min(behind, segment.offset + segment.length);
            if (begin < end)
                ranges_.push_back({segment.disk_offset + (begin - segment.offset), end - begin});
        }
    }
    void add(const DiskRange& range) { ranges_.push_back(range); }
    std::vector<DiskRange> take() { return std::move(ranges_); }

  private:
    std::vector<DiskRange> ranges_;
};

// False: its reader does not know it.
bool add_free_space(const Volume& volume, const FileSystemDriver& driver, UnusedSpace& unused) {
    if (volume.stored.empty())
        return false;
    const auto free = driver.open(volume.device)->free_space();
    if (!free)
        return false;
    for (const DataRange& range : *free)
        unused.add(volume, range.offset, range.length);
    return true;
}

// What was done, for people.
std::string add_swap(const std::shared_ptr<const BlockDevice>& disk, const DiskLayout& layout, std::size_t index,
                     const GuestAccess& access, UnusedSpace& unused, const OperationContext& operation) {
    const Volume& volume = layout.volumes[index];
    const std::optional<SwapArea> area = read_swap_area(*volume.device);
    if (!area)
        fail(ErrorKind::corrupt, "it has a swap signature, and no header that Linux would take, or something "
                                 "else stands before that");
    if (volume.stored.empty())
        fail(ErrorKind::unsupported, "where it lies on the disk may be another volume's, too");
    if (!is_declared_swap(disk, layout, index, access, operation))
        fail(ErrorKind::unsupported, "it has a swap signature, and neither the type of its partition nor the guest's "
                                     "fstab says that it is swap");
    const std::uint64_t end = area->offset + area->length;
    if (end <= kSwapHeader)
        fail(ErrorKind::limit, "its swap is smaller than what may be its header");
    unused.add(volume, kSwapHeader, end - kSwapHeader);
    return fmt::format("{} (swap) is emptied: {}", escape_untrusted(volume.name), format_size(end - kSwapHeader));
}

bool is_for_appliance(const Volume& volume, const GuestAccess& access) {
    return volume.signature->kind == ContentKind::encrypted && volume.containment == Containment::unread &&
           !access.keys.empty();
}

bool is_for_appliance(const DiskLayout& layout, const GuestAccess& access) {
    const bool may = access.backend == GuestBackend::automatic || access.backend == GuestBackend::libguestfs;
    return may && std::any_of(layout.volumes.begin(), layout.volumes.end(), [&](const Volume& volume) {
               return volume.signature && is_for_appliance(volume, access);
           });
}

// False: there is no appliance to do it.
bool trim(SparsifiedDisk& result, const std::shared_ptr<const BlockDevice>& disk, const GuestAccess& access,
          const OperationContext& operation) {
    try {
        result.trimmed = trim_by_appliance(disk, access, operation);
        result.device = result.trimmed.device;
        result.remarks = result.trimmed.remarks;
        return true;
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::external)
            throw;
        result.remarks.emplace_back(error.what());
        return false;
    }
}

} // namespace

SparsifiedDisk sparsify(const std::shared_ptr<const BlockDevice>& disk, const GuestAccess& access,
                        const OperationContext& operation) {
    SparsifiedDisk result;
    const DiskLayout layout = examine_layout(disk, access.disk_sizes, access.keys);
    const bool is_trimmed = is_for_appliance(layout, access) && trim(result, disk, access, operation);
    UnusedSpace unused;
    for (std::size_t i = 0; i < layout.volumes.size(); ++i) {
        const Volume& volume = layout.volumes[i];
        operation.check_cancelled();
        if (!volume.signature)
            continue;
        try {
            const FileSystemDriver* reader = find_reader(volume.signature);
            if (reader != nullptr && reader->free_space == FreeSpaceSource::reader &&
                add_free_space(volume, *reader, unused))
                continue;
            if (volume.signature->kind == ContentKind::swap)
                result.remarks.push_back(add_swap(disk, layout, i, access, unused, operation));
            else if (volume.signature->kind != ContentKind::volume_group && volume.containment != Containment::read &&
                     !(is_trimmed && is_for_appliance(volume, access)))
                result.remarks.push_back(fmt::format("{} ({}) is left whole", escape_untrusted(volume.name),
                                                     escape_untrusted(volume.signature->type)));
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::corrupt && error.kind() != ErrorKind::unsupported &&
                error.kind() != ErrorKind::limit)
                throw;
            result.remarks.push_back(fmt::format("{} is left whole: {}", escape_untrusted(volume.name), error.what()));
        }
    }
    for (const DiskRange& range : layout.free_extents)
        unused.add(range);
    auto masked = std::make_shared<MaskedDevice>(is_trimmed ? result.device : disk, unused.take());
    for (const DiskRange& range : masked->masked())
        result.unused += range.length;
    result.device = std::move(masked);
    return result;
}

} // namespace vm2oci
