// What package managers say is installed.
#include "libconvert/inspect/package_database.hpp"
#include "libconvert/inspect/package_url.hpp"
#include "tests/unit/inspect/inspect_fixture.hpp"
#include "tests/unit/rpm/rpm_fixture.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;
using test::MemoryGuest;
using test::Words;

namespace {

// "name version architecture" of each.
Words told(const PackageDatabase& database) {
    Words all;
    for (const InstalledPackage& package : database.packages)
        all.push_back(package.name + " " + package.version + " " + package.architecture);
    return all;
}

PackageDatabase read(const MemoryGuest& guest) {
    return read_package_database(guest, PackageLicenses::read);
}

} // namespace

TEST_CASE("packages of dpkg are those whose files are there, whatever was wanted of them") {
    struct Row {
        const char* status;
        bool is_there;
    };
    // dpkg(1), "INFORMATION ABOUT PACKAGES": a wish, a flag, a state.
    for (const Row& row : {Row{"install ok installed", true},
                           {"hold ok installed", true},
                           {"deinstall ok installed", true},
                           {"purge ok installed", true},
                           {"install reinstreq installed", true},
                           {"install ok triggers-pending", true},
                           {"install ok triggers-awaited", true},
                           {"install ok unpacked", true},
                           {"install ok half-configured", true},
                           {"install reinstreq half-installed", false},
                           {"deinstall ok config-files", false},
                           {"purge ok not-installed", false},
                           {"unknown ok not-installed", false}}) {
        CAPTURE(row.status);
        MemoryGuest guest;
        guest.file("/var/lib/dpkg/status",
                   "Package: a\nStatus: " + std::string(row.status) + "\nVersion: 1-2\nArchitecture: amd64\n");
        CHECK(told(read(guest)) == (row.is_there ? Words{"a 1-2 amd64"} : Words{}));
        CHECK(test::inspect(guest).packages.count == (row.is_there ? 1u : 0u));
    }
}

TEST_CASE("paragraphs of dpkg end at an empty line, and know their fields by name") {
    MemoryGuest guest;
    guest.file(
        "/var/lib/dpkg/status",
        "Package: libc6\nStatus: install ok installed\nPriority: optional\nMaintainer: GNU Libc Maintainers "
        "<debian-glibc@lists.debian.org>\nArchitecture: amd64\nMulti-Arch: same\nSource: glibc (2.36-9)\nVersion: "
        "2.36-9+deb12u4\nDescription: GNU C Library\n Package: none\n Version: none\n\n\n"
        "Version: 0:1\nStatus: install ok installed\n\nPackage: libc6\nVersion: 2.36-9+deb12u4\nArchitecture: "
        "i386\nStatus: install ok installed\n\nPackage: adduser\nStatus: install ok installed\nVersion: 3.134\n"
        "Architecture: all"); // no line feed at the end
    const PackageDatabase database = read(guest);
    CHECK(database.manager == "dpkg");
    CHECK(database.problem.empty());
    CHECK(told(database) == Words{"adduser 3.134 all", "libc6 2.36-9+deb12u4 amd64", "libc6 2.36-9+deb12u4 i386"});
    CHECK(database.packages.at(1).supplier == "GNU Libc Maintainers <debian-glibc@lists.debian.org>");
    CHECK(database.packages.at(1).source == "glibc (2.36-9)");
    CHECK(database.packages.at(2).source.empty()); // of the one before, and not of this
}

TEST_CASE("images without dpkg itself keep a file for each package") {
    MemoryGuest guest;
    guest.file("/var/lib/dpkg/status.d/base", "Package: base-files\nVersion: 12.4\nArchitecture: amd64\n");
    guest.file("/var/lib/dpkg/status.d/base.md5sums", "Package: no\nVersion: 1\n");
    guest.file("/var/lib/dpkg/status.d/tzdata", "Package: tzdata\nVersion: 2024a\nArchitecture: all\n\n");
    const PackageDatabase database = read(guest);
    CHECK(database.manager == "dpkg");
    CHECK(told(database) == Words{"base-files 12.4 amd64", "tzdata 2024a all"});
}

