// A small guest on a disk that is one ext4: packages, cloud-init, a kernel's worth of names, nothing that runs.
#pragma once

#include "formats/block/block_device.hpp"

#include <filesystem>
#include <memory>
#include <string>

namespace vm2oci::test {

// `host_name` is in the guest, so that other names make other disks.
std::shared_ptr<const BlockDevice> small_disk(const std::string& host_name);
// The same as a raw file.
void write_small_disk(const std::filesystem::path& path, const std::string& host_name);
// The head of an ELF program for x86-64.
std::string elf_head();

} // namespace vm2oci::test
