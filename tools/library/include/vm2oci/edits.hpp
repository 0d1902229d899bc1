// What is changed in a guest on the way; the source itself never is.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace vm2oci::v0 {

struct CloudInit {
    // The contents of the files.
    std::optional<std::string> user_data;
    std::optional<std::string> meta_data;
    std::optional<std::string> network_config;
    std::optional<std::string> vendor_data;
    bool as_disk = false; // a seed disk beside the one that is written, not files in the guest
};

struct SshKey {
    std::string keys; // lines of authorized_keys
    std::string user; // empty: whom cloud-init makes, else root
};

struct CopiedFile {
    std::filesystem::path source; // a regular file of this machine
    std::string destination;      // in the guest, absolute, the file's name included
    std::uint32_t mode = 0644;
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
};

struct Edits {
    CloudInit cloud_init;
    std::vector<SshKey> ssh_keys;
    std::string hostname; // empty: as it is
    // "qemu-ga", "vm2oci", a .deb, .rpm, tar or folder, or "FILE:UNIT".
    std::vector<std::string> agents;
    std::vector<CopiedFile> copies;
    std::string sysprep; // "default", "all" or names with commas; empty: none
    std::string fixes;   // the same
};

} // namespace vm2oci::v0
