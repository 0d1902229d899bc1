#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"
#include "formats/fat/file_system.hpp"
#include "libconvert/inspect/parts.hpp"

#include <algorithm>
#include <array>
#include <cctype>

namespace vm2oci::inspect {
namespace {

constexpr std::size_t kHeadSize = 4096; // of an EFI program: its headers
constexpr std::size_t kConfigLimit = 4ull * 1024 * 1024;

std::string upper(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::toupper(c); });
    return text;
}

// A signature is announced in the fifth data directory of a PE image (Microsoft, PE Format, optional header).
bool is_signed_pe(std::string_view head) {
    if (head.size() < 0x40 || !starts_with(head, "MZ"))
        return false;
    const auto* bytes = reinterpret_cast<const std::byte*>(head.data());
    const std::size_t pe = load_le<std::uint32_t>(bytes + 0x3c);
    constexpr std::size_t kCoffHeader = 24;
    if (pe > head.size() || head.size() - pe < kCoffHeader + 2)
        return false;
    const unsigned magic = load_le<std::uint16_t>(bytes + pe + kCoffHeader);
    const std::size_t directories = pe + kCoffHeader + (magic == 0x20b ? 112 : 96);
    const std::size_t certificates = directories + std::size_t{4} * 8;
    return certificates + 8 <= head.size() && load_le<std::uint32_t>(bytes + certificates + 4) != 0;
}

void read_efi_partition(const BlockDevice& partition, LargeFiles large_files, BootInfo& boot) {
    const FatFileSystem esp(std::shared_ptr<const BlockDevice>(&partition, [](const BlockDevice*) {}));
    const std::optional<NodeId> efi = esp.lookup(esp.root(), "EFI");
    if (!efi || esp.status(*efi).type != FileType::directory)
        return;
    for (const DirectoryEntry& vendor : esp.list(*efi)) {
        if (esp.status(vendor.node).type != FileType::directory)
            continue;
        if (upper(vendor.name) == "SYSTEMD")
            boot.loader = "systemd-boot";
        for (const DirectoryEntry& file : esp.list(vendor.node)) {
            const FileStatus status = esp.status(file.node);
            if (status.type != FileType::regular || !ends_with(upper(file.name), ".EFI"))
                continue;
            const std::string path = "EFI/" + vendor.name + "/" + file.name;
            const bool may_be_fallback = upper(vendor.name) == "BOOT" && starts_with(upper(file.name), "BOOT");
            if (large_files == LargeFiles::leave && !may_be_fallback) {
                boot.efi_programs.push_back({path, std::nullopt});
                continue;
            }
            std::string head(static_cast<std::size_t>(std::min<std::uint64_t>(status.size, kHeadSize)), '\0');
            esp.read_at(file.node, 0, std::as_writable_bytes(std::span(head)));
            boot.efi_programs.push_back({path, is_signed_pe(head)});
            if (may_be_fallback && !pe_architecture(head).empty() && boot.efi_fallback.empty())
                boot.efi_fallback = path;
        }
    }
    boot.uefi = !boot.efi_programs.empty();
}

void read_first_sector(const BlockDevice& disk, BootInfo& boot) {
    std::array<std::byte, 440> code;
    if (disk.size() < code.size())
        return;
    disk.read_at(0, code);
    const std::string_view text(reinterpret_cast<const char*>(code.data()), code.size());
    if (text.find("GRUB ") != std::string_view::npos)
        boot.loader = "grub";
    else if (text.find("LILO") != std::string_view::npos)
        boot.loader = "lilo";
    else if (text.find("Missing operating system") != std::string_view::npos && boot.loader.empty())
        boot.loader = "syslinux";
}

// What stands behind `keyword` in a configuration file, once for each entry.
std::vector<std::string> find_directives(const std::vector<std::string>& lines,
                                         const std::vector<std::string_view>& keywords) {
    std::vector<std::string> found;
    for (const std::string& raw : lines) {
        const std::string line = trim(raw);
        for (const std::string_view keyword : keywords)
            if (starts_with(line, keyword) && line.size() > keyword.size() &&
                (line[keyword.size()] == ' ' || line[keyword.size()] == '\t'))
                found.push_back(trim(std::string_view(line).substr(keyword.size())));
    }
    return found;
}

std::vector<std::string> lines_of(const std::optional<std::string>& text) {
    std::vector<std::string> lines(1);
    for (const char c : text.value_or("")) {
        if (c == '\n')
            lines.emplace_back();
        else
            lines.back() += c;
    }
    return lines;
}

