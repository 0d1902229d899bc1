#include "libconvert/package/container_disk.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/oci/labels.hpp"
#include "formats/tree/entry.hpp"
#include "libconvert/package/disk_layer.hpp"

namespace vm2oci {
namespace {

void check_file_name(const std::string& name) {
    // CDI takes the first file whose name begins with "disk"; the folder's own name makes that true for any file in it.
    // "." and ".." and slashes would leave the folder, ".wh." is how layers delete files.
    if (!is_valid_file_name(name) || name.starts_with(".wh."))
        fail(ErrorKind::usage,
             "the disk's name in the image is a file name, without folders, and not " + quote_untrusted(name));
}

} // namespace

ContainerDisk write_container_disk(const DiskImage& disk, const ContainerDiskOptions& options,
                                   ImageDestination& destination, const OperationContext& operation) {
    const std::string default_name = disk.format == DiskFormat::qcow2 ? "disk.qcow2" : "disk.img";
    const std::string file_name = options.file_name.empty() ? default_name : options.file_name;
    check_file_name(file_name);

    ImageContents contents;
    contents.title = file_name;
    const std::string folder = options.form == ContainerDiskForm::rancher_vm ? "base_image" : "disk";
    const bool is_rancher = options.form == ContainerDiskForm::rancher_vm;
    contents.created_by = "vm2oci convert --as containerdisk";
    if (is_rancher) // which hands the image's command to QEMU
        contents.created_by = "vm2oci convert --as rancher";
    else
        contents.entrypoint = {"no-entrypoint"}; // crun-vm under docker needs one, and none may be real
    contents.labels = {{label::disk_format, std::string(to_string(disk.format))},
                       {label::disk_virtual_size, std::to_string(disk.virtual_size)}};
    // How much of a raw file is stored tells where it lay, not what it holds: the same disk must give the same image.
    if (disk.format == DiskFormat::qcow2)
        contents.labels[label::disk_allocated_size] = std::to_string(disk.allocated_size);
    if (options.guest)
        add_guest_labels(*options.guest, contents);
    if (!options.instancetype.empty())
        contents.environment.push_back("INSTANCETYPE_KUBEVIRT_IO_DEFAULT_INSTANCETYPE=" + options.instancetype);
    if (!options.preference.empty())
        contents.environment.push_back("INSTANCETYPE_KUBEVIRT_IO_DEFAULT_PREFERENCE=" + options.preference);
    contents.layers.push_back(write_disk_layer(disk, file_name, options.layer, destination, operation, folder));

    ContainerDisk image;
    image.layer = contents.layers.front();
    image.path = folder + "/" + file_name;
    image.manifest = assemble_image(options.image, contents, destination);
    return image;
}

} // namespace vm2oci
