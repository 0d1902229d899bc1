// What `convert` can make, and which of its options apply to which: an option that would be ignored is refused by name.
#pragma once

#include <CLI/App.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace vm2oci::cli {

// Each a bit, so that a row of the table can hold several.
enum class ConvertKind : std::uint16_t {
    container_disk = 1,
    bundle = 2,
    rootfs = 4,
    kata = 8,
    plain_disk = 16,      // a disk or an image, to a disk
    unpacked_bundle = 32, // a bundle, to the files in it
    vm = 64,              // KubeVirt's machine artifact
    podman_machine = 128,
    runv = 256,    // a root file system with what runV starts it by
    virtlet = 512, // the files that Virtlet is given
};

// What to say of the first option that was given and does not apply, with the kinds to which it does; "": all do.
std::string inapplicable_option(const CLI::App& command, ConvertKind kind);
// The same as Error{usage}.
void refuse_inapplicable_options(const CLI::App& command, ConvertKind kind);

// Whether the table knows the option (with its dashes); those that read the source and those of every command apply to
// all kinds and are not in it.
bool has_kind_row(std::string_view option);

} // namespace vm2oci::cli
