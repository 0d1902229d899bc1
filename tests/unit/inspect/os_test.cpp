// Which system a guest is: by os-release, by what stood in its place before, by its programs.
#include "libconvert/inspect/guest_summary.hpp"
#include "tests/unit/inspect/inspect_fixture.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;
using test::MemoryGuest;

TEST_CASE("os-release of distributions as they ship it") {
    struct Row {
        const char* text;
        const char* distribution;
        const char* family;
        const char* version;
        const char* product;
        const char* codename;
    };
    const Row rows[] = {
        {"PRETTY_NAME=\"Debian GNU/Linux 8 (jessie)\"\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"8\"\nVERSION=\"8 "
         "(jessie)\"\nID=debian\nHOME_URL=\"http://www.debian.org/\"\n",
         "debian", "debian", "8", "Debian GNU/Linux 8 (jessie)", ""},
        {"PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\nID=debian\n",
         "debian", "debian", "12", "Debian GNU/Linux 12 (bookworm)", "bookworm"},
        {"PRETTY_NAME=\"Debian GNU/Linux trixie/sid\"\nVERSION_CODENAME=trixie\nID=debian\n", "debian", "debian", "",
         "Debian GNU/Linux trixie/sid", "trixie"},
        {"NAME=\"Ubuntu\"\nVERSION=\"14.04.6 LTS, Trusty Tahr\"\nID=ubuntu\nID_LIKE=debian\nPRETTY_NAME=\"Ubuntu "
         "14.04.6 LTS\"\nVERSION_ID=\"14.04\"\n",
         "ubuntu", "debian", "14.04", "Ubuntu 14.04.6 LTS", ""},
        {"PRETTY_NAME=\"Ubuntu 24.04.1 LTS\"\nVERSION_ID=\"24.04\"\nVERSION_CODENAME=noble\nID=ubuntu\n"
         "ID_LIKE=debian\nUBUNTU_CODENAME=noble\n",
         "ubuntu", "debian", "24.04", "Ubuntu 24.04.1 LTS", "noble"},
        {"NAME=\"Linux Mint\"\nID=linuxmint\nID_LIKE=\"ubuntu "
         "debian\"\nVERSION_ID=\"21.2\"\nVERSION_CODENAME=victoria\n"
         "UBUNTU_CODENAME=jammy\n",
         "linuxmint", "debian", "21.2", "", "victoria"},
        {"PRETTY_NAME=\"Kali GNU/Linux Rolling\"\nID=kali\nVERSION_ID=\"2024.1\"\nID_LIKE=debian\n", "kali", "debian",
         "2024.1", "Kali GNU/Linux Rolling", ""},
        {"PRETTY_NAME=\"Devuan GNU/Linux 5 (daedalus)\"\nID=devuan\nVERSION_ID=\"5\"\n", "devuan", "debian", "5",
         "Devuan GNU/Linux 5 (daedalus)", ""},
        {"PRETTY_NAME=\"Raspbian GNU/Linux 11 (bullseye)\"\nID=raspbian\nVERSION_ID=\"11\"\n", "raspbian", "debian",
         "11", "Raspbian GNU/Linux 11 (bullseye)", ""},
        {"NAME=\"Red Hat Enterprise Linux Server\"\nID=\"rhel\"\nID_LIKE=\"fedora\"\nVERSION_ID=\"7.9\"\nPRETTY_NAME="
         "\"Red Hat Enterprise Linux Server 7.9 (Maipo)\"\n",
         "rhel", "redhat", "7.9", "Red Hat Enterprise Linux Server 7.9 (Maipo)", ""},
        {"ID=\"rhel\"\nID_LIKE=\"centos fedora\"\nVERSION_ID=\"10.0\"\nPRETTY_NAME=\"Red Hat Enterprise Linux 10.0 "
         "(Coughlan)\"\n",
         "rhel", "redhat", "10.0", "Red Hat Enterprise Linux 10.0 (Coughlan)", ""},
        {"NAME=\"CentOS Linux\"\nVERSION=\"7 (Core)\"\nID=\"centos\"\nID_LIKE=\"rhel fedora\"\nVERSION_ID=\"7\"\n",
         "centos", "redhat", "7", "", ""},
        {"ID=\"almalinux\"\nID_LIKE=\"rhel centos fedora\"\nVERSION_ID=\"8.9\"\n", "almalinux", "redhat", "8.9", "",
         ""},
        {"ID=\"ol\"\nID_LIKE=\"fedora\"\nVARIANT=\"Server\"\nVARIANT_ID=\"server\"\nVERSION_ID=\"8.9\"\n", "ol",
         "redhat", "8.9", "", ""},
        {"NAME=\"Amazon Linux AMI\"\nVERSION=\"2018.03\"\nID=\"amzn\"\nID_LIKE=\"rhel fedora\"\nVERSION_ID="
         "\"2018.03\"\n",
         "amzn", "redhat", "2018.03", "", ""},
        {"ID=\"scientific\"\nID_LIKE=\"rhel centos fedora\"\nVERSION_ID=\"7.9\"\n", "scientific", "redhat", "7.9", "",
         ""},
        {"NAME=\"openEuler\"\nID=\"openEuler\"\nVERSION_ID=\"22.03\"\n", "openEuler", "redhat", "22.03", "", ""},
        {"ID=fedora\nVERSION_ID=40\nPRETTY_NAME=\"Fedora Linux 40 (Server Edition)\"\n", "fedora", "redhat", "40",
         "Fedora Linux 40 (Server Edition)", ""},
        {"NAME=\"SLES\"\nVERSION=\"11.4\"\nVERSION_ID=\"11.4\"\nPRETTY_NAME=\"SUSE Linux Enterprise Server 11 SP4\"\n"
         "ID=\"sles\"\n",
         "sles", "suse", "11.4", "SUSE Linux Enterprise Server 11 SP4", ""},
        {"NAME=\"SLES_SAP\"\nVERSION_ID=\"15.5\"\nID=\"sles_sap\"\nID_LIKE=\"sles\"\n", "sles_sap", "suse", "15.5", "",
         ""},
        {"ID=\"sle-micro\"\nID_LIKE=\"suse\"\nVERSION_ID=\"5.4\"\n", "sle-micro", "suse", "5.4", "", ""},
        {"ID=\"opensuse-tumbleweed\"\nID_LIKE=\"opensuse suse\"\nVERSION_ID=\"20240101\"\n", "opensuse-tumbleweed",
         "suse", "20240101", "", ""},
        {"ID=opensuse\nVERSION_ID=\"13.2\"\nID_LIKE=\"suse\"\n", "opensuse", "suse", "13.2", "", ""},
        {"NAME=\"Alpine Linux\"\nID=alpine\nVERSION_ID=3.20.1\nPRETTY_NAME=\"Alpine Linux v3.20\"\n", "alpine",
         "alpine", "3.20.1", "Alpine Linux v3.20", ""},
        {"PRETTY_NAME=\"postmarketOS edge\"\nID=\"postmarketos\"\nID_LIKE=\"alpine\"\n", "postmarketos", "alpine", "",
         "postmarketOS edge", ""},
        {"NAME=\"Arch Linux\"\nPRETTY_NAME=\"Arch Linux\"\nID=arch\nBUILD_ID=rolling\n", "arch", "arch", "",
         "Arch Linux", ""},
        {"ID=manjaro\nID_LIKE=arch\n", "manjaro", "arch", "", "", ""},
        {"ID=archarm\n", "archarm", "arch", "", "", ""},
        {"ID=endeavouros\nID_LIKE=arch\n", "endeavouros", "arch", "", "", ""},
        {"ID=cachyos\nID_LIKE='arch'\n", "cachyos", "arch", "", "", ""},
        {"ID=nixos\nVERSION_ID=\"23.11\"\n", "nixos", "", "23.11", "", ""},
        {"ID=new\nID_LIKE=\"unheard of opensuse fedora\"\n", "new", "suse", "", "", ""}, // the first that is known
        {"  ID = spaced \n", "spaced", "", "", "", ""},
        {"# ID=comment\n;ID=comment\nID=first\nID=last\n", "last", "", "", "", ""},
        {"ID=\"open\nVERSION_ID='1\"\n", "\"open", "", "'1\"", "", ""}, // quotes that are none
        {"ID=\"\"\nVERSION_ID=\n", "", "", "", "", ""},
    };
    for (const Row& row : rows) {
        CAPTURE(row.text);
        const OsInfo os = inspect_os(test::opened_of(MemoryGuest().file("/etc/os-release", row.text)));
        CHECK(os.distribution == row.distribution);
        CHECK(os.family == row.family);
        CHECK(os.version == row.version);
        CHECK(os.product == row.product);
        CHECK(os.codename == row.codename);
    }
}

