#include "libconvert/bundle/unpack.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/base/fd.hpp"
#include "formats/base/size.hpp"
#include "formats/block/open_disk.hpp"
#include "formats/block/padded.hpp"
#include "formats/block/raw_writer.hpp"
#include "libconvert/bundle/elf_kernel.hpp"
#include "libconvert/bundle/kernel.hpp"
#include "libconvert/bundle/vmm_configuration.hpp"

#include <algorithm>

namespace vm2oci {
namespace {

namespace fs = std::filesystem;

// What the configurations begin with; users change it there.
constexpr unsigned kProcessors = 2;
constexpr std::uint64_t kMemory = 1 * GiB;

std::string read_bytes(const BlockDevice& file, std::size_t limit, const std::string& path) {
    if (file.size() > limit)
        fail(ErrorKind::limit, quote_untrusted(path) + " in the bundle is larger than any kernel or initramfs");
    std::string bytes(static_cast<std::size_t>(file.size()), '\0');
    file.read_at(0, std::as_writable_bytes(std::span(bytes)));
    return bytes;
}

class Folder {
  public:
    Folder(fs::path path, Outputs& outputs, const OperationContext& operation)
        : path_(std::move(path)), outputs_(outputs), operation_(operation) {
        outputs_.add_folder(path_);
    }

    void write(const std::string& name, const std::string& bytes, std::string purpose) {
        operation_.check_cancelled();
        outputs_.add_document(path_ / name).content = bytes;
        files_.push_back({name, bytes.size(), std::move(purpose)});
    }
    void write_disk(const std::string& name, const BlockDevice& disk, std::string purpose) {
        operation_.progress->begin("write", disk.size());
        write_raw_file(disk, outputs_.add_file(path_ / name).fd(), operation_);
        operation_.check_cancelled();
        operation_.progress->end();
        files_.push_back({name, disk.size(), std::move(purpose)});
    }
    std::vector<UnpackedFile> files() && { return std::move(files_); }

  private:
    fs::path path_;
    Outputs& outputs_;
    const OperationContext& operation_;
    std::vector<UnpackedFile> files_;
};

} // namespace

UnpackedBundle unpack_bundle(ImageSource& source, const ImageContent& image, const fs::path& folder, Outputs& outputs,
                             const OperationContext& operation) {
    const auto description = parse_bundle(image.parsed_manifest.annotations);
    if (!description)
        fail(ErrorKind::unsupported, "the image is no bundle: nothing says where its kernel is");
    const ImageFiles files(source, image, operation);
    std::shared_ptr<const BlockDevice> initramfs;
    if (description->initramfs)
        initramfs = files.open(*description->initramfs);
    const std::shared_ptr<const BlockDevice> root_file = files.open(description->root);

    const std::string kernel = read_bytes(*files.open(description->kernel), kKernelLimit, description->kernel);
    const std::optional<std::string> elf = elf_kernel(kernel);
    DiskSource named;
    named.path = escape_untrusted(description->root);
    named.format = description->root_format == BundleRootFormat::qcow2 ? DiskFormat::qcow2 : DiskFormat::raw;
    const OpenedDisk root = open_disk(root_file, named);

    VmmMachine machine;
    machine.read_only_root = description->root_format == BundleRootFormat::erofs;
    machine.root = machine.read_only_root ? "rootfs.erofs" : "rootfs.img";
    machine.initramfs = description->initramfs ? "initramfs" : "";
    machine.command_line = description->command_line;
    machine.processors = kProcessors;
    machine.memory = kMemory;
    Folder out(folder, outputs, operation);
    out.write("vmlinux", elf ? *elf : kernel, elf ? "the kernel as an ELF file" : "the kernel");
    if (initramfs)
        out.write("initramfs", read_bytes(*initramfs, kInitramfsLimit, *description->initramfs),
                  "the kernel's initramfs");
    out.write_disk(machine.root, *raw_image(root.device), "the root file system");
    out.write("firecracker.json", firecracker_configuration(machine), "for firecracker --no-api --config-file");
    out.write("cloud-hypervisor.json", cloud_hypervisor_configuration(machine), "for ch-remote create");
    return {*description, std::move(out).files()};
}

} // namespace vm2oci
