#include "libconvert/convert.hpp"

#include "formats/base/error.hpp"
#include "formats/base/fd.hpp"
#include "formats/block/copy.hpp"
#include "formats/block/raw_writer.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>

namespace vm2oci {
namespace {

namespace fs = std::filesystem;

class FileSink final : public ByteSink {
  public:
    explicit FileSink(int fd) : fd_(fd) {}
    void write(std::span<const std::byte> bytes) override { write_exactly(fd_, bytes); }

  private:
    int fd_;
};

void write_to_block_device(const DiskImage& image, const fs::path& destination, const OperationContext& operation) {
    const UniqueFd fd(::open(destination.c_str(), O_RDWR | O_CLOEXEC | O_EXCL));
    if (!fd)
        fail_errno("cannot write " + destination.string(), errno);
    if (const std::uint64_t room = file_size(fd.get()); room < image.bytes->size())
        fail(ErrorKind::conflict, fmt::format("{} holds {} bytes, and the disk needs {}; use a larger device",
                                              destination.string(), room, image.bytes->size()));
    // Holes must be written too: what the device held before is no zeros.
    operation.progress->begin("write", image.bytes->size());
    FileSink sink(fd.get());
    copy_bytes(*image.bytes, sink, operation);
    // What the device could not store shows here, and nowhere else.
    if (::fsync(fd.get()) != 0)
        fail_errno("cannot write " + destination.string(), errno);
    operation.progress->end();
}

} // namespace

ImageReport write_container_disk_image(const DiskView& disk, const DiskOutput& output,
                                       const ContainerDiskOptions& options, ImageDestination& destination,
                                       const OperationContext& operation) {
    const DiskImage image = make_disk_image(disk, output, operation);
    const ContainerDisk packaged = write_container_disk(image, options, destination, operation);
    operation.check_cancelled();
    return {packaged.manifest, packaged.layer, packaged.path, image.format, image.virtual_size, image.allocated_size};
}

ImageReport convert_to_container_disk(const DiskView& disk, const DiskOutput& output,
                                      const ContainerDiskOptions& options, ImageDestination& destination,
                                      const OperationContext& operation) {
    ImageReport report = write_container_disk_image(disk, output, options, destination, operation);
    destination.publish(report.manifest);
    return report;
}

DiskReport write_disk_file(const DiskView& disk, const DiskOutput& output, int fd, const OperationContext& operation) {
    const DiskImage image = make_disk_image(disk, output, operation);
    DiskReport report{image.format, image.bytes->size(), image.virtual_size, image.allocated_size};
    operation.progress->begin("write", image.bytes->size());
    if (image.format == DiskFormat::raw) {
        report.allocated_size = write_raw_file(*image.bytes, fd, operation);
    } else {
        FileSink sink(fd);
        copy_bytes(*image.bytes, sink, operation);
    }
    operation.progress->end();
    operation.check_cancelled();
    return report;
}

DiskReport write_block_device(const DiskView& disk, const DiskOutput& output, const fs::path& device,
                              const OperationContext& operation) {
    const DiskImage image = make_disk_image(disk, output, operation);
    write_to_block_device(image, device, operation);
    return {image.format, image.bytes->size(), image.virtual_size, image.allocated_size};
}

} // namespace vm2oci
