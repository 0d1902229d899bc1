#include "libconvert/edit/agent_package.hpp"

#include "formats/base/agent_port.hpp"
#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/base/fd.hpp"
#include "formats/base/shared_files.hpp"
#include "libconvert/edit/elf_needs.hpp"
#include "libconvert/edit/rpm_scripts.hpp"
#include "libconvert/edit/shell_text.hpp"
#include "libconvert/edit/text.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <memory>
#include <set>

namespace vm2oci {
namespace {

constexpr std::size_t kReleaseLimit = 64ull * 1024; // os-release has some lines
constexpr std::array kMaintainerScripts = {"preinst", "postinst", "prerm", "postrm"};
// Documentation and debugging aids have no use in a guest that never sees its package manager touch them.
constexpr std::array kLeftOut = {"/usr/share/doc/", "/usr/share/man/", "/usr/share/locale/", "/usr/share/lintian/",
                                 "/usr/lib/.build-id/"};

struct ArchiveCloser {
    void operator()(archive* handle) const { archive_read_free(handle); }
};
using Archive = std::unique_ptr<archive, ArchiveCloser>;

Archive open_archive(std::string_view bytes, const std::string& name) {
    Archive opened(archive_read_new());
    archive_read_support_filter_all(opened.get());
    archive_read_support_format_ar(opened.get());
    archive_read_support_format_tar(opened.get());
    archive_read_support_format_cpio(opened.get());
    if (archive_read_open_memory(opened.get(), bytes.data(), bytes.size()) != ARCHIVE_OK)
        fail(ErrorKind::corrupt, fmt::format("{} is no package that can be read", quote_untrusted(name)));
    return opened;
}

// nullptr at the end.
archive_entry* next_entry(archive* opened, const std::string& name) {
    archive_entry* entry = nullptr;
    const int status = archive_read_next_header(opened, &entry);
    if (status == ARCHIVE_EOF)
        return nullptr;
    if (status < ARCHIVE_WARN || entry == nullptr) {
        const char* words = archive_error_string(opened);
        fail(ErrorKind::corrupt, fmt::format("{} cannot be unpacked: {}", quote_untrusted(name),
                                             escape_untrusted(words == nullptr ? "no reason given" : words)));
    }
    return entry;
}

// Copies for further names of a file count as well: a hard link costs an archive next to nothing.
void charge(std::size_t& total, std::size_t bytes, const std::string& name) {
    total += bytes;
    if (total > kAgentSizeLimit)
        fail(ErrorKind::limit, fmt::format("{} is larger than 256 MiB when unpacked", quote_untrusted(name)));
}

std::string read_content(archive* opened, const std::string& name, std::size_t& total) {
    std::string content;
    std::array<char, 65536> buffer{};
    while (true) {
        const la_ssize_t got = archive_read_data(opened, buffer.data(), buffer.size());
        if (got < 0)
            fail(ErrorKind::corrupt, fmt::format("{} cannot be unpacked", quote_untrusted(name)));
        if (got == 0)
            return content;
        charge(total, static_cast<std::size_t>(got), name);
        content.append(buffer.data(), static_cast<std::size_t>(got));
    }
}

// "./usr/bin/x" -> "/usr/bin/x"; empty for the root itself.
std::string absolute_path(std::string_view path, const std::string& name) {
    std::string out;
    while (!path.empty()) {
        const std::size_t slash = std::min(path.find('/'), path.size());
        const std::string_view part = path.substr(0, slash);
        path.remove_prefix(std::min(slash + 1, path.size()));
        if (part.empty() || part == ".")
            continue;
        if (!is_valid_file_name(part))
            fail(ErrorKind::unsafe, fmt::format("{} holds a path with '..'", quote_untrusted(name)));
        out += "/" + std::string(part);
    }
    return out;
}

bool left_out(const std::string& path) {
    return std::any_of(kLeftOut.begin(), kLeftOut.end(),
                       [&](const char* prefix) { return (path + "/").starts_with(prefix); });
}

// `links`: further names of files, and the first name of each.
void add_entry(archive* opened, archive_entry* entry, const std::string& name, std::size_t& total,
               std::map<std::string, std::string>& links, AgentRequest& agent) {
    AgentFile file;
    file.path = absolute_path(archive_entry_pathname(entry), name);
    if (file.path.empty() || left_out(file.path))
        return;
    file.permissions = static_cast<std::uint32_t>(archive_entry_perm(entry));
    file.uid = static_cast<std::uint32_t>(archive_entry_uid(entry));
    file.gid = static_cast<std::uint32_t>(archive_entry_gid(entry));
    if (const char* link = archive_entry_hardlink(entry)) {
        const std::string target = absolute_path(link, name);
        const auto first = std::find_if(agent.files.begin(), agent.files.end(),
                                        [&](const AgentFile& each) { return each.path == target; });
        if (first == agent.files.end())
            fail(ErrorKind::corrupt, fmt::format("{} holds a hard link to nothing", quote_untrusted(name)));
        file.type = first->type;
        charge(total, first->content.size(), name);
        file.content = first->content;
        // In RPM's payload the content comes with the last name of a file, and goes to all of them.
        if (archive_entry_size(entry) > 0) {
            file.content = read_content(opened, name, total);
            for (AgentFile& each : agent.files)
                if (each.path == target || (links.contains(each.path) && links.at(each.path) == target)) {
                    charge(total, file.content.size(), name);
                    each.content = file.content;
                }
        }
        links[file.path] = target;
    } else if (archive_entry_filetype(entry) == AE_IFDIR) {
        file.type = FileType::directory;
    } else if (archive_entry_filetype(entry) == AE_IFLNK) {
        file.type = FileType::symlink;
        file.content = archive_entry_symlink(entry);
    } else if (archive_entry_filetype(entry) == AE_IFREG) {
        file.content = read_content(opened, name, total);
    } else {
        fail(ErrorKind::unsafe,
             fmt::format("{} holds a device: {}", quote_untrusted(name), quote_untrusted(file.path)));
    }
    agent.files.push_back(std::move(file));
}

void read_tree(std::string_view bytes, const std::string& name, std::size_t& total, AgentRequest& agent) {
    const Archive opened = open_archive(bytes, name);
    std::map<std::string, std::string> links;
    while (archive_entry* entry = next_entry(opened.get(), name))
        add_entry(opened.get(), entry, name, total, links, agent);
}

void read_scripts(std::string_view control, const std::string& name, AgentRequest& agent) {
    const Archive opened = open_archive(control, name);
    while (archive_entry* entry = next_entry(opened.get(), name)) {
        const std::string path = absolute_path(archive_entry_pathname(entry), name);
        for (const char* script : kMaintainerScripts)
            if (path == std::string("/") + script)
                agent.scripts_left.emplace_back(script);
    }
}

// A Debian package: an ar archive of control.tar.* and data.tar.*.
void read_deb(std::string_view bytes, const std::string& name, AgentRequest& agent) {
    std::size_t total = 0;
    bool has_data = false;
    const Archive opened = open_archive(bytes, name);
    while (archive_entry* entry = next_entry(opened.get(), name)) {
        const std::string member = archive_entry_pathname(entry);
        const std::string content = read_content(opened.get(), name, total);
        if (member.starts_with("control.tar"))
            read_scripts(content, name, agent);
        if (member.starts_with("data.tar")) {
            read_tree(content, name, total, agent);
            has_data = true;
        }
    }
    if (!has_data)
        fail(ErrorKind::corrupt, fmt::format("{} is an ar archive, and no Debian package", quote_untrusted(name)));
}

AgentFile read_host_file(const std::filesystem::path& source, std::string destination) {
    struct stat status {};
    if (lstat(source.c_str(), &status) != 0)
        fail_errno(source.string(), errno);
    AgentFile file;
    file.path = std::move(destination);
    file.permissions = status.st_mode & 07777;
    if (S_ISDIR(status.st_mode)) {
        file.type = FileType::directory;
    } else if (S_ISLNK(status.st_mode)) {
        file.type = FileType::symlink;
        file.content = std::filesystem::read_symlink(source).string();
    } else if (S_ISREG(status.st_mode)) {
        file.content = read_file(source, kAgentSizeLimit).value_or("");
    } else {
        fail(ErrorKind::unsupported, source.string() + " is neither a file nor a folder");
    }
    return file;
}

AgentRequest read_folder(const std::filesystem::path& folder) {
    AgentRequest agent;
    agent.name = folder.filename().string();
    std::vector<std::filesystem::path> paths;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
        paths.push_back(entry.path());
    std::sort(paths.begin(), paths.end());
    for (const std::filesystem::path& path : paths)
        agent.files.push_back(read_host_file(path, "/" + path.lexically_relative(folder).string()));
    return agent;
}

// Where distributions put the parts of QEMU's guest agent.
constexpr std::array kQemuAgentFiles = {"/usr/sbin/qemu-ga",
                                        "/usr/bin/qemu-ga",
                                        "/usr/lib/systemd/system/qemu-guest-agent.service",
                                        "/lib/systemd/system/qemu-guest-agent.service",
                                        "/usr/lib/udev/rules.d/60-qemu-guest-agent.rules",
                                        "/usr/lib/udev/rules.d/99-qemu-guest-agent.rules",
                                        "/lib/udev/rules.d/60-qemu-guest-agent.rules",
                                        "/etc/init.d/qemu-guest-agent",
                                        "/etc/conf.d/qemu-guest-agent",
                                        "/etc/sysconfig/qemu-ga",
                                        "/etc/qemu/fsfreeze-hook",
                                        "/etc/qemu-ga/fsfreeze-hook"};

// The libraries of this machine that `program` needs, and those that these need.
std::vector<AgentFile> own_libraries(const std::string& program) {
    std::vector<std::string> folders = {"/lib", "/usr/lib", "/lib64", "/usr/lib64"};
    for (const char* root : {"/lib", "/usr/lib"})
        for (const auto& entry : std::filesystem::directory_iterator(root))
            if (entry.is_directory() && entry.path().filename().string().ends_with("-linux-gnu"))
                folders.push_back(entry.path().string());
    const auto find = [&](const std::string& name) -> std::optional<AgentFile> {
        for (const std::string& folder : folders) {
            std::string path = fmt::format("{}/{}", folder, name);
            if (!std::filesystem::is_regular_file(path)) // links followed
                continue;
            std::string content = read_file(path, kAgentSizeLimit).value_or("");
            return AgentFile{std::move(path), FileType::regular, std::move(content), 0644};
        }
        return std::nullopt;
    };
    std::vector<AgentFile> libraries;
    std::set<std::string> seen;
    const auto add_needs = [&](const std::string& content) {
        if (const auto needs = read_elf_needs(content))
            for (const std::string& name : needs->libraries)
                if (seen.insert(name).second)
                    if (auto library = find(name))
                        libraries.push_back(std::move(*library));
    };
    add_needs(program);
    for (std::size_t i = 0; i < libraries.size(); ++i)
        add_needs(std::string(libraries[i].content)); // the list grows meanwhile
    return libraries;
}

// The guest agent that this machine itself has.
AgentRequest read_own_qemu_agent() {
    AgentRequest agent;
    agent.name = "qemu-ga";
    const std::string system = read_file("/etc/os-release", kReleaseLimit).value_or("");
    agent.distribution = shell_value(system, "ID") + " " + shell_value(system, "VERSION_ID");
    std::set<std::filesystem::path> seen;
    for (const char* path : kQemuAgentFiles)
        if (std::filesystem::is_regular_file(path) && seen.insert(std::filesystem::canonical(path)).second) {
            agent.files.push_back(read_host_file(std::filesystem::canonical(path), path));
            if (std::string_view(path).ends_with("/qemu-ga"))
                agent.libraries = own_libraries(agent.files.back().content);
        }
    if (agent.libraries.empty())
        fail(ErrorKind::not_found, "this machine has no guest agent of QEMU's that could be taken",
             HintKind::agent_package);
    return agent;
}

// Started when the host offers the port; on a machine without it the agent ends by itself.
constexpr const char* kOwnUnit = R"([Unit]
Description=Tells vm2oci that this machine is up
BindsTo=dev-virtio\x2dports-)" VM2OCI_AGENT_PORT R"(.device
After=dev-virtio\x2dports-)" VM2OCI_AGENT_PORT R"(.device

[Service]
ExecStart=/usr/local/sbin/vm2oci-agent
)";
constexpr const char* kOwnRule =
    "SUBSYSTEM==\"virtio-ports\", ATTR{name}==\"" VM2OCI_AGENT_PORT "\", TAG+=\"systemd\", "
    "ENV{SYSTEMD_WANTS}+=\"vm2oci-agent.service\"\n";
constexpr const char* kOwnRunScript = R"(#!/sbin/openrc-run
description="Tells vm2oci that this machine is up"
command=/usr/local/sbin/vm2oci-agent
command_background=true
pidfile=/run/vm2oci-agent.pid
)";
constexpr const char* kOwnInitScript = R"(#!/bin/sh
### BEGIN INIT INFO
# Provides:          vm2oci-agent
# Required-Start:    $remote_fs
# Required-Stop:
# Default-Start:     2 3 4 5
# Default-Stop:
# Short-Description: Tells vm2oci that this machine is up
### END INIT INFO
[ "$1" != start ] || /usr/local/sbin/vm2oci-agent < /dev/null > /dev/null 2>&1 &
)";

