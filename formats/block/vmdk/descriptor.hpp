// The descriptor of a VMDK: the text that says which extents make up the disk.
//
// Facts from VMware's "Virtual Disk Format 5.0" and QEMU's block/vmdk.c.
#pragma once

#include "formats/base/size.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci::vmdk {

inline constexpr std::uint64_t kSectorBytes = 512;
inline constexpr std::uint64_t kMaxDescriptorBytes = MiB; // real ones have one or two KiB
inline constexpr std::size_t kMaxExtents = 1024;          // 2 TiB in files of 2 GiB

enum class ExtentType { sparse, flat, vmfs, vmfs_sparse, se_sparse, zero };
std::string_view to_string(ExtentType type);

struct ExtentLine {
    ExtentType type = ExtentType::flat;
    std::uint64_t sectors = 0;
    std::string name;              // untrusted; empty for zeros
    std::uint64_t file_sector = 0; // flat and vmfs: where the extent begins in its file
};

struct Descriptor {
    std::string create_type;
    std::uint32_t content_id = 0;
    std::optional<std::uint32_t> parent_content_id; // none: 0xffffffff, no parent
    std::string parent_hint;                        // untrusted
    std::vector<ExtentLine> extents;

    // Of the whole disk.
    std::uint64_t sectors() const;
};

// Error{corrupt} for what is no descriptor, Error{unsupported} for kinds of disks and of extents that are not known
// here (a reader that skips them shows a disk that is too small), Error{limit}.
Descriptor parse_descriptor(std::string_view text);

} // namespace vm2oci::vmdk
