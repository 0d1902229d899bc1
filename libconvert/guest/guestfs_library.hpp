// libguestfs, loaded when the first guest needs it: it brings some forty libraries along, which read files of their own
// as soon as they are loaded, and most commands have no use for any of them.
#pragma once

#include <guestfs.h>

// The functions that we call, without their prefix guestfs_.
#define VM2OCI_GUESTFS_FUNCTIONS(FUNCTION)                                                                             \
    FUNCTION(add_drive_opts_argv)                                                                                      \
    FUNCTION(cap_get_file)                                                                                             \
    FUNCTION(cap_set_file)                                                                                             \
    FUNCTION(chmod)                                                                                                    \
    FUNCTION(chown)                                                                                                    \
    FUNCTION(close)                                                                                                    \
    FUNCTION(cp_a)                                                                                                     \
    FUNCTION(create)                                                                                                   \
    FUNCTION(create_flags)                                                                                             \
    FUNCTION(cryptsetup_open_argv)                                                                                     \
    FUNCTION(exists)                                                                                                   \
    FUNCTION(free_statns)                                                                                              \
    FUNCTION(free_statns_list)                                                                                         \
    FUNCTION(free_statvfs)                                                                                             \
    FUNCTION(free_xattr_list)                                                                                          \
    FUNCTION(debug)                                                                                                    \
    FUNCTION(fstrim_argv)                                                                                              \
    FUNCTION(hivex_close)                                                                                              \
    FUNCTION(hivex_node_get_child)                                                                                     \
    FUNCTION(hivex_node_get_value)                                                                                     \
    FUNCTION(hivex_open_argv)                                                                                          \
    FUNCTION(hivex_root)                                                                                               \
    FUNCTION(hivex_value_string)                                                                                       \
    FUNCTION(hivex_value_type)                                                                                         \
    FUNCTION(hivex_value_value)                                                                                        \
    FUNCTION(inspect_get_arch)                                                                                         \
    FUNCTION(inspect_get_hostname)                                                                                     \
    FUNCTION(inspect_get_mountpoints)                                                                                  \
    FUNCTION(inspect_get_type)                                                                                         \
    FUNCTION(inspect_get_windows_software_hive)                                                                        \
    FUNCTION(inspect_os)                                                                                               \
    FUNCTION(is_file)                                                                                                  \
    FUNCTION(last_errno)                                                                                               \
    FUNCTION(last_error)                                                                                               \
    FUNCTION(launch)                                                                                                   \
    FUNCTION(lgetxattr)                                                                                                \
    FUNCTION(lgetxattrs)                                                                                               \
    FUNCTION(list_devices)                                                                                             \
    FUNCTION(list_dm_devices)                                                                                          \
    FUNCTION(list_partitions)                                                                                          \
    FUNCTION(ln_s)                                                                                                     \
    FUNCTION(ls)                                                                                                       \
    FUNCTION(lsetxattr)                                                                                                \
    FUNCTION(lstatns)                                                                                                  \
    FUNCTION(lstatnslist)                                                                                              \
    FUNCTION(lvm_scan)                                                                                                 \
    FUNCTION(lvs)                                                                                                      \
    FUNCTION(mkdir)                                                                                                    \
    FUNCTION(mount_options)                                                                                            \
    FUNCTION(mount_ro)                                                                                                 \
    FUNCTION(mv)                                                                                                       \
    FUNCTION(pread)                                                                                                    \
    FUNCTION(readlink)                                                                                                 \
    FUNCTION(rm_rf)                                                                                                    \
    FUNCTION(set_backend)                                                                                              \
    FUNCTION(set_backend_settings)                                                                                     \
    FUNCTION(set_error_handler)                                                                                        \
    FUNCTION(set_identifier)                                                                                           \
    FUNCTION(shutdown)                                                                                                 \
    FUNCTION(statvfs)                                                                                                  \
    FUNCTION(sync)                                                                                                     \
    FUNCTION(umount_all)                                                                                               \
    FUNCTION(upload)                                                                                                   \
    FUNCTION(utimens)                                                                                                  \
    FUNCTION(vfs_label)                                                                                                \
    FUNCTION(vfs_type)                                                                                                 \
    FUNCTION(vfs_uuid)                                                                                                 \
    FUNCTION(write_append)

namespace vm2oci {

struct GuestfsLibrary {
// NOLINTNEXTLINE(bugprone-macro-parentheses): a declared name takes none
#define VM2OCI_DECLARE_FUNCTION(name) decltype(&guestfs_##name) name = nullptr;
    VM2OCI_GUESTFS_FUNCTIONS(VM2OCI_DECLARE_FUNCTION)
#undef VM2OCI_DECLARE_FUNCTION
};

// The same object each time; thread-safe. Error{external} when libguestfs is not installed.
const GuestfsLibrary& guestfs_library();

} // namespace vm2oci
