#include "libconvert/guest/native_file_systems.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/ext4/file_system.hpp"
#include "formats/fat/file_system.hpp"

namespace vm2oci {

bool is_native(const Signature& signature) {
    return signature.type == "ext2" || signature.type == "ext3" || signature.type == "ext4" || signature.type == "vfat";
}

std::shared_ptr<const FileSystem> open_native(const std::shared_ptr<const BlockDevice>& device,
                                              const Signature& signature) {
    if (signature.type == "vfat")
        return std::make_shared<FatFileSystem>(device);
    if (is_native(signature))
        return std::make_shared<Ext4FileSystem>(device);
    fail(ErrorKind::unsupported, "the native backend does not read " + escape_untrusted(signature.type));
}

} // namespace vm2oci