std::string grub_default_options(const Guest& guest) {
    return find_assignment(parse_assignments(read_lines(guest, "/etc/default/grub")), "GRUB_CMDLINE_LINUX");
}

void read_grub(const Guest& guest, BootInfo& boot) {
    for (const char* path : {"/boot/grub/grub.cfg", "/boot/grub2/grub.cfg", "/boot/efi/EFI/debian/grub.cfg"}) {
        const std::vector<std::string> lines = lines_of(try_read_text(guest, path, kConfigLimit));
        for (const std::string& entry : find_directives(lines, {"linux", "linux16", "linuxefi"})) {
            const std::size_t blank = entry.find_first_of(" \t"); // behind the kernel's path
            boot.command_lines.push_back(blank == std::string::npos ? "" : trim(std::string_view(entry).substr(blank)));
        }
        if (lines.size() > 1 && boot.loader.empty())
            boot.loader = "grub";
    }
    for (const char* path : {"/boot/grub/menu.lst", "/boot/grub/grub.conf"})
        for (const std::string& entry : find_directives(read_lines(guest, path), {"kernel"})) {
            const std::size_t blank = entry.find_first_of(" \t");
            boot.command_lines.push_back(blank == std::string::npos ? "" : trim(std::string_view(entry).substr(blank)));
            if (boot.loader.empty())
                boot.loader = "grub-legacy";
        }
}

void read_entries(const Guest& guest, BootInfo& boot) {
    for (const char* folder : {"/boot/loader/entries", "/boot/efi/loader/entries", "/efi/loader/entries"})
        for (const std::string& name : list_folder(guest, folder))
            for (std::string& options :
                 find_directives(read_lines(guest, std::string(folder) + "/" + name), {"options"})) {
                // GRUB's entries name variables of its environment block.
                if (options.find("$kernelopts") != std::string::npos)
                    options =
                        find_assignment(parse_assignments(read_lines(guest, "/boot/grub2/grubenv")), "kernelopts");
                boot.command_lines.push_back(std::move(options));
            }
    for (const char* path : {"/boot/extlinux.conf", "/boot/extlinux/extlinux.conf", "/boot/syslinux/syslinux.cfg"})
        for (std::string& options : find_directives(read_lines(guest, path), {"append", "APPEND"})) {
            boot.command_lines.push_back(std::move(options));
            if (boot.loader.empty() || boot.loader == "syslinux")
                boot.loader = "extlinux";
        }
}

void find_serial_consoles(BootInfo& boot, const std::string& more) {
    std::vector<std::string> lines = boot.command_lines;
    lines.push_back(more);
    for (const std::string& line : lines)
        for (const std::string& word : split_words(line)) {
            if (!starts_with(word, "console="))
                continue;
            const std::string console = word.substr(8);
            if (!starts_with(console, "tty") || starts_with(console, "ttyS") || starts_with(console, "ttyAMA"))
                if (std::find(boot.serial_consoles.begin(), boot.serial_consoles.end(), console) ==
                    boot.serial_consoles.end())
                    boot.serial_consoles.push_back(console);
        }
}

} // namespace

BootInfo read_boot(const OpenedGuest& opened, LargeFiles large_files) {
    BootInfo boot;
    const DiskLayout& layout = opened.layout;
    if (opened.disk)
        read_first_sector(*opened.disk, boot);
    const bool has_core_space =
        std::any_of(layout.table.partitions.begin(), layout.table.partitions.end(),
                    [](const Partition& partition) { return is_bios_boot(partition) || partition.active; });
    // With an MBR the loader's core stands in the gap before the first partition.
    boot.bios = layout.table.has_boot_code && (layout.table.kind != TableKind::gpt || has_core_space);
    for (const Volume& volume : layout.volumes) {
        const Partition* partition = partition_of(layout, volume);
        const bool is_esp = partition != nullptr && is_efi_system(*partition);
        if (!volume.signature || volume.signature->type != "vfat" || !(is_esp || boot.efi_programs.empty()))
            continue;
        try {
            read_efi_partition(*volume.device, large_files, boot);
        } catch (const Error& error) {
            if (error.kind() == ErrorKind::cancelled || error.kind() == ErrorKind::io)
                throw;
        }
    }
    if (opened.guest) {
        read_grub(*opened.guest, boot);
        read_entries(*opened.guest, boot);
        if (boot.command_lines.empty())
            if (std::string line = first_line(*opened.guest, "/etc/kernel/cmdline"); !line.empty())
                boot.command_lines.push_back(std::move(line));
        find_serial_consoles(boot, grub_default_options(*opened.guest));
    }
    return boot;
}

} // namespace vm2oci::inspect
