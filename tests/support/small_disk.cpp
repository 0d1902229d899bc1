#include "tests/support/small_disk.hpp"

#include "formats/base/output_file.hpp"
#include "formats/base/size.hpp"
#include "formats/block/raw_writer.hpp"
#include "libconvert/bundle/root_disk.hpp"
#include "libconvert/guest/mounted_guest.hpp"
#include "tests/support/memory_file_system.hpp"

#include <elf.h>

#include <cstring>

namespace vm2oci::test {

std::string elf_head() {
    Elf64_Ehdr head{};
    std::memcpy(head.e_ident, ELFMAG, SELFMAG);
    head.e_ident[EI_CLASS] = ELFCLASS64;
    head.e_ident[EI_DATA] = ELFDATA2LSB;
    head.e_ident[EI_VERSION] = EV_CURRENT;
    head.e_type = ET_EXEC;
    head.e_machine = EM_X86_64;
    head.e_version = EV_CURRENT;
    head.e_ehsize = sizeof head;
    return {reinterpret_cast<const char*>(&head), sizeof head};
}

std::shared_ptr<const BlockDevice> small_disk(const std::string& host_name) {
    auto files = std::make_shared<MemoryFileSystem>();
    for (const char* program : {"usr/bin/sh", "usr/bin/env", "usr/bin/cloud-init", "usr/lib/systemd/systemd"})
        files->file(program, elf_head()).permissions(program, 0755);
    files->symlink("bin", "usr/bin").symlink("sbin", "usr/sbin").symlink("lib", "usr/lib");
    files->symlink("usr/sbin/init", "../lib/systemd/systemd");
    files->file("etc/os-release", "ID=debian\nVERSION_ID=\"12\"\nPRETTY_NAME=\"Debian GNU/Linux 12\"\n");
    files->file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n").file("etc/hostname", host_name + "\n");
    files->file("etc/fstab", "/dev/sda / ext4 defaults 0 1\n")
        .file("etc/cloud/cloud.cfg", "datasource_list: [NoCloud]\n");
    files->file("usr/lib/systemd/system/cloud-init.service", "[Unit]\n");
    std::string packages;
    for (const char* name : {"base-files", "cloud-init"})
        packages +=
            std::string("Package: ") + name + "\nStatus: install ok installed\nVersion: 1\nArchitecture: all\n\n";
    files->file("var/lib/dpkg/status", packages);
    for (const char* folder : {"boot", "dev", "proc", "run", "sys", "tmp", "root", "home"})
        files->folder(folder);
    const GuestMount mount{"/", "disk", "ext4", "11111111-2222-4333-8444-555555555555", "system", std::nullopt};
    const MountedGuest guest({{mount, files}});
    constexpr std::uint64_t kSize = 8 * MiB;
    return make_fitting_ext4_root(guest, {}, kSize, 1, {}).device;
}

void write_small_disk(const std::filesystem::path& path, const std::string& host_name) {
    OutputFile file(path);
    write_raw_file(*small_disk(host_name), file.fd(), {});
    file.publish();
}

} // namespace vm2oci::test
