#include "formats/base/ascii.hpp"
#include "libconvert/inspect/parts.hpp"

#include <algorithm>
#include <array>

namespace vm2oci::inspect {
namespace {

struct FamilyOf {
    std::string_view id;
    std::string_view family;
};
constexpr FamilyOf kFamilies[] = {
    {"debian", "debian"},
    {"ubuntu", "debian"},
    {"raspbian", "debian"},
    {"linuxmint", "debian"},
    {"kali", "debian"},
    {"devuan", "debian"},
    {"fedora", "redhat"},
    {"rhel", "redhat"},
    {"centos", "redhat"},
    {"rocky", "redhat"},
    {"almalinux", "redhat"},
    {"ol", "redhat"},
    {"amzn", "redhat"},
    {"openeuler", "redhat"},
    {"sles", "suse"},
    {"sled", "suse"},
    {"opensuse", "suse"},
    {"opensuse-leap", "suse"},
    {"opensuse-tumbleweed", "suse"},
    {"suse", "suse"},
    {"sle-micro", "suse"},
    {"alpine", "alpine"},
    {"postmarketos", "alpine"},
    {"arch", "arch"},
    {"manjaro", "arch"},
    {"archarm", "arch"},
    {"endeavouros", "arch"},
};

std::string family_of(const std::string& id, const std::string& like) {
    std::vector<std::string> ids = split_words(like);
    ids.insert(ids.begin(), id);
    for (const std::string& candidate : ids)
        for (const FamilyOf& known : kFamilies)
            if (known.id == to_lower_ascii(candidate)) // openEuler writes itself so
                return std::string(known.family);
    return {};
}

// Systems from before os-release name themselves in a file of their own.
struct ReleaseFile {
    std::string_view path;
    std::string_view distribution;
    std::string_view family;
};
constexpr ReleaseFile kReleaseFiles[] = {
    {"/etc/gentoo-release", "gentoo", "gentoo"},       {"/etc/slackware-version", "slackware", ""},
    {"/etc/enterprise-release", "ol", "redhat"},       {"/etc/rocky-release", "rocky", "redhat"},
    {"/etc/almalinux-release", "almalinux", "redhat"}, {"/etc/oracle-release", "ol", "redhat"},
    {"/etc/centos-release", "centos", "redhat"},       {"/etc/fedora-release", "fedora", "redhat"},
    {"/etc/redhat-release", "rhel", "redhat"},         {"/etc/SuSE-release", "suse", "suse"},
    {"/etc/alpine-release", "alpine", "alpine"},       {"/etc/arch-release", "arch", "arch"},
    {"/etc/debian_version", "debian", "debian"},
};

std::string first_version(const std::string& text) {
    const std::size_t begin = text.find_first_of("0123456789");
    if (begin == std::string::npos)
        return {};
    const std::size_t end = text.find_first_not_of("0123456789.", begin);
    return text.substr(begin, end == std::string::npos ? end : end - begin);
}

void read_release_file(const Guest& guest, OsInfo& os) {
    for (const ReleaseFile& file : kReleaseFiles) {
        if (!exists(guest, file.path))
            continue;
        const std::string line = first_line(guest, file.path);
        os.distribution = file.distribution;
        os.family = file.family;
        os.version = first_version(line);
        os.product = line.find_first_not_of("0123456789./") == std::string::npos
                         ? std::string(file.distribution) + " " + line
                         : line;
        // CentOS 5 and 6 have but Red Hat's file.
        if (starts_with(line, "CentOS"))
            os.distribution = "centos";
        return;
    }
}

// Ubuntu and its kin before 12.04. Others have the file, too, with nothing but the version of the standard in it.
void read_lsb_release(const Guest& guest, OsInfo& os) {
    const auto release = parse_assignments(read_lines(guest, "/etc/lsb-release"));
    std::string id = find_assignment(release, "DISTRIB_ID");
    if (id.empty())
        return;
    std::transform(id.begin(), id.end(), id.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    std::erase(id, ' ');
    os.distribution = id;
    os.family = family_of(id, "");
    if (os.family.empty() && exists(guest, "/etc/debian_version"))
        os.family = "debian";
    os.version = find_assignment(release, "DISTRIB_RELEASE");
    os.codename = find_assignment(release, "DISTRIB_CODENAME");
    os.product = find_assignment(release, "DISTRIB_DESCRIPTION");
    if (os.product.empty())
        os.product = find_assignment(release, "DISTRIB_ID") + " " + os.version;
}

std::string read_architecture(const Guest& guest) {
    for (const char* path : {"/bin/sh", "/usr/bin/bash", "/sbin/init", "/usr/lib/systemd/systemd", "/bin/busybox",
                             "/lib/systemd/systemd", "/bin/ls"})
        if (const std::optional<std::string> head = guest.read_range(path, 0, 64))
            if (std::string found = elf_architecture(*head); !found.empty())
                return found;
    return {};
}

// The dynamic loader's name is fixed by each architecture's ABI. What several have in common is not here.
struct LoaderName {
    std::string_view name;
    std::string_view architecture;
};
constexpr LoaderName kLoaders[] = {
    {"ld-linux-x86-64.so.2", "amd64"},
    {"ld-musl-x86_64.so.1", "amd64"},
    {"ld-linux-aarch64.so.1", "arm64"},
    {"ld-musl-aarch64.so.1", "arm64"},
    {"ld-linux-armhf.so.3", "arm"},
    {"ld-musl-armhf.so.1", "arm"},
    {"ld64.so.2", "ppc64le"},
    {"ld-musl-powerpc64le.so.1", "ppc64le"},
    {"ld-linux-riscv64-lp64d.so.1", "riscv64"},
    {"ld-musl-riscv64.so.1", "riscv64"},
};

// By names alone. Empty: not known, or more than one.
std::string architecture_of_loader(const Guest& guest) {
    std::string architecture;
    for (const char* folder : {"/lib64", "/lib"})
        for (const std::string& name : list_folder(guest, folder))
            for (const LoaderName& loader : kLoaders) {
                if (loader.name != name || loader.architecture == architecture)
                    continue;
                if (!architecture.empty())
                    return {};
                architecture = loader.architecture;
            }
    return architecture;
}

} // namespace

OsInfo read_os(const Guest& guest, LargeFiles large_files) {
    OsInfo os;
    os.type = "linux";
    std::vector<std::string> lines = read_lines(guest, "/etc/os-release");
    if (lines.empty())
        lines = read_lines(guest, "/usr/lib/os-release");
    const auto release = parse_assignments(lines);
    os.distribution = find_assignment(release, "ID");
    os.product = find_assignment(release, "PRETTY_NAME");
    os.version = find_assignment(release, "VERSION_ID");
    os.codename = find_assignment(release, "VERSION_CODENAME");
    os.family = family_of(os.distribution, find_assignment(release, "ID_LIKE"));
    if (os.distribution.empty())
        read_lsb_release(guest, os);
    if (os.distribution.empty())
        read_release_file(guest, os);
    if (large_files == LargeFiles::leave)
        os.architecture = architecture_of_loader(guest);
    if (os.architecture.empty())
        os.architecture = read_architecture(guest);
    os.hostname = first_line(guest, "/etc/hostname");
    if (os.hostname.empty())
        os.hostname = find_assignment(parse_assignments(read_lines(guest, "/etc/sysconfig/network")), "HOSTNAME");
    if (os.distribution.empty() && os.architecture.empty() && !exists(guest, "/etc/passwd"))
        os.type = "unknown";
    return os;
}

} // namespace vm2oci::inspect
