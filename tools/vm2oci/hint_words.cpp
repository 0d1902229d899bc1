#include "tools/vm2oci/hint_words.hpp"

#include <array>
#include <utility>

namespace vm2oci::cli {

namespace {

// Parts of the first disk need no number.
std::string of_disk(const Hint& hint) {
    return hint.argument.empty() ? "" : hint.argument + "=";
}

} // namespace

// NOLINTNEXTLINE(readability-function-size): a table, of which the compiler sees that it is whole
std::string words_of(const Hint& hint) {
    switch (hint.kind) {
    case HintKind::none:
        return "";
    case HintKind::allow_truncated:
        return "get it again, or give --allow-truncated to read what is missing as zeros";
    case HintKind::allow_corrupt:
        return "repair it with qemu-img check -r all, or give --allow-corrupt to read it as it is";
    case HintKind::allow_in_use:
        return "stop the machine, take a snapshot, or give --allow-in-use";
    case HintKind::backing:
        return "give it with --backing " + of_disk(hint) + "PATH[:FORMAT]";
    case HintKind::data_file:
        return "give it with --data-file " + of_disk(hint) + "PATH";
    case HintKind::extent:
        return "give it with --extent " + of_disk(hint) + "PATH";
    case HintKind::max_virtual_size:
        return "raise it with --max-virtual-size";
    case HintKind::architecture:
        return "say which with --arch";
    case HintKind::root:
        return "--root-partition says which one it is";
    case HintKind::key:
        return "give its key with --key SELECTOR:file:FILE";
    case HintKind::guest_backend:
        return "take --guest-backend " + hint.argument;
    case HintKind::scratch_folder:
        return "name another folder with --tmpdir";
    case HintKind::chunked:
        return "leave --chunked away";
    case HintKind::disk_format:
        return "leave --disk-format keep away to have it written anew";
    case HintKind::size:
        return "make it larger with --size";
    case HintKind::layers:
        return "take --layers one";
    case HintKind::krun_root:
        return "take --disk-format raw or --root erofs";
    case HintKind::read_only_root:
        return "take --root erofs";
    case HintKind::minimal_kernel:
        return hint.argument == "initramfs" ? "take --kernel minimal, or give an --initrd that does"
                                            : "take --kernel minimal";
    case HintKind::other_kernel:
        return "take --kernel minimal or --kernel PATH";
    case HintKind::guest_kernel:
        return "take --kernel guest";
    case HintKind::login:
        return "log in with `podman login` or `docker login`, or name the file with --authfile";
    case HintKind::other_login:
        return "if another login may do this, use it: `podman login`, `docker login` or --authfile";
    case HintKind::certificate:
        return "put the authority's certificate into certs.d, or give --cert-dir or --tls-verify=false";
    case HintKind::plain_http:
        return "--tls-verify=false allows plain HTTP";
    case HintKind::user_data:
        return "cloud-init can make one (--user-data)";
    case HintKind::ssh_key:
        return "give the keys there, or by --ssh-key alone";
    case HintKind::without_cloud_init:
        return "install it in the guest, or use --ssh-key FILE:USER, --hostname and --copy-in, which need none";
    case HintKind::agent_package:
        return "name a package file of the guest's distribution (--agent qemu-guest-agent.deb)";
    case HintKind::further_agent:
        return "take a package that was built for the guest's distribution, and give packages with missing libraries "
               "as further --agent";
    case HintKind::one_disk:
        return "name one of them alone, of a package with --disk, or make one result of all (--as bundle, --as rootfs)";
    case HintKind::further_disk:
        return "give it with --disk PATH, or --disk raw:PATH and the like to say its format";
    case HintKind::accelerator:
        return "--accel auto or tcg emulates instead";
    }
    return "";
}

std::string with_words(std::string_view text, const Hint& hint) {
    const std::string words = words_of(hint);
    return words.empty() ? std::string(text) : std::string(text) + "; " + words;
}

std::string_view option_for_rule(std::string_view rule) {
    constexpr std::array<std::pair<std::string_view, std::string_view>, 11> kOptions = {{
        {"timeout", "--timeout DURATION"},
        {"boot-sector-hangs", "--firmware uefi"},
        {"no-bootable-device", "--firmware bios|uefi"},
        {"no-boot-sector", "--firmware uefi"},
        {"efi-boot-entry-failed", "--firmware bios"},
        {"out-of-memory-panic", "--memory SIZE"},
        {"out-of-memory", "--memory SIZE"},
        {"disk-full", "--size SIZE of convert"},
        {"unit-failed", "--ignore unit-failed"},
        {"no-datasource", "--user-data FILE"},
        {"no-dhcp-lease", "--network user"},
    }};
    for (const auto& [name, option] : kOptions)
        if (name == rule)
            return option;
    return "";
}

} // namespace vm2oci::cli
