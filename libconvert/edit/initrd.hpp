// What an initrd holds, and what is put behind it so that it loads more drivers.
#pragma once

#include "formats/initrd/members.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci {

inline constexpr std::uint64_t kInitrdLimit = 1024ULL * 1024 * 1024; // a generic one with firmware has 150 MB

enum class InitrdKind { initramfs_tools, dracut, mkinitcpio, unknown };

struct Initrd {
    InitrdKind kind = InitrdKind::unknown;
    std::set<std::string> names;              // of all members, without a leading slash
    std::map<std::string, std::string> files; // the few whose content matters: conf/modules, config
    // Kernels before 5.14 take whatever follows legacy LZ4 for more of it. Set for such an initrd: how many bytes its
    // last archive unpacks to, since what is put behind it becomes a part of that stream.
    std::optional<std::uint64_t> lz4_size;
    bool was_extended = false; // by us, before
};

// Errors as visit_initrd()'s.
Initrd read_initrd(const InitrdRead& read);
// Whether it holds kernel modules of all these names ("virtio_blk"). Reads and unpacks no more than it takes to know.
// Errors as visit_initrd()'s.
bool initrd_has_modules(const InitrdRead& read, std::set<std::string> names);

// modules.dep: the path of each module, and those of the modules that it needs.
struct ModuleDependencies {
    struct Module {
        std::string path; // "kernel/drivers/block/virtio_blk.ko.xz"
        std::vector<std::string> needs;
    };
    std::map<std::string, Module> by_name; // "virtio_blk": '-' is '_'
};
ModuleDependencies parse_module_dependencies(std::string_view text);
// "kernel/drivers/block/virtio-blk.ko.xz" -> "virtio_blk"
std::string module_name(std::string_view path);

// modules.dep and modules.dep.bin for a set of modules. Source of the binary format: kmod, libkmod/libkmod-index.c.
std::string format_module_dependencies(const ModuleDependencies& dependencies);
std::string format_module_index(const ModuleDependencies& dependencies);

struct AddedModule {
    std::string path; // below lib/modules/VERSION
    std::string content;
};

// The bytes to put behind `initrd_size` bytes of an initrd: padding and an archive with the modules, a list of
// dependencies that knows them, and what makes the initrd load `loaded`, in this order; wrapped as LZ4 behind LZ4. The
// kind must be known.
std::string initrd_extension(const Initrd& initrd, std::uint64_t initrd_size, const std::string& kernel_version,
                             const ModuleDependencies& all, const std::vector<AddedModule>& added,
                             const std::vector<std::string>& loaded);

} // namespace vm2oci