TEST_CASE("licences of dpkg are read only where they are asked for") {
    MemoryGuest guest;
    guest.file("/var/lib/dpkg/status", "Package: a\nStatus: install ok installed\nVersion: 1\n");
    guest.file("/usr/share/doc/a/copyright", "Format: http://dep.debian.net/deps/dep5\n\nFiles: *\nLicense: Expat\n");
    CHECK(read_package_database(guest, PackageLicenses::skip).packages.at(0).license.empty());
    CHECK(read(guest).packages.at(0).license == "Expat");
    // Only the first line says what form the file has.
    guest.file("/usr/share/doc/a/copyright",
               "\nFormat: https://www.debian.org/doc/copyright-format/1.0/\n\nFiles: *\nLicense: Expat\n");
    CHECK(read(guest).packages.at(0).license.empty());
    guest.file("/usr/share/doc/a/copyright",
               "Format: https://www.debian.org/doc/copyright-format/1.0/\n \t\nFiles: *\nLicense: Expat\n"
               "\nFiles: b\nLicense: Expat\n\nFiles: c\nLicense:\n\nFiles: d\nLicense: ISC");
    CHECK(read(guest).packages.at(0).license == "Expat and ISC");
}

TEST_CASE("apk's packages, in either place of its database") {
    const std::string text =
        "C:Q1abc=\nP:busybox\nV:1.36.1-r15\nA:x86_64\nS:500000\nI:900000\nT:Size optimized toolbox\n"
        "U:https://busybox.net/\nL:GPL-2.0-only\no:busybox\nm:Natanael Copa <ncopa@alpinelinux.org>\nt:1700\n"
        "c:abc\nD:so:libc.musl\nF:bin\nR:busybox\na:0:0:755\nZ:Q1=\nF:P:not a package\n\nP:\nV:1\n\n"
        "P:apk-tools\nV:2.14.0-r5\nA:x86_64\nX\n:odd\n";
    for (const char* path : {"/lib/apk/db/installed", "/usr/lib/apk/db/installed"}) {
        const PackageDatabase database = read(MemoryGuest().file(path, text));
        CHECK(database.manager == "apk");
        CHECK(told(database) == Words{"apk-tools 2.14.0-r5 x86_64", "busybox 1.36.1-r15 x86_64"});
        CHECK(database.packages.at(1).license == "GPL-2.0-only");
        CHECK(database.packages.at(1).source == "busybox");
        CHECK(database.packages.at(1).supplier == "Natanael Copa <ncopa@alpinelinux.org>");
        CHECK(database.packages.at(0).license.empty());
    }
}

TEST_CASE("pacman's packages, one folder each") {
    MemoryGuest guest;
    const std::string local = "/var/lib/pacman/local/";
    guest.file(local + "ALPM_DB_VERSION", "9\n").file(local + "empty-1/files", "%FILES%\n");
    guest.file(
        local + "zlib-1:1.3-2/desc",
        "%NAME%\nzlib\n\n%VERSION%\n1:1.3-2\n\n%BASE%\nzlib-base\n\n%DESC%\nCompression\n\n"
        "%ARCH%\nx86_64\n\n%BUILDDATE%\n1700000000\n\n%PACKAGER%\nA B <a@b>\n\n%LICENSE%\ncustom\nGPL2 or MIT\n\n");
    const PackageDatabase database = read(guest);
    CHECK(database.manager == "pacman");
    CHECK(told(database) == Words{"zlib 1:1.3-2 x86_64"});
    CHECK(database.packages.at(0).source == "zlib-base");
    CHECK(database.packages.at(0).supplier == "A B <a@b>");
    CHECK(database.packages.at(0).license == "custom and (GPL2 or MIT)");
}

