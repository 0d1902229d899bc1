// What planners need to know of a guest, and services switched on and off.
#include "formats/base/error.hpp"
#include "libconvert/edit/planners.hpp"
#include "libconvert/edit/text.hpp"

#include <elf.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace vm2oci {
namespace {

// nullopt also for what cannot be read.
std::optional<std::string> read_head(const Guest& guest, const std::string& path) {
    try {
        return guest.read_range(path, 0, sizeof(Elf64_Ehdr));
    } catch (const Error& error) {
        if (error.kind() == ErrorKind::cancelled || error.kind() == ErrorKind::io)
            throw;
        return std::nullopt;
    }
}

std::optional<std::uint32_t> parse_id(std::string_view text) {
    std::uint32_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc() && end == text.data() + text.size() ? std::optional(value) : std::nullopt;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
    std::vector<std::string_view> parts;
    while (true) {
        const std::size_t at = text.find(separator);
        parts.push_back(text.substr(0, at));
        if (at == std::string_view::npos)
            return parts;
        text.remove_prefix(at + 1);
    }
}

} // namespace

bool has_cloud_init(const PlanBuilder& plan) {
    for (const char* path : {"/usr/bin/cloud-init", "/usr/local/bin/cloud-init", "/bin/cloud-init"})
        if (plan.exists(path))
            return true;
    return false;
}

std::optional<std::uint16_t> guest_machine(const PlanBuilder& plan) {
    for (const char* path :
         {"/bin/sh", "/usr/bin/sh", "/bin/busybox", "/sbin/init", "/usr/bin/env", "/usr/lib/systemd/systemd"}) {
        const auto canonical = plan.resolve(path, FinalLink::follow);
        const auto head = canonical ? read_head(plan.guest(), *canonical) : std::nullopt;
        if (!head || head->size() < sizeof(Elf64_Ehdr) || !head->starts_with(ELFMAG))
            continue;
        const bool big_endian = (*head)[EI_DATA] == ELFDATA2MSB;
        const auto byte = [&](std::size_t at) { return static_cast<unsigned char>((*head)[at]); };
        const std::size_t at = offsetof(Elf64_Ehdr, e_machine);
        return static_cast<std::uint16_t>(big_endian ? byte(at) << 8 | byte(at + 1) : byte(at) | byte(at + 1) << 8);
    }
    return std::nullopt;
}

std::optional<Account> find_account(const PlanBuilder& plan, std::string_view name) {
    const auto passwd = plan.read_text("/etc/passwd");
    if (!passwd)
        return std::nullopt;
    for (const std::string_view line : lines_of(*passwd)) {
        const auto fields = split(line, ':');
        if (fields.size() < 7 || fields[0] != name)
            continue;
        const auto uid = parse_id(fields[2]);
        const auto gid = parse_id(fields[3]);
        if (uid && gid && fields[5].starts_with("/"))
            return Account{std::string(name), *uid, *gid, std::string(fields[5])};
    }
    return std::nullopt;
}

void enable_systemd_unit(PlanBuilder& plan, const std::string& unit_path, const std::string& reason) {
    const auto text = plan.read_text(unit_path);
    if (!text)
        return;
    const std::string unit = unit_path.substr(unit_path.rfind('/') + 1);
    bool install = false;
    for (const std::string_view view : lines_of(*text)) {
        const std::string_view line = trimmed(view);
        if (line.starts_with("["))
            install = line == "[Install]";
        const std::size_t equals = line.find('=');
        if (!install || equals == std::string_view::npos)
            continue;
        const std::string_view key = trimmed(line.substr(0, equals));
        for (const std::string& word : words_of(line.substr(equals + 1))) {
            if (word.find('/') != std::string::npos)
                continue;
            if (key == "WantedBy" || key == "RequiredBy")
                plan.make_symlink(
                    fmt::format("/etc/systemd/system/{}.{}/{}", word, key == "WantedBy" ? "wants" : "requires", unit),
                    unit_path, reason);
            if (key == "Alias")
                plan.make_symlink("/etc/systemd/system/" + word, unit_path, reason);
        }
    }
}

std::optional<std::string> without_start(std::string_view job) {
    std::string changed;
    bool commented = false;
    int depth = 0; // of the parentheses of a condition that goes on
    bool goes_on = false;
    for (const std::string_view line : lines_of(job)) {
        const std::vector<std::string> words = words_of(line);
        const bool begins = words.size() >= 2 && words[0] == "start" && words[1] == "on";
        if (begins || goes_on) {
            depth += static_cast<int>(std::count(line.begin(), line.end(), '(')) -
                     static_cast<int>(std::count(line.begin(), line.end(), ')'));
            goes_on = depth > 0 || trimmed(line).ends_with('\\');
            changed += '#';
            commented = true;
        }
        changed.append(line).append("\n");
    }
    return commented ? std::optional(changed) : std::nullopt;
}

void disable_service(PlanBuilder& plan, const std::string& name, const std::string& reason) {
    if (init_system(plan) == InitSystem::systemd && name.find('.') != std::string::npos)
        plan.make_symlink("/etc/systemd/system/" + name, "/dev/null", reason);
    const std::string script = name.substr(0, name.rfind(".service"));
    for (const char* folder : {"/etc/runlevels/*/", "/etc/runit/runsvdir/*/", "/etc/service/", "/var/service/"})
        for (const std::string& link : plan.glob(folder + script))
            plan.remove(link, reason);
    // The override files of later upstarts are nothing to that of RHEL 6 and Ubuntu 10.04.
    const std::string job = "/etc/init/" + script + ".conf";
    if (const auto text = has_upstart(plan) ? plan.read_text(job) : std::nullopt)
        if (const auto changed = without_start(*text))
            plan.write(job, *changed, reason);
    for (const char* runlevels :
         {"/etc/rc?.d/S??", "/etc/rc.d/rc?.d/S??", "/etc/init.d/rc?.d/S??", "/etc/init.d/boot.d/S??"})
        for (const std::string& link : plan.glob(runlevels + script))
            plan.remove(link, reason);
}

} // namespace vm2oci
