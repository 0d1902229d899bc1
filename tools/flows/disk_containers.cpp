#include "tools/flows/disk_containers.hpp"

#include "formats/base/escape.hpp"

#include <utility>

namespace vm2oci {

std::vector<DiskContainer> open_disk_containers(const DiskReference& reference, const SourceRequest& request,
                                                const OperationContext& operation) {
    DiskContainer disk;
    disk.name = escape_untrusted(reference.path);
    disk.source = request.disk_source(reference.path, reference.format);
    DiskFile file = open_disk_file(disk.source, operation);
    disk.bytes = std::move(file.container);
    disk.packing = file.packing;
    return {std::move(disk)};
}

} // namespace vm2oci