TEST_CASE("rpm's packages, of every kind of database and in both folders, without public keys") {
    const std::string bash = test::RpmHeaderText()
                                 .text(1000, "bash")
                                 .numbers(1003, {1})
                                 .text(1001, "5.1")
                                 .text(1002, "9.el9")
                                 .text(1011, "Vendor")
                                 .text(1014, "GPLv3+")
                                 .text(1022, "x86_64")
                                 .text(1044, "bash-5.1-9.el9.src.rpm")
                                 .bytes();
    const std::string key = test::header_of("gpg-pubkey", "fd431d51", "4ae0493b");
    test::BerkeleyFile hash(4096);
    hash.page({hash.key(1), {1, key}, hash.key(2), {1, bash}});
    test::NdbFile ndb;
    ndb.package(0, 1, key).package(1, 2, bash);
    for (const char* folder : {"/usr/lib/sysimage/rpm", "/var/lib/rpm"})
        for (const auto& [name, bytes] :
             {std::pair<const char*, std::string>{"/Packages", hash.bytes()}, {"/Packages.db", ndb.bytes()}}) {
            CAPTURE(folder, name);
            const PackageDatabase database = read(MemoryGuest().file(std::string(folder) + name, bytes));
            CHECK(database.manager == "rpm");
            CHECK(database.problem.empty());
            CHECK(told(database) == Words{"bash 1:5.1-9.el9 x86_64"});
            CHECK(database.packages.at(0).license == "GPLv3+");
            CHECK(database.packages.at(0).supplier == "Vendor");
            CHECK(database.packages.at(0).source == "bash-5.1-9.el9.src.rpm");
        }
    // What a conversion left of the older kinds is out of date.
    MemoryGuest both;
    both.file("/var/lib/rpm/Packages", hash.bytes()).file("/var/lib/rpm/Packages.db", test::NdbFile().bytes());
    CHECK(read(both).packages.empty());
    CHECK(read(both).manager == "rpm");
}

