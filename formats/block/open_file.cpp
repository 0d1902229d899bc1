#include "formats/block/open_file.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/block/file_device.hpp"
#include "formats/block/in_use.hpp"

namespace vm2oci {

DevicePtr open_disk_file(const std::filesystem::path& path, const DiskPolicy& policy) {
    return with_context(escape_untrusted(path.string()),
                        [&] { return adopt_disk_file(open_read(path), path, policy); });
}

DevicePtr adopt_disk_file(UniqueFd file, const std::filesystem::path& path, const DiskPolicy& policy) {
    if (policy.in_use == Tolerance::refuse)
        if (const std::optional<std::string> writer = writer_of(file.get()))
            fail(ErrorKind::unsafe, *writer + ": what is read would be of several moments", HintKind::allow_in_use);
    return std::make_shared<const FileDevice>(std::move(file), path);
}

} // namespace vm2oci