AgentRequest read_own_agent() {
    const auto program = find_shared_file(shared_file::agent);
    if (!program)
        fail(ErrorKind::not_found, "the program vm2oci-agent was not installed with this vm2oci");
    AgentRequest agent;
    agent.name = "vm2oci";
    agent.files = {
        read_host_file(*program, "/usr/local/sbin/vm2oci-agent"),
        {"/etc/systemd/system/vm2oci-agent.service", FileType::regular, kOwnUnit, 0644, 0, 0, InitSystem::systemd},
        {"/etc/udev/rules.d/60-vm2oci-agent.rules", FileType::regular, kOwnRule, 0644, 0, 0, InitSystem::systemd},
        {"/etc/init.d/vm2oci-agent", FileType::regular, kOwnRunScript, 0755, 0, 0, InitSystem::openrc},
        {"/etc/init.d/vm2oci-agent", FileType::regular, kOwnInitScript, 0755, 0, 0, InitSystem::sysv}};
    agent.files.front().permissions = 0755;
    return agent;
}

AgentRequest read_program_and_unit(const std::filesystem::path& program, const std::filesystem::path& unit) {
    AgentRequest agent;
    agent.name = program.filename().string();
    AgentFile executable = read_host_file(program, "/usr/local/bin/" + program.filename().string());
    executable.permissions = 0755;
    const std::string unit_name = unit.filename().string();
    // A unit of systemd by its name, else a script of OpenRC.
    const bool script = unit_name.find('.') == std::string::npos;
    AgentFile service = read_host_file(unit, (script ? "/etc/init.d/" : "/etc/systemd/system/") + unit_name);
    service.permissions = script ? 0755 : 0644;
    if (executable.type != FileType::regular || service.type != FileType::regular)
        fail(ErrorKind::usage, "an agent as FILE:UNIT is two regular files");
    agent.files = {std::move(executable), std::move(service)};
    return agent;
}

} // namespace