TEST_CASE("os-release is looked for where it may be, the administrator's first") {
    const auto id_of = [](MemoryGuest guest) { return inspect_os(test::opened_of(std::move(guest))).distribution; };
    CHECK(id_of(MemoryGuest().file("/usr/lib/os-release", "ID=b\n")) == "b");
    CHECK(id_of(MemoryGuest().file("/etc/os-release", "ID=a\n").file("/usr/lib/os-release", "ID=b\n")) == "a");
    CHECK(
        id_of(
            MemoryGuest().symlink("/etc/os-release", "../usr/lib/os-release").file("/usr/lib/os-release", "ID=b\n")) ==
        "b");
    CHECK(id_of(MemoryGuest().file("/etc/os-release", "").file("/usr/lib/os-release", "ID=b\n")) == "b");
    CHECK(id_of(MemoryGuest().symlink("/etc/os-release", "/gone").file("/etc/debian_version", "12.5\n")) == "debian");
}

TEST_CASE("systems from before os-release are told by files of their own, the most specific first") {
    struct Row {
        std::vector<std::pair<const char*, const char*>> files;
        const char* distribution;
        const char* family;
        const char* version;
        const char* product;
    };
    const Row rows[] = {
        {{{"/etc/redhat-release", "Red Hat Enterprise Linux Server release 5.11 (Tikanga)\n"}},
         "rhel",
         "redhat",
         "5.11",
         "Red Hat Enterprise Linux Server release 5.11 (Tikanga)"},
        {{{"/etc/redhat-release", "Red Hat Enterprise Linux AS release 4 (Nahant Update 8)\n"}},
         "rhel",
         "redhat",
         "4",
         "Red Hat Enterprise Linux AS release 4 (Nahant Update 8)"},
        {{{"/etc/redhat-release", "CentOS release 5.11 (Final)\n"}},
         "centos",
         "redhat",
         "5.11",
         "CentOS release 5.11 (Final)"},
        {{{"/etc/redhat-release", "CentOS release 6.10 (Final)\n"},
          {"/etc/centos-release", "CentOS release 6.10 (Final)\n"}},
         "centos",
         "redhat",
         "6.10",
         "CentOS release 6.10 (Final)"},
        {{{"/etc/enterprise-release", "Enterprise Linux Enterprise Linux Server release 5.5 (Carthage)\n"},
          {"/etc/redhat-release", "Red Hat Enterprise Linux Server release 5.5 (Tikanga)\n"}},
         "ol",
         "redhat",
         "5.5",
         "Enterprise Linux Enterprise Linux Server release 5.5 (Carthage)"},
        {{{"/etc/oracle-release", "Oracle Linux Server release 6.4\n"},
          {"/etc/redhat-release", "Red Hat Enterprise Linux Server release 6.4 (Santiago)\n"}},
         "ol",
         "redhat",
         "6.4",
         "Oracle Linux Server release 6.4"},
        {{{"/etc/fedora-release", "Fedora release 14 (Laughlin)\n"},
          {"/etc/redhat-release", "Fedora release 14 (Laughlin)\n"}},
         "fedora",
         "redhat",
         "14",
         "Fedora release 14 (Laughlin)"},
        {{{"/etc/rocky-release", "Rocky Linux release 8.4 (Green Obsidian)\n"},
          {"/etc/redhat-release", "Rocky Linux release 8.4 (Green Obsidian)\n"}},
         "rocky",
         "redhat",
         "8.4",
         "Rocky Linux release 8.4 (Green Obsidian)"},
        {{{"/etc/almalinux-release", "AlmaLinux release 8.3 (Purple Manul)\n"}},
         "almalinux",
         "redhat",
         "8.3",
         "AlmaLinux release 8.3 (Purple Manul)"},
        {{{"/etc/SuSE-release", "SUSE Linux Enterprise Server 10 (x86_64)\nVERSION = 10\nPATCHLEVEL = 4\n"}},
         "suse",
         "suse",
         "10",
         "SUSE Linux Enterprise Server 10 (x86_64)"},
        {{{"/etc/debian_version", "6.0.10\n"}}, "debian", "debian", "6.0.10", "debian 6.0.10"},
        {{{"/etc/debian_version", "wheezy/sid\n"}}, "debian", "debian", "", "wheezy/sid"},
        {{{"/etc/alpine-release", "3.2.3\n"}}, "alpine", "alpine", "3.2.3", "alpine 3.2.3"},
        {{{"/etc/arch-release", ""}}, "arch", "arch", "", "arch "},
        {{{"/etc/slackware-version", "Slackware 13.37.0\n"}}, "slackware", "", "13.37.0", "Slackware 13.37.0"},
    };
    for (const Row& row : rows) {
        MemoryGuest guest;
        for (const auto& [path, text] : row.files)
            guest.file(path, text);
        CAPTURE(row.product);
        const OsInfo os = inspect_os(test::opened_of(std::move(guest)));
        CHECK(os.type == "linux");
        CHECK(os.distribution == row.distribution);
        CHECK(os.family == row.family);
        CHECK(os.version == row.version);
        CHECK(os.product == row.product);
    }
}

