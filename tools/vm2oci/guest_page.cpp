#include "tools/vm2oci/guest_page.hpp"

#include "formats/base/escape.hpp"
#include "formats/base/size.hpp"
#include "tools/vm2oci/hint_words.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace vm2oci::cli {
namespace {

std::string safe(const std::string& text) {
    return escape_untrusted(text);
}

std::string join_safe(const std::vector<std::string>& texts) {
    return fmt::format("{}", fmt::join(escape_each(texts), ", "));
}

std::string content_line(const Volume& volume) {
    if (!volume.signature)
        return "nothing that is known";
    const Signature& signature = *volume.signature;
    std::string line = signature.type;
    if (signature.kind == ContentKind::encrypted)
        line += " (encrypted)";
    if (!signature.label.empty())
        line += " " + quote_untrusted(signature.label);
    if (!signature.uuid.empty())
        line += " " + safe(signature.uuid);
    return line;
}

void describe_volumes(Page& page, const OpenedGuest& opened) {
    const auto table_line = [](const PartitionTable& table) {
        return table.kind == TableKind::none ? "none" : fmt::format("{} {}", to_string(table.kind), table.id);
    };
    page.heading("Partitions");
    page.row("table", table_line(opened.layout.table));
    for (std::size_t i = 0; i < opened.layout.further_tables.size(); ++i)
        page.row(fmt::format("table of disk {}", i + 2), table_line(opened.layout.further_tables[i]));
    for (const Volume& volume : opened.layout.volumes) {
        std::string line = fmt::format("{}, {}", format_size(volume.device->size()), content_line(volume));
        if (const Partition* partition = partition_of(opened.layout, volume)) {
            if (!partition->type_name.empty())
                line += ", " + partition->type_name;
            if (!partition->name.empty())
                line += " " + quote_untrusted(partition->name);
        }
        page.row(safe(volume.name), line);
    }
    for (const std::string& remark : opened.layout.remarks)
        page.row("note", safe(remark));
}

void describe_mounts(Page& page, const OpenedGuest& opened) {
    if (!opened.guest)
        return;
    page.heading("File systems");
    for (const GuestMount& mount : opened.guest->mounts()) {
        std::string line = fmt::format("{} on {}", mount.type, safe(mount.volume));
        if (!mount.subvolume.empty())
            line += ", subvolume " + safe(mount.subvolume);
        if (mount.usage)
            line += fmt::format(", {} of {} free", format_size(mount.usage->free_bytes),
                                format_size(mount.usage->total_bytes));
        page.row(safe(mount.mount_point), line);
    }
    for (const MissingMount& missing : opened.missing)
        page.row(safe(missing.mount_point),
                 fmt::format("not read: {} ({})", safe(missing.reason), safe(missing.device)));
}

// What the guest's own table of file systems says, and which volume of this disk that is.
void describe_fstab(Page& page, const OpenedGuest& opened) {
    if (opened.fstab.empty())
        return;
    page.heading("fstab");
    for (std::size_t i = 0; i < opened.fstab.size(); ++i) {
        const FstabEntry& entry = opened.fstab[i];
        std::string line = fmt::format("{} {}", safe(entry.type), safe(entry.device));
        if (const std::optional<std::size_t> volume = opened.fstab_volumes[i])
            line += " is " + safe(opened.layout.volumes[*volume].name);
        else if (entry.device.rfind("/dev/", 0) == 0 || entry.device.find('=') != std::string::npos)
            line += " is nothing on this disk";
        page.row(entry.type == "swap" ? "swap" : safe(entry.mount_point), line);
    }
}

std::string agents_line(const GuestInfo& info) {
    std::vector<std::string> agents;
    agents.reserve(info.agents.size());
    for (const InstalledAgent& agent : info.agents)
        agents.push_back(agent.name + (agent.enabled ? "" : " (not enabled)"));
    return agents.empty() ? "none" : fmt::format("{}", fmt::join(agents, ", "));
}

void describe_system(Page& page, const GuestInfo& info) {
    page.heading("System");
    std::string product = info.os.product.empty() ? info.os.distribution : info.os.product;
    page.row("product", product.empty() ? "an unknown " + info.os.type : safe(product));
    page.row_unless_empty("edition", safe(info.os.edition));
    if (info.os.type == "windows")
        page.row_unless_empty("version", safe(fmt::format("{}{}{}", info.os.version,
                                                          info.os.build.empty() ? "" : " build " + info.os.build,
                                                          info.os.release.empty() ? "" : ", " + info.os.release)));
    page.row_unless_empty("architecture", safe(info.os.architecture));
    page.row_unless_empty("host name", safe(info.os.hostname));
    page.row_unless_empty("init", info.init);
    page.row_unless_empty("services", join_safe(info.enabled_services));
    if (!info.packages.manager.empty())
        page.row("packages", info.packages.count ? fmt::format("{} ({})", *info.packages.count, info.packages.manager)
                                                 : info.packages.manager + ": " + safe(info.packages.problem));
    page.row_unless_empty("machine-id", info.machine_id);
    if (info.os.type == "windows") {
        page.row("agents", agents_line(info));
        return;
    }
    page.row("host keys", info.host_keys.empty() ? "none" : join_safe(info.host_keys));
    std::vector<std::string> users;
    users.reserve(info.users.size());
    for (const LoginUser& user : info.users)
        users.push_back(fmt::format("{} ({}{})", safe(user.name), user.has_password ? "password" : "no password",
                                    user.authorized_keys > 0 ? fmt::format(", {} SSH keys", user.authorized_keys)
                                                             : std::string(", no SSH key")));
    page.row("users", users.empty() ? "none can log in" : fmt::format("{}", fmt::join(users, ", ")));
    page.row_unless_empty("SELinux", safe(info.selinux));
    page.row("agents", agents_line(info));
}

std::string drivers_line(const KernelInfo& kernel) {
    std::vector<std::string> parts;
    parts.reserve(kernel.drivers.size());
    for (const DriverInfo& driver : kernel.drivers)
        parts.push_back(fmt::format("{} {}", driver.name, to_string(driver.place)));
    return fmt::format("{}", fmt::join(parts, ", "));
}

void describe_boot(Page& page, const GuestInfo& info) {
    const BootInfo& boot = info.boot;
    page.heading("Boot");
    page.row("firmware", boot.bios && boot.uefi ? "BIOS and UEFI"
                         : boot.bios            ? "BIOS"
                         : boot.uefi            ? "UEFI"
                                                : "no boot loader was found");
    page.row_unless_empty("loader", safe(boot.loader));
    if (boot.uefi) {
        page.row("UEFI fallback", boot.efi_fallback.empty()
                                      ? "missing: boots only where the firmware has an entry for it"
                                      : safe(boot.efi_fallback));
        std::vector<std::string> programs;
        programs.reserve(boot.efi_programs.size());
        for (const EfiProgram& program : boot.efi_programs)
            programs.push_back(safe(program.path) + (program.is_signed == true ? " (signed)" : ""));
        page.row("UEFI programs", fmt::format("{}", fmt::join(programs, ", ")));
    }
    if (!boot.command_lines.empty())
        page.row("command line", safe(boot.command_lines.front()));
    page.row("serial console", boot.serial_consoles.empty() ? "none" : join_safe(boot.serial_consoles));
    for (const KernelInfo& kernel : info.kernels) {
        page.row("kernel", fmt::format("{} ({}), {}", safe(kernel.version), safe(kernel.path),
                                       !kernel.boots_on_virtio   ? "whether it boots on virtio is not known"
                                       : *kernel.boots_on_virtio ? "boots on virtio"
                                                                 : "does NOT find its disk on virtio"));
        if (kernel.initrd)
            page.row("  initrd",
                     fmt::format("{}, {}{}{}", safe(kernel.initrd->path), format_size(kernel.initrd->size),
                                 kernel.initrd->compression.empty() ? "" : ", " + kernel.initrd->compression,
                                 kernel.initrd->problem.empty() ? "" : ": " + safe(kernel.initrd->problem)));
        page.row("  drivers", drivers_line(kernel));
    }
}

void describe_network(Page& page, const GuestInfo& info) {
    page.heading("Network and cloud-init");
    for (const NetworkInterface& interface : info.network) {
        std::string line = interface.name.empty() ? "any interface" : safe(interface.name);
        if (!interface.method.empty())
            line += ", " + safe(interface.method);
        if (!interface.mac.empty())
            line += ", pinned to " + safe(interface.mac);
        page.row(interface.stack, fmt::format("{} ({})", line, safe(interface.file)));
    }
    if (info.network.empty())
        page.row("network", "no configuration was found");
    const CloudInitInfo& cloud = info.cloud_init;
    if (!cloud.installed) {
        page.row("cloud-init", "not installed");
        return;
    }
    page.row("cloud-init", fmt::format("{}{}{}", cloud.version.empty() ? "installed" : safe(cloud.version),
                                       cloud.disabled ? ", disabled" : "",
                                       cloud.network_disabled ? ", leaves the network alone" : ""));
    page.row("datasources", cloud.datasources.empty()
                                ? "not pinned"
                                : fmt::format("{} (by {})", join_safe(cloud.datasources), safe(cloud.datasource_file)));
    page.row("instance data", cloud.instances.empty() ? "none" : "of " + join_safe(cloud.instances));
    if (cloud.has_seed)
        page.row("seed", "in the image (NoCloud)");
}

void describe_problems(Page& page, const std::vector<BootProblem>& problems) {
    page.heading("On another machine");
    if (problems.empty())
        page.row("problems", "none were found");
    for (const BootProblem& problem : problems)
        page.row(problem.fix.empty() ? "by hand" : "--fix=" + problem.fix, problem.text);
}

} // namespace

void describe_guest(Page& page, const GuestFindings& findings) {
    if (!findings.refusal.empty()) {
        page.heading("Guest");
        page.row("not read", findings.refusal);
        return;
    }
    describe_volumes(page, findings.opened);
    describe_mounts(page, findings.opened);
    describe_fstab(page, findings.opened);
    if (findings.opened.guest) {
        describe_system(page, findings.info);
        describe_boot(page, findings.info);
        if (findings.info.os.type != "windows")
            describe_network(page, findings.info);
        if (findings.problems)
            describe_problems(page, *findings.problems);
    } else {
        page.heading("Guest");
        page.row("not read", with_words(safe(findings.opened.reason), findings.opened.reason_hint));
        if (findings.problems && !findings.problems->empty())
            describe_problems(page, *findings.problems);
    }
    for (const std::string& remark : findings.opened.remarks)
        page.row("note", safe(remark));
    for (const std::string& remark : findings.info.remarks)
        page.row("note", safe(remark));
}

} // namespace vm2oci::cli
