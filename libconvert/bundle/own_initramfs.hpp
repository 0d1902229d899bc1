// A first root with one program, vm2oci's own init, which mounts the real root.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace vm2oci {

// A file beside the init that it reads.
struct InitFile {
    std::string_view name;
    std::string_view content;
};

// A cpio archive that is not compressed: the program is small, and what ships it compresses it.
std::string make_own_initramfs(const std::filesystem::path& own_init, const std::optional<InitFile>& beside = {});

// The same archive with another file beside the init: what comes later in an initramfs replaces what came before.
std::string with_init_file(std::string initramfs, const InitFile& beside);

} // namespace vm2oci
