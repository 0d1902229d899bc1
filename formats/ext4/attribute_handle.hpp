// libext2fs' handle on the extended attributes of one inode.
#pragma once

#include <ext2fs/ext2fs.h>

namespace vm2oci {

// Owns the handle that ext2fs_xattrs_open() sets, and closes it.
struct AttributeHandle {
    ext2_xattr_handle* handle = nullptr;
    AttributeHandle() = default;
    AttributeHandle(const AttributeHandle&) = delete;
    AttributeHandle& operator=(const AttributeHandle&) = delete;
    ~AttributeHandle() {
        if (handle != nullptr)
            ext2fs_xattrs_close(&handle);
    }
};

} // namespace vm2oci
