#include "tools/flows/boot_subject.hpp"

#include "formats/block/joined.hpp"

namespace vm2oci {

std::shared_ptr<const BlockDevice> joined_disks(const BootSubject& subject, GuestAccess& access) {
    if (subject.further_disks.empty())
        return subject.disk;
    std::vector<std::shared_ptr<const BlockDevice>> disks{subject.disk};
    disks.insert(disks.end(), subject.further_disks.begin(), subject.further_disks.end());
    for (const auto& disk : disks)
        access.disk_sizes.push_back(disk->size());
    return std::make_shared<const JoinedDevice>(disks);
}

} // namespace vm2oci