AgentRequest read_agent_package(std::string_view bytes, const std::string& name) {
    AgentRequest agent;
    agent.name = name;
    if (bytes.starts_with("!<arch>\n")) {
        read_deb(bytes, name, agent);
    } else {
        std::size_t total = 0;
        read_tree(bytes, name, total, agent);
        agent.scripts_left = rpm_scripts(bytes);
    }
    if (agent.files.empty())
        fail(ErrorKind::corrupt, fmt::format("{} holds no files", quote_untrusted(name)));
    return agent;
}

AgentRequest load_agent(const std::string& specification) {
    return with_context("the agent " + specification, [&] {
        if (specification == "qemu-ga")
            return read_own_qemu_agent();
        if (specification == "vm2oci")
            return read_own_agent();
        if (std::filesystem::is_directory(specification))
            return read_folder(specification);
        if (!std::filesystem::exists(specification)) {
            const std::size_t colon = specification.rfind(':');
            if (colon != std::string::npos && std::filesystem::exists(specification.substr(0, colon)))
                return read_program_and_unit(specification.substr(0, colon), specification.substr(colon + 1));
            fail(ErrorKind::not_found,
                 "no such file; it takes qemu-ga, vm2oci, a package, a tar, a folder, or FILE:UNIT");
        }
        const auto bytes = read_file(specification, kAgentSizeLimit);
        return read_agent_package(bytes.value_or(""), std::filesystem::path(specification).filename().string());
    });
}

} // namespace vm2oci
