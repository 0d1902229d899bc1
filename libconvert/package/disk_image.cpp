#include "libconvert/package/disk_image.hpp"

#include "formats/base/error.hpp"
#include "formats/base/fd.hpp"
#include "formats/block/allocation_map.hpp"
#include "formats/block/file_device.hpp"
#include "formats/block/padded.hpp"
#include "formats/block/qcow2/compressed_writer.hpp"

#include <fmt/format.h>

namespace vm2oci {
namespace {

void refuse_dirty_container(const Qcow2Info& info) {
    const auto refuse = [](std::string_view what) {
        fail(ErrorKind::unsafe, fmt::format("the disk cannot be kept as it is, because {}", what),
             HintKind::disk_format);
    };
    if (info.backing_file_name)
        refuse("it has a backing file");
    if (info.data_file_name)
        refuse("it has an external data file");
    if (!info.snapshots.empty())
        refuse("it holds internal snapshots");
    for (const std::string& feature : info.features)
        if (feature == "dirty" || feature == "corrupt")
            refuse("it is marked " + feature);
}

DiskImage keep_container(const DiskView& view, const DiskOutput& output) {
    if (view.source() == nullptr)
        fail(ErrorKind::usage, "a disk that was changed cannot be kept as it is");
    const OpenedDisk& disk = *view.source();
    if (output.virtual_size || output.cluster_compression != ClusterCompression::none)
        fail(ErrorKind::usage, "a disk that is kept as it is gets neither another size nor compressed clusters",
             HintKind::disk_format);
    if (!is_written(disk.info.format))
        fail(ErrorKind::unsupported,
             fmt::format("the disk is a {}, which what runs images does not read", display_name(disk.info.format)),
             HintKind::disk_format);
    if (const auto* qcow2 = disk.info.get<Qcow2Info>())
        refuse_dirty_container(*qcow2);
    return {disk.container, disk.info.format, disk.info.virtual_size, disk.info.allocated_size, nullptr};
}

DiskImage raw_disk(const DiskView& disk, const DiskOutput& output) {
    const auto image = raw_image(disk.device(), output.virtual_size);
    return {image, DiskFormat::raw, image->size(), data_bytes(*image), nullptr};
}

DiskImage canonical_qcow2(const DiskView& disk, const DiskOutput& output, const OperationContext& operation) {
    operation.progress->begin("map", disk.device()->size());
    AllocationMap map = map_allocation(*disk.device(), operation);
    operation.progress->end();
    const auto image = std::make_shared<const CanonicalQcow2>(disk.device(), std::move(map), output.virtual_size);
    if (output.cluster_compression == ClusterCompression::none)
        return {image, DiskFormat::qcow2, image->virtual_size(), image->allocated_size(), image};

    const auto type = output.cluster_compression == ClusterCompression::zstd ? qcow2::CompressionType::zstd
                                                                             : qcow2::CompressionType::zlib;
    UniqueFd scratch = scratch_file(std::string(operation.scratch_folder));
    operation.progress->begin("compress clusters", image->allocated_size());
    write_compressed_qcow2(*image, type, scratch.get(), operation);
    operation.progress->end();
    const auto file = std::make_shared<const FileDevice>(std::move(scratch), "the scratch file");
    return {file, DiskFormat::qcow2, image->virtual_size(), image->allocated_size(), nullptr};
}

} // namespace

DiskImage make_disk_image(const DiskView& disk, const DiskOutput& output, const OperationContext& operation) {
    switch (output.format) {
    case DiskOutputFormat::keep:
        return keep_container(disk, output);
    case DiskOutputFormat::raw:
        return raw_disk(disk, output);
    case DiskOutputFormat::qcow2:
        return canonical_qcow2(disk, output, operation);
    }
    fail(ErrorKind::usage, "no such disk format");
}

} // namespace vm2oci