TEST_CASE("lsb-release tells of Ubuntu's kin before os-release, and of others only the standard") {
    const auto os_of = [](MemoryGuest guest) { return inspect_os(test::opened_of(std::move(guest))); };
    const OsInfo lucid = os_of(MemoryGuest().file(
        "/etc/lsb-release", "DISTRIB_ID=Ubuntu\nDISTRIB_RELEASE=10.04\nDISTRIB_CODENAME=lucid\nDISTRIB_DESCRIPTION="
                            "\"Ubuntu 10.04.4 LTS\"\n"));
    CHECK(lucid.codename == "lucid");
    CHECK(lucid.product == "Ubuntu 10.04.4 LTS");
    const OsInfo other = os_of(MemoryGuest()
                                   .file("/etc/lsb-release", "DISTRIB_ID=\"Some OS\"\nDISTRIB_RELEASE=7\n")
                                   .file("/etc/debian_version", "6.0\n"));
    CHECK(other.distribution == "someos");
    CHECK(other.family == "debian");
    CHECK(other.product == "Some OS 7");
    CHECK(os_of(MemoryGuest().file("/etc/lsb-release", "DISTRIB_ID=Unknown\n")).family.empty());
    CHECK(os_of(MemoryGuest()
                    .file("/etc/lsb-release", "LSB_VERSION=core-4.0-amd64\n")
                    .file("/etc/SuSE-release", "SUSE Linux Enterprise Server 11 (x86_64)\n"))
              .distribution == "suse");
}