TEST_CASE("a database larger than what is read at once is read to its end") {
    // A window has 512 KiB; the blobs lie across its borders.
    test::NdbFile ndb;
    Words expected;
    for (std::uint32_t i = 0; i < 9; ++i) {
        const std::string name = "package-" + std::to_string(i);
        ndb.package(i, i + 1,
                    test::RpmHeaderText()
                        .text(1000, name)
                        .text(1001, std::string(150'000 + i, '1'))
                        .text(1022, "noarch")
                        .bytes());
        expected.push_back(name + " " + std::string(150'000 + i, '1') + " noarch");
    }
    CHECK((told(read(MemoryGuest().file("/var/lib/rpm/Packages.db", ndb.bytes()))) == expected));
}

TEST_CASE("a damaged database is told with its manager and without a count") {
    MemoryGuest guest;
    guest.file("/var/lib/rpm/rpmdb.sqlite", "no database at all, and longer than thirty-two bytes");
    const PackageInfo info = test::inspect(guest).packages;
    CHECK(info.manager == "rpm");
    CHECK_FALSE(info.count.has_value());
    CHECK(info.problem == "the RPM database is neither sqlite, ndb nor a hash of Berkeley DB");
    const PackageInfo none = test::inspect(MemoryGuest()).packages;
    CHECK(none.manager.empty());
    CHECK_FALSE(none.count.has_value());
    CHECK(none.problem.empty());
    const PackageInfo empty = test::inspect(MemoryGuest().file("/var/lib/dpkg/status", "")).packages;
    CHECK(empty.count == 0u);
}

TEST_CASE("of several managers the one counts that runs the guest") {
    // Debian has rpm as a package, and Alpine and Arch may, too.
    const std::string rpm = test::NdbFile().bytes();
    MemoryGuest debian;
    debian.file("/var/lib/dpkg/status", "").file("/var/lib/rpm/Packages.db", rpm).file("/lib/apk/db/installed", "");
    CHECK(read(debian).manager == "dpkg");
    MemoryGuest alpine;
    alpine.file("/lib/apk/db/installed", "").file("/var/lib/rpm/Packages.db", rpm).folder("/var/lib/pacman/local");
    CHECK(read(alpine).manager == "apk");
    MemoryGuest arch;
    arch.folder("/var/lib/pacman/local").file("/var/lib/rpm/Packages.db", rpm);
    CHECK(read(arch).manager == "pacman");
}

TEST_CASE("files of all packages of rpm, and which of them are configuration") {
    test::NdbFile ndb;
    ndb.package(0, 1,
                test::RpmHeaderText()
                    .text(1000, "a")
                    .numbers(1037, {1, 0})
                    .numbers(1116, {0, 1})
                    .texts(1117, {"a.conf", "a"})
                    .texts(1118, {"/etc/", "/usr/bin/"})
                    .bytes());
    ndb.package(
        1, 2,
        test::RpmHeaderText().text(1000, "b").numbers(1116, {0}).texts(1117, {"b"}).texts(1118, {"/usr/bin/"}).bytes());
    const auto files = read_rpm_files(MemoryGuest().file("/var/lib/rpm/Packages.db", ndb.bytes()));
    REQUIRE(files.has_value());
    REQUIRE(files->size() == 3);
    CHECK(files->at(0).path == "/etc/a.conf");
    CHECK(files->at(0).is_configuration);
    CHECK(files->at(1).path == "/usr/bin/a");
    CHECK_FALSE(files->at(1).is_configuration);
    CHECK(files->at(2).path == "/usr/bin/b");
    CHECK_FALSE(read_rpm_files(MemoryGuest()).has_value());
    CHECK_THROWS_AS(read_rpm_files(MemoryGuest().file("/var/lib/rpm/Packages", std::string(64, 'x'))), Error);
}

TEST_CASE("purls name packages as their specification and its types have it") {
    struct Row {
        const char* manager;
        InstalledPackage package;
        const char* distribution;
        const char* version;
        const char* url;
    };
    const Row rows[] = {
        {"rpm",
         {"bash", "5.1.8-9.el9", "x86_64", "", "", "bash-5.1.8-9.el9.src.rpm"},
         "rocky",
         "9.3",
         "pkg:rpm/rocky/bash@5.1.8-9.el9?arch=x86_64&distro=rocky-9.3&upstream=bash-5.1.8-9.el9.src.rpm"},
        {"rpm",
         {"openssl-libs", "1:3.0.7-24.el9", "x86_64", "", "", ""},
         "rhel",
         "9.3",
         "pkg:rpm/rhel/openssl-libs@3.0.7-24.el9?arch=x86_64&distro=rhel-9.3&epoch=1"},
        {"dpkg",
         {"libstdc++6", "1:12.2.0-14", "amd64", "", "", "gcc-12"},
         "debian",
         "12",
         "pkg:deb/debian/libstdc%2B%2B6@1:12.2.0-14?arch=amd64&distro=debian-12&upstream=gcc-12"},
        {"dpkg", {"a", "1~rc1+dfsg", "", "", "", ""}, "", "", "pkg:deb/a@1~rc1%2Bdfsg"},
        {"pacman", {"zlib", "1:1.3-2", "x86_64", "", "", "zlib"}, "arch", "", "pkg:alpm/arch/zlib@1:1.3-2?arch=x86_64"},
        {"apk",
         {"musl", "1.2.4-r2", "x86_64", "", "", "musl"},
         "alpine",
         "3.19.0",
         "pkg:apk/alpine/musl@1.2.4-r2?arch=x86_64&distro=alpine-3.19.0"},
        {"rpm",
         {"odd name/%", "1", "", "", "", ""},
         "openEuler",
         "22.03",
         "pkg:rpm/openeuler/odd%20name%2F%25@1?distro=openeuler-22.03"},
        {"dpkg", {"\xc3\xa4", "1", "", "", "", "x ("}, "debian", "", "pkg:deb/debian/%C3%A4@1?upstream=x%20%28"},
    };
    for (const Row& row : rows) {
        CAPTURE(row.url);
        OsInfo os;
        os.distribution = row.distribution;
        os.version = row.version;
        CHECK(package_url(row.package, row.manager, os) == row.url);
    }
    OsInfo family;
    family.family = "redhat";
    family.version = "6";
    CHECK(package_url({"a", "1", "", "", "", ""}, "rpm", family) == "pkg:rpm/redhat/a@1?distro=redhat-6");
}

TEST_CASE("a content's UUID is of version 8, and made of its SHA-256") {
    // printf '' | sha256sum; printf abc | sha256sum
    CHECK(content_uuid("") == "e3b0c442-98fc-81c1-a49a-fbf4c8996fb9");
    CHECK(content_uuid("abc") == "ba7816bf-8f01-8cfe-aa41-4140de5dae22");
}
