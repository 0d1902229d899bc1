#include "tests/support/phony_parts.hpp"

#include <elf.h>
#include <fmt/format.h>

#include <cstring>

namespace vm2oci::test {

std::string phony_program() {
    Elf64_Ehdr head{};
    std::memcpy(head.e_ident, ELFMAG, SELFMAG);
    head.e_ident[EI_CLASS] = ELFCLASS64;
    head.e_ident[EI_DATA] = ELFDATA2LSB;
    head.e_machine = EM_X86_64;
    return {reinterpret_cast<const char*>(&head), sizeof head};
}

std::string phony_unit(const std::string& command, const std::string& more, const std::string& install) {
    return "[Unit]\nDescription=x\n" + more + "\n[Service]\nExecStart=" + command + "\n" +
           (install.empty() ? "" : "\n[Install]\nWantedBy=" + install + "\n");
}

void enable_unit(MemoryGuest& guest, const std::string& name, const std::string& target) {
    guest.symlink("/etc/systemd/system/" + target + ".wants/" + name, "/usr/lib/systemd/system/" + name);
}

MemoryGuest phony_base(const std::string& id, const std::string& version, const std::string& like) {
    MemoryGuest guest;
    guest
        .file("/etc/os-release", fmt::format("ID={}\nVERSION_ID=\"{}\"\n{}PRETTY_NAME=\"{} {}\"\n", id, version,
                                             like.empty() ? "" : "ID_LIKE=\"" + like + "\"\n", id, version))
        .file("/bin/sh", phony_program(), 0755)
        .file("/etc/passwd", "root:x:0:0:root:/root:/bin/bash\nann:x:1000:1000::/home/ann:/bin/bash\n")
        .file("/etc/shadow", "root:*:19000:0:99999:7:::\nann:$6$x:19000:0:99999:7:::\n", 0640)
        .folder("/root")
        .folder("/home/ann")
        .file("/etc/hostname", "old\n")
        .file("/etc/hosts", "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost\n127.0.1.1\told.example.com\told\n")
        .file("/etc/fstab", fmt::format("UUID={} / ext4 defaults 0 1\n", kPhonyRoot))
        .file("/etc/ssh/sshd_config", "PermitRootLogin prohibit-password\n")
        .file("/etc/ssh/ssh_host_rsa_key", "secret", 0600)
        .file("/etc/ssh/ssh_host_rsa_key.pub", "public")
        .file("/etc/ssh/ssh_host_ed25519_key", "secret", 0600)
        .file("/usr/sbin/sshd", phony_program(), 0755)
        .file("/usr/bin/ssh-keygen", phony_program(), 0755)
        .file("/var/log/messages", "old\n")
        .file("/tmp/left", "old\n");
    return guest;
}

void with_systemd(MemoryGuest& guest) {
    guest.file("/usr/lib/systemd/systemd", phony_program(), 0755)
        .symlink("/sbin/init", "/usr/lib/systemd/systemd")
        .symlink("/lib", "usr/lib")
        .file("/etc/machine-id", "0123456789abcdef0123456789abcdef\n", 0444);
}

void with_grub(MemoryGuest& guest, const std::string& folder, const std::string& defaults, const std::string& words) {
    guest.file("/etc/default/grub", "GRUB_DEFAULT=0\nGRUB_TIMEOUT=5\n" + defaults)
        .file(
            folder + "/grub.cfg",
            fmt::format("set timeout=5\nmenuentry 'Linux' --class gnu-linux $menuentry_id_option 'gnulinux-simple' {{\n"
                        "\tload_video\n\techo\t'Loading Linux ...'\n\tlinux\t/boot/vmlinuz-5.10 root=UUID={} ro {}\n"
                        "\tinitrd\t/boot/initrd.img-5.10\n}}\n",
                        kPhonyRoot, words));
}

void with_cloud_init(MemoryGuest& guest, const std::string& datasources) {
    guest.file("/usr/bin/cloud-init", "#!/usr/bin/python3\n", 0755)
        .file("/usr/lib/cloud-init/ds-identify", "#!/bin/sh\n", 0755)
        .file("/etc/cloud/cloud.cfg", "users:\n  - default\ndisable_root: true\ncloud_init_modules:\n  - bootcmd\n"
                                      "  - ssh\nsystem_info:\n  default_user:\n    name: cloud-user\n")
        .file("/etc/cloud/cloud.cfg.d/90_dpkg.cfg", "datasource_list: [ " + datasources + " ]\n")
        .file("/var/lib/cloud/instances/i-1/obj.pkl", "x")
        .symlink("/var/lib/cloud/instance", "instances/i-1");
    for (const char* name :
         {"cloud-init-local.service", "cloud-init.service", "cloud-config.service", "cloud-final.service"}) {
        guest.file("/usr/lib/systemd/system/" + std::string(name),
                   phony_unit("/usr/bin/cloud-init", "", "cloud-init.target"));
        enable_unit(guest, name, "cloud-init.target");
    }
}

void with_vmware_tools(MemoryGuest& guest, const std::string& name) {
    guest.file("/usr/lib/systemd/system/" + name, phony_unit("/usr/bin/vmtoolsd", "ConditionVirtualization=vmware\n"));
    enable_unit(guest, name);
}

} // namespace vm2oci::test