TEST_CASE("a guest's architecture is that of its programs") {
    struct Row {
        unsigned machine; // ELF's number for it
        bool is_64_bit;
        bool big_endian;
        const char* architecture; // as Go calls it
    };
    const Row rows[] = {{3, false, false, "386"},     {62, true, false, "amd64"},    {40, false, false, "arm"},
                        {183, true, false, "arm64"},  {20, false, true, "ppc"},      {21, true, true, "ppc64"},
                        {21, true, false, "ppc64le"}, {22, true, true, "s390x"},     {243, true, false, "riscv64"},
                        {243, false, false, "riscv"}, {258, true, false, "loong64"}, {8, false, true, "mips"},
                        {8, false, false, "mipsle"},  {8, true, true, "mips64"},     {8, true, false, "mips64le"},
                        {50, true, false, ""},        {2, false, true, ""}};
    for (const Row& row : rows) {
        CAPTURE(row.machine);
        const std::string head = test::elf_head(row.machine, row.is_64_bit, row.big_endian);
        CHECK(inspect_os(test::opened_of(MemoryGuest().file("/bin/sh", head))).architecture == row.architecture);
    }
    // Whichever program is there; links are followed, and what is no program is passed over.
    for (const char* path : {"/usr/bin/bash", "/sbin/init", "/usr/lib/systemd/systemd", "/bin/busybox",
                             "/lib/systemd/systemd", "/bin/ls"}) {
        CAPTURE(path);
        MemoryGuest guest;
        guest.file("/bin/sh", "#!/bin/false").file(path, test::elf_head(183));
        CHECK(inspect_os(test::opened_of(std::move(guest))).architecture == "arm64");
    }
    MemoryGuest merged;
    merged.symlink("/bin", "usr/bin").symlink("/usr/bin/sh", "dash").file("/usr/bin/dash", test::elf_head(62));
    CHECK(inspect_os(test::opened_of(std::move(merged))).architecture == "amd64");
    MemoryGuest cut;
    cut.file("/bin/sh", test::elf_head(62).substr(0, 19)).file("/bin/ls", test::elf_head(3, false).substr(0, 20));
    CHECK(inspect_os(test::opened_of(std::move(cut))).architecture == "386");
}

