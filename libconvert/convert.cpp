#include "libconvert/convert.hpp"

#include "formats/base/error.hpp"
#include "formats/base/fd.hpp"
#include "formats/base/output_file.hpp"
#include "formats/block/copy.hpp"
#include "formats/block/raw_writer.hpp"
#include "formats/oci/stored_blob.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
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

void write_image(const DiskImage& image, int fd, const OperationContext& operation) {
    operation.progress->begin("write", image.bytes->size());
    if (image.format == DiskFormat::raw) {
        write_raw_file(*image.bytes, fd, operation);
    } else {
        FileSink sink(fd);
        copy_bytes(*image.bytes, sink, operation);
    }
    operation.progress->end();
}

enum class Place { file, block_device };

Place look_at(const fs::path& destination) {
    struct stat status {};
    if (::stat(destination.c_str(), &status) != 0) {
        if (errno == ENOENT)
            return Place::file;
        fail_errno("cannot write " + destination.string(), errno);
    }
    return S_ISBLK(status.st_mode) ? Place::block_device : Place::file;
}

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

ImageReport write_container_disk_image(const OpenedDisk& disk, const DiskOutput& output,
                                       const ContainerDiskOptions& options, ImageDestination& destination,
                                       const OperationContext& operation) {
    const DiskImage image = make_disk_image(disk, output, operation);
    const ContainerDisk packaged = write_container_disk(image, options, destination, operation);
    operation.check_cancelled();
    return {packaged.manifest, packaged.layer,     packaged.file_name,
            image.format,      image.virtual_size, image.allocated_size};
}

ImageReport convert_to_container_disk(const OpenedDisk& disk, const DiskOutput& output,
                                      const ContainerDiskOptions& options, ImageDestination& destination,
                                      const OperationContext& operation) {
    ImageReport report = write_container_disk_image(disk, output, options, destination, operation);
    destination.publish(report.manifest);
    return report;
}

RootfsImage convert_to_rootfs(const OpenedDisk& disk, const GuestAccess& access, const RootfsOptions& options,
                              ImageDestination& destination, const OperationContext& operation) {
    const OpenedGuest guest = open_guest(disk.device, access, operation);
    RootfsImage image = write_rootfs(guest, identify_guest(guest), options, destination, operation);
    operation.check_cancelled();
    destination.publish(image.manifest);
    return image;
}

DiskReport convert_to_disk(const OpenedDisk& disk, const DiskOutput& output, const fs::path& destination,
                           const OperationContext& operation, const DiskApproval& approve) {
    const Place place = look_at(destination);
    if (place == Place::block_device && approve)
        fail(ErrorKind::usage, destination.string() + " is a block device, and what is written to one cannot be held " +
                                   "back; write to a file first");
    const DiskImage image = make_disk_image(disk, output, operation);
    if (place == Place::block_device) {
        write_to_block_device(image, destination, operation);
    } else {
        OutputFile file(destination);
        write_image(image, file.fd(), operation);
        operation.check_cancelled();
        if (!approve || approve(duplicate_stretch(file.fd(), 0, file_size(file.fd())), image.format))
            file.publish();
    }
    return {image.format, image.bytes->size(), image.virtual_size, image.allocated_size};
}

} // namespace vm2oci
