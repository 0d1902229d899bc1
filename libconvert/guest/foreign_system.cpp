#include "libconvert/guest/foreign_system.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "libconvert/guest/file_system_drivers.hpp"
#include "libconvert/guest/mounted_guest.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace vm2oci {

// What no Linux mounts alone, or not the appliance's: starting it would take half a minute for nothing.
bool is_beyond_appliance(const Signature& signature) {
    constexpr std::string_view kTypes[] = {
        "zfs_member", "apfs",      "vdo",      "ReFS",           "VMFS",    "VMFS_volume_member", "ocfs2", "gfs2",
        "gfs",        "oracleasm", "bcachefs", "ceph_bluestore", "stratis", "DM_verity_hash"};
    return std::find(std::begin(kTypes), std::end(kTypes), signature.type) != std::end(kTypes);
}

// What a disk without a guest that can be read is, where that can be told.
std::string name_foreign_system(const DiskLayout& layout) {
    for (const Volume& volume : layout.volumes) {
        if (!volume.signature)
            continue;
        const std::string& type = volume.signature->type;
        const std::string name = escape_untrusted(volume.name);
        if (type == "iso9660" || type == "udf")
            return fmt::format("{} is a medium such as installers come on ({}{}), not an installed system", name, type,
                               volume.signature->label.empty() ? "" : " " + quote_untrusted(volume.signature->label));
        if (type == "ufs")
            return fmt::format("{} holds a ufs: a BSD or Solaris, whose files are not read here", name);
        if (type == "zfs_member")
            return fmt::format(
                "{} belongs to a pool of ZFS (FreeBSD, illumos, or a Linux on ZFS), which is not read here", name);
        if (type == "apfs" || type == "hfsplus")
            return fmt::format("{} holds {}: macOS, whose files are not read here", name, type);
        if (type == "VMFS" || type == "VMFS_volume_member")
            return fmt::format("{} is a data store of VMware ESXi, not a machine's disk", name);
        const FileSystemDriver* reader = find_reader(volume.signature);
        if (reader == nullptr || reader->role != FileSystemRole::system)
            continue;
        try {
            std::shared_ptr<const FileSystem> opened = reader->open(volume.device);
            const MountedGuest alone({{{"/", volume.name, "", "", "", std::nullopt}, opened}});
            const auto deployments = alone.list("/ostree/deploy");
            if (deployments || exists(alone, "/ostree/repo/config"))
                return fmt::format(
                    "{} holds deployments of OSTree{}: the root that boots is one of them, which is not taken apart "
                    "here",
                    name,
                    deployments && !deployments->empty() ? " (" + escape_untrusted(deployments->front()) + ")" : "");
        } catch (const Error& error) {
            if (error.kind() == ErrorKind::cancelled || error.kind() == ErrorKind::io)
                throw;
        }
    }
    for (const Partition& partition : layout.table.partitions)
        if (partition.type_name.find("BSD") != std::string::npos)
            return fmt::format("partition {} is of type {}, which is not read here", partition.number,
                               partition.type_name);
    return {};
}

} // namespace vm2oci