TEST_CASE("from far away the dynamic loader's name tells the architecture, if it is one") {
    struct Row {
        const char* loader;
        const char* architecture;
    };
    const Row rows[] = {{"/lib64/ld-linux-x86-64.so.2", "amd64"},
                        {"/lib/ld-musl-x86_64.so.1", "amd64"},
                        {"/lib/ld-linux-aarch64.so.1", "arm64"},
                        {"/lib/ld-musl-aarch64.so.1", "arm64"},
                        {"/lib/ld-linux-armhf.so.3", "arm"},
                        {"/lib/ld-musl-armhf.so.1", "arm"},
                        {"/lib64/ld64.so.2", "ppc64le"},
                        {"/lib/ld-musl-powerpc64le.so.1", "ppc64le"},
                        {"/lib/ld-linux-riscv64-lp64d.so.1", "riscv64"},
                        {"/lib/ld-musl-riscv64.so.1", "riscv64"},
                        {"/lib/ld-linux.so.2", "s390x"}}; // of several: the program is read after all
    for (const Row& row : rows) {
        CAPTURE(row.loader);
        MemoryGuest guest;
        guest.file(row.loader, "").file("/bin/sh", test::elf_head(22, true, true));
        CHECK(test::inspect(guest, LargeFiles::leave).os.architecture == row.architecture);
        CHECK(test::inspect(guest, LargeFiles::read).os.architecture == "s390x");
    }
    MemoryGuest two;
    two.file("/lib64/ld-linux-x86-64.so.2", "").file("/lib/ld-linux-aarch64.so.1", "");
    two.file("/bin/sh", test::elf_head(62));
    CHECK(test::inspect(two, LargeFiles::leave).os.architecture == "amd64");
    MemoryGuest twice;
    twice.file("/lib64/ld-linux-x86-64.so.2", "").file("/lib/ld-musl-x86_64.so.1", "");
    CHECK(test::inspect(twice, LargeFiles::leave).os.architecture == "amd64");
}

