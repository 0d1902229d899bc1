#include "tools/vm2oci/guest_options.hpp"

#include "tools/flows/appliance_machine.hpp"
#include "tools/vm2oci/help.hpp"

#include <CLI/CLI.hpp>

namespace vm2oci::cli {

GuestAccess GuestOptions::access() const {
    GuestAccess access(parse_guest_backend(backend));
    for (const std::string& key : keys)
        access.keys.push_back(read_disk_key(key));
    access.root = root;
    access.machine = installed_appliance();
    return access;
}

void add_root_option(CLI::App& command, std::string& root) {
    command
        .add_option("--root-partition", root,
                    "Which file system is the guest's root, where several look like one: a partition's number, VG/LV, "
                    "or a name such as UUID=… (default: what the boot loader starts)")
        ->option_text("NUMBER")
        ->group(group::source);
}

std::shared_ptr<GuestOptions> add_guest_options(CLI::App& command) {
    auto options = std::make_shared<GuestOptions>();
    command
        .add_option("--guest-backend", options->backend,
                    "What reads and changes the guest's files: native, appliance (vm2oci's own changes them), "
                    "libguestfs, or auto (default: native where it can, then the appliance)")
        ->option_text("BACKEND")
        ->group(group::source);
    command
        .add_option("--key", options->keys,
                    "A key to what is encrypted (LUKS): SELECTOR is all, a device such as /dev/sda2, or a UUID; the "
                    "passphrase is the first line of FILE, or all of FILE is the key; repeatable")
        ->option_text("SELECTOR:file:FILE")
        ->allow_extra_args(false)
        ->group(group::source);
    add_root_option(command, options->root);
    return options;
}

} // namespace vm2oci::cli
