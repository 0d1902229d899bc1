#include "libconvert/container/root_of_container.hpp"

#include "formats/base/checked.hpp"
#include "formats/base/error.hpp"
#include "formats/base/fd.hpp"
#include "formats/base/sha256.hpp"
#include "formats/base/size.hpp"
#include "formats/block/empty.hpp"
#include "formats/block/slice.hpp"
#include "formats/erofs/tree_writer.hpp"
#include "formats/ext4/tree_writer.hpp"

#include <algorithm>
#include <array>

namespace vm2oci {
namespace {

constexpr std::uint64_t kFileBlock = 4 * KiB;
constexpr int kTries = 8;

std::array<std::byte, 16> uuid_of(const Digest& image) {
    const Sha256Sum sum = sha256(as_bytes("vm2oci root of " + image.text()));
    std::array<std::byte, 16> uuid{};
    std::copy_n(sum.begin(), uuid.size(), uuid.begin());
    // A random one by RFC 4122, as far as readers look.
    uuid[6] = (uuid[6] & std::byte{0x0f}) | std::byte{0x40};
    uuid[8] = (uuid[8] & std::byte{0x3f}) | std::byte{0x80};
    return uuid;
}

std::shared_ptr<OverlayDevice> empty_disk(std::uint64_t size, const OperationContext& operation) {
    return std::make_shared<OverlayDevice>(std::make_shared<EmptyDevice>(size), std::nullopt,
                                           std::filesystem::path(operation.scratch_folder));
}

RootFiles make_erofs(const ContainerFiles& files, const ContainerRootOptions& options,
                     const OperationContext& operation) {
    const auto disk = empty_disk(kMaxErofsBytes, operation);
    ErofsTreeWriter writer(disk, {uuid_of(options.image), "", options.time});
    files.export_tree(writer);
    const ErofsReport report = writer.finish();
    return {std::make_shared<SliceDevice>(disk, 0, report.size), report.attributes_left_out};
}

RootFiles make_ext4(const ContainerFiles& files, const ContainerUsage& usage, std::uint64_t size,
                    const ContainerRootOptions& options, const OperationContext& operation) {
    constexpr std::uint64_t bytes_per_inode = 16 * KiB; // mke2fs' default
    Ext4Geometry geometry;
    geometry.inodes =
        std::min<std::uint64_t>(std::max(size / bytes_per_inode, usage.files + usage.files / 2 + 1024), UINT32_MAX);
    geometry.uuid = uuid_of(options.image);
    const Sha256Sum seed = sha256(geometry.uuid);
    std::copy_n(seed.begin(), geometry.hash_seed.size(), geometry.hash_seed.begin());
    geometry.time = std::clamp<std::int64_t>(options.time, 1, UINT32_MAX);
    const auto disk = empty_disk(size, operation);
    Ext4TreeWriter writer(disk, geometry);
    files.export_tree(writer);
    return {disk, writer.finish().attributes_left_out};
}

// What the files take by themselves is known; what ext4 needs to find them is not, to the block.
std::uint64_t first_size(const ContainerUsage& usage, std::uint64_t room) {
    constexpr std::uint64_t inode = 256;
    std::uint64_t size = checked_add(usage.content_bytes, usage.name_bytes + usage.attribute_bytes, "the root's size");
    size = checked_add(size, size / 2 + 2 * usage.files * inode, "the root's size");
    return align_up(checked_add(size, room, "the root's size"), 16 * MiB);
}

} // namespace

RootFiles make_container_root(const ContainerFiles& files, const ContainerRootOptions& options,
                              const OperationContext& operation) {
    operation.progress->begin(options.kind == BundleRootKind::erofs ? "erofs" : "ext4", 0);
    RootFiles root;
    if (options.kind == BundleRootKind::erofs) {
        root = make_erofs(files, options, operation);
    } else {
        const ContainerUsage usage = files.tree().usage();
        std::uint64_t size = options.size ? align_up(*options.size, kFileBlock) : first_size(usage, options.room);
        for (int left = options.size ? 0 : kTries;; --left, size *= 2) {
            try {
                root = make_ext4(files, usage, size, options, operation);
                break;
            } catch (const Error& error) {
                if (error.kind() != ErrorKind::limit || left == 0)
                    throw;
            }
        }
    }
    operation.progress->end();
    return root;
}

} // namespace vm2oci