TEST_CASE("a guest's name stands in one of two places") {
    const auto name_of = [](MemoryGuest guest) { return inspect_os(test::opened_of(std::move(guest))).hostname; };
    CHECK(name_of(MemoryGuest().file("/etc/hostname", " web1.example.org \n")) == "web1.example.org");
    CHECK(name_of(MemoryGuest().file("/etc/sysconfig/network", "NETWORKING=yes\nHOSTNAME=\"el6.example.org\"\n")) ==
          "el6.example.org");
    MemoryGuest both;
    both.file("/etc/hostname", "new\n").file("/etc/sysconfig/network", "HOSTNAME=old\n");
    CHECK(name_of(std::move(both)) == "new");
    MemoryGuest empty;
    empty.file("/etc/hostname", "\n").file("/etc/sysconfig/network", "HOSTNAME=old\n");
    CHECK(name_of(std::move(empty)) == "old");
    CHECK(name_of(MemoryGuest()).empty());
}

TEST_CASE("what is no system at all is unknown, and any sign of one makes it Linux") {
    const auto type_of = [](MemoryGuest guest) { return inspect_os(test::opened_of(std::move(guest))).type; };
    CHECK(type_of(MemoryGuest().file("/data/file", "x")) == "unknown");
    CHECK(type_of(MemoryGuest().file("/etc/passwd", "")) == "linux");
    CHECK(type_of(MemoryGuest().file("/bin/sh", test::elf_head(62))) == "linux");
    CHECK(type_of(MemoryGuest().file("/etc/os-release", "ID=x\n")) == "linux");
}

TEST_CASE("a Windows guest is told by its registry alone, and looked into for its drivers") {
    OpenedGuest opened = test::opened_of(MemoryGuest().file("/etc/os-release", "ID=debian\n"));
    opened.windows = WindowsFacts{
        "Windows Server 2019 Standard", "ServerStandard", "10.0", "17763.1234", "1809", "Server", "amd64", "WIN-7"};
    const GuestInfo info = inspect_guest(opened, {});
    CHECK(info.os.type == "windows");
    CHECK(info.os.distribution == "windows");
    CHECK(info.os.product == "Windows Server 2019 Standard");
    CHECK(info.os.edition == "ServerStandard");
    CHECK(info.os.version == "10.0");
    CHECK(info.os.build == "17763.1234");
    CHECK(info.os.release == "1809");
    CHECK(info.os.architecture == "amd64");
    CHECK(info.os.hostname == "WIN-7");
    CHECK(info.init.empty());
    CHECK(info.machine_id.empty());
    CHECK(identify_guest(opened).os.type == "windows");
    CHECK(identify_guest(opened).init.empty());
}

TEST_CASE("a guest is called by its name, unless that is everybody's") {
    struct Row {
        const char* hostname;
        const char* machine;
    };
    for (const Row& row : {Row{"web1", "web1"},
                           {"localhost", ""},
                           {"localhost.localdomain", ""},
                           {"(none)", ""},
                           {"", ""},
                           {"local", "local"},
                           {"LOCALHOST", "LOCALHOST"}}) {
        CAPTURE(row.hostname);
        MemoryGuest guest;
        guest.file("/etc/hostname", std::string(row.hostname) + "\n").file("/etc/os-release", "ID=debian\n");
        guest.symlink("/sbin/init", "/lib/systemd/systemd");
        const GuestSummary summary = summarise_guest(test::opened_of(std::move(guest)));
        CHECK(summary.machine == row.machine);
        CHECK(summary.os.distribution == "debian");
        CHECK(summary.init == "systemd");
        CHECK(summary.firmware.empty());
    }
    CHECK(summarise_guest(OpenedGuest()).os.distribution.empty());
    CHECK(identify_guest(OpenedGuest()).os.type == "unknown");
}
