#include "guest-kernel/agent/container_root.hpp"

#include "guest-kernel/agent/text.hpp"
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace vm2oci::guest {
namespace {

struct Place {
    const char* type;
    const char* path;
    unsigned long flags;
    const char* data;
};
// As runc's default specification has them.
constexpr std::array kPlaces = {
    Place{"devpts", "/dev/pts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5"},
    Place{"tmpfs", "/dev/shm", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=1777"},
    Place{"mqueue", "/dev/mqueue", MS_NOSUID | MS_NODEV | MS_NOEXEC, ""},
    Place{"cgroup2", "/sys/fs/cgroup", MS_NOSUID | MS_NODEV | MS_NOEXEC, ""},
};

struct Link {
    const char* path;
    const char* target;
};
constexpr std::array kLinks = {
    Link{"/dev/fd", "/proc/self/fd"},       Link{"/dev/stdin", "/proc/self/fd/0"},
    Link{"/dev/stdout", "/proc/self/fd/1"}, Link{"/dev/stderr", "/proc/self/fd/2"},
    Link{"/dev/core", "/proc/kcore"},
};

struct Setting {
    const char* path;
    const char* value;
};
// Docker's: a program that is not root may listen on port 80 and send pings.
constexpr std::array kSettings = {
    Setting{"/proc/sys/net/ipv4/ip_unprivileged_port_start", "0"},
    Setting{"/proc/sys/net/ipv4/ping_group_range", "0 2147483647"},
};

bool write_text(const char* path, std::string_view text, int flags) {
    const int fd = ::open(path, flags | O_CLOEXEC, 0644);
    if (fd < 0)
        return false;
    const bool written = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
    ::close(fd);
    return written;
}

void make_folders(const std::string& path) {
    for (std::size_t at = path.find('/', 1); at != std::string::npos; at = path.find('/', at + 1))
        ::mkdir(path.substr(0, at).c_str(), 0755);
    struct stat found {};
    if (::mkdir(path.c_str(), 0755) != 0 && (::stat(path.c_str(), &found) != 0 || !S_ISDIR(found.st_mode)))
        say_line("the folder " + json_quote(path) + " is not there, and cannot be made");
}

// In the image's place, whatever it is there.
void replace_file(const char* path, std::string_view text) {
    struct stat found {};
    if (::lstat(path, &found) == 0 && !S_ISREG(found.st_mode))
        ::unlink(path);
    if (!write_text(path, text, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW))
        say_line(std::string(path) + " cannot be written: " + std::strerror(errno));
}

bool knows_localhost(std::string_view hosts) {
    for (const std::string_view line : split_lines(hosts)) {
        const std::vector<std::string_view> words = split_words(line.substr(0, line.find('#')));
        if (std::find(words.begin(), words.end(), "localhost") != words.end())
            return true;
    }
    return false;
}

} // namespace

void say_line(const std::string& text) {
    const std::string line = "vm2oci-init: " + text + "\n";
    [[maybe_unused]] const ssize_t n = ::write(STDERR_FILENO, line.data(), line.size());
}

void furnish_root(const ContainerProgram& program) {
    for (const Place& place : kPlaces) {
        ::mkdir(place.path, 0755);
        if (::mount(place.type, place.path, place.type, place.flags, place.data) != 0)
            say_line(std::string("cannot mount ") + place.path + ": " + std::strerror(errno));
    }
    for (const Link& link : kLinks)
        if (::symlink(link.target, link.path) != 0 && errno != EEXIST)
            say_line(std::string("cannot make ") + link.path + ": " + std::strerror(errno));
    for (const Setting& setting : kSettings)
        write_text(setting.path, setting.value, O_WRONLY);
    for (const std::string& volume : program.volumes)
        make_folders(volume);
    make_folders(program.working_folder);
}

std::string hosts_text(std::string_view image, const std::string& hostname, const std::string& address) {
    std::string text(image);
    if (!text.empty() && !text.ends_with('\n'))
        text += '\n';
    if (!knows_localhost(image))
        text += "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n";
    text += (address.empty() ? "127.0.1.1" : address) + "\t" + hostname + "\n";
    return text;
}

std::string resolver_text(const NetworkNames& names) {
    std::string text;
    for (const std::string& server : names.name_servers)
        text += "nameserver " + server + "\n";
    return text.empty() || names.domain.empty() ? text : "search " + names.domain + "\n" + text;
}

void write_names(const ContainerProgram& program, const NetworkNames& names) {
    ::sethostname(program.hostname.data(), program.hostname.size());
    ::mkdir("/etc", 0755);
    replace_file("/etc/hostname", program.hostname + "\n");
    struct stat found {};
    const bool has_hosts = ::lstat("/etc/hosts", &found) == 0 && S_ISREG(found.st_mode);
    const std::string known = has_hosts ? read_text("/etc/hosts").value_or("") : "";
    // A disk that is written to has what an earlier start wrote.
    const std::string line = hosts_text("", program.hostname, names.address);
    const std::string own = line.substr(line.rfind('\n', line.size() - 2) + 1);
    if (known.find(own) == std::string::npos || !knows_localhost(known))
        replace_file("/etc/hosts", hosts_text(known, program.hostname, names.address));
    if (const std::string resolver = resolver_text(names); !resolver.empty())
        replace_file("/etc/resolv.conf", resolver);
}

} // namespace vm2oci::guest
