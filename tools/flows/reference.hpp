// What a command works on, as people write it: a disk, or an image.
#pragma once

#include "formats/block/open_disk.hpp"
#include "formats/oci/reference.hpp"

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace vm2oci {

// A machine with all its disks: an OVA or OVF, or what describes one whose disks lie elsewhere.
enum class MachineSource { package, vmx, libvirt, hyperv };

// "qcow2:PATH", "raw:PATH", "vmdk:PATH" and so on, or a bare path; "-" is standard input. "ova:PATH[:DISK]",
// "vmx:PATH[:DISK]", "libvirt:PATH[:DISK]" and "hyperv:PATH[:DISK]" are machines.
struct DiskReference {
    std::string path;
    std::optional<DiskFormat> format;
    std::optional<MachineSource> machine{}; // as it is said; a bare path may be one as well
};

using Reference = std::variant<DiskReference, ImageReference>;

// Whether the path of a disk is the address of one on a server: NBD, HTTP.
bool is_server_address(std::string_view path);

// Error{usage}. A path that looks like a reference is written with a folder: "./oci:x".
Reference parse_reference(const std::string& text);

// Error{usage} for what can only be read from: a format, standard input, a package, a server.
void require_written(const DiskReference& destination);

// What is said of one disk of a machine: "PATH" of the first, "NUMBER=PATH" of another.
struct WordOfDisk {
    std::size_t disk; // from 1
    std::string text; // behind the number
};

// Error{usage}: a number that counts no disk. A path that begins so is written with a folder: "./2=x".
WordOfDisk parse_word_of_disk(const std::string& text);

// "PATH:qcow2", "PATH:raw", "PATH:vmdk" and so on state a format; any other colon belongs to the path.
BackingFile parse_backing_file(const std::string& text);

// The tag of a machine's `number`th disk beside the reference's own: "web01-disk2"; "" for a destination without tags.
// Error{usage} for a reference that says a digest, and for a tag that would be too long.
std::string tag_of_disk(const ImageReference& reference, std::size_t number);

// What the annotations of a machine's first image name as the images of its other disks, in the same store; of any
// other image nothing. Error{corrupt}: no tags.
std::vector<ImageReference> further_images(const ImageReference& first,
                                           const std::map<std::string, std::string>& annotations);

// The same reference with another tag, and without a digest.
ImageReference with_tag(ImageReference reference, const std::string& tag);

} // namespace vm2oci
