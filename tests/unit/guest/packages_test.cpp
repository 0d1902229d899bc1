#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"
#include "formats/rpm/database.hpp"
#include "formats/rpm/header.hpp"
#include "libconvert/inspect/package_database.hpp"
#include "libconvert/inspect/package_url.hpp"
#include "libconvert/inspect/spdx.hpp"
#include "tests/support/memory_guest.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;

namespace {

struct Tag {
    std::uint32_t number;
    std::uint32_t type;
    std::uint32_t offset;
    std::uint32_t count;
};

std::vector<std::byte> header(const std::vector<Tag>& tags, std::string_view store) {
    std::vector<std::byte> bytes(8 + tags.size() * 16);
    store_be(bytes.data(), static_cast<std::uint32_t>(tags.size()));
    store_be(bytes.data() + 4, static_cast<std::uint32_t>(store.size()));
    for (std::size_t i = 0; i < tags.size(); ++i) {
        std::byte* at = bytes.data() + 8 + i * 16;
        store_be(at, tags[i].number);
        store_be(at + 4, tags[i].type);
        store_be(at + 8, tags[i].offset);
        store_be(at + 12, tags[i].count);
    }
    const auto text = std::as_bytes(std::span(store));
    bytes.insert(bytes.end(), text.begin(), text.end());
    return bytes;
}

class Bytes final : public ByteSource {
  public:
    explicit Bytes(std::vector<std::byte> bytes) : bytes_(std::move(bytes)) {}
    std::size_t read_some_at(std::uint64_t offset, std::span<std::byte> buffer) const override {
        const std::size_t begin = std::min<std::size_t>(offset, bytes_.size());
        const std::size_t length = std::min(buffer.size(), bytes_.size() - begin);
        std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(begin), length, buffer.begin());
        return length;
    }
    std::vector<std::byte> bytes_;
};

} // namespace

TEST_CASE("a header of an RPM package is read within its bounds") {
    using namespace std::string_view_literals;
    const auto store = "tool\0"
                       "1.0\0"
                       "/usr/bin/\0"
                       "tool\0"
                       "\0\0\0\0"
                       "\0\0\0\2"sv;
    std::vector<Tag> tags = {{1000, 6, 0, 1},  {1001, 6, 5, 1},  {1118, 8, 9, 1},
                             {1117, 8, 19, 1}, {1116, 4, 24, 1}, {1003, 4, 28, 1}};
    const RpmPackage package = parse_rpm_header(header(tags, store), RpmFiles::read);
    CHECK(package.name == "tool");
    CHECK(package.full_version() == "2:1.0");
    REQUIRE(package.files.size() == 1);
    CHECK(package.files[0].path == "/usr/bin/tool");

    const auto refuse = [&](const std::vector<std::byte>& bytes) {
        CHECK_THROWS_AS(parse_rpm_header(bytes, RpmFiles::read), Error);
    };
    refuse({});
    refuse(header({}, ""));
    refuse(header({{1000, 6, 0, 1}}, "no end"));
    refuse(header({{1000, 6, 99, 1}}, "tool\0"sv));
    tags[4].offset = 28; // the folder with number 2
    refuse(header(tags, store));
    tags[4].offset = 30; // beyond the end
    refuse(header(tags, store));
    tags[4].offset = 24;
    tags[3].count = 5'000'000;
    refuse(header(tags, store));
    std::vector<std::byte> cut = header({{1000, 6, 0, 1}}, "tool\0"sv);
    store_be(cut.data(), 0xffffu);
    refuse(cut);
    store_be(cut.data(), 0xffffffffu);
    refuse(cut);
}

TEST_CASE("what is no database of rpm is refused, and circles in one end") {
    const auto refuse = [](std::vector<std::byte> bytes) {
        const std::uint64_t size = bytes.size();
        const Bytes file(std::move(bytes));
        CHECK_THROWS_AS(for_each_rpm_header({&file, size}, [](std::span<const std::byte>) {}), Error);
    };
    refuse({});
    refuse(std::vector<std::byte>(4096));
    // A hash of one page whose item is a chain that leads to itself.
    std::vector<std::byte> hash(3 * 512);
    store_le(hash.data() + 12, 0x061561u);
    store_le(hash.data() + 20, 512u);
    std::byte* page = hash.data() + 512;
    page[25] = std::byte{13};
    store_le(page + 20, std::uint16_t{2});
    store_le(page + 26, std::uint16_t{500});
    store_le(page + 28, std::uint16_t{488});
    page[488] = std::byte{3};
    store_le(page + 492, 2u);
    store_le(page + 496, 1400u);
    page = hash.data() + 1024;
    page[25] = std::byte{7};
    store_le(page + 16, 2u);
    store_le(page + 22, std::uint16_t{1});
    refuse(hash);
}

TEST_CASE("packages of apk, pacman and dpkg are told") {
    test::MemoryGuest apk;
    apk.file("/lib/apk/db/installed",
             "C:Q1\nP:musl\nV:1.2.4-r2\nA:x86_64\nL:MIT\no:musl\nF:lib\nR:ld.so\n\nP:zlib\nV:1.3-r0\nA:x86_64\nL:Zlib");
    const PackageDatabase found = read_package_database(apk, PackageLicenses::read);
    CHECK(found.manager == "apk");
    REQUIRE(found.packages.size() == 2);
    CHECK(found.packages[0].name == "musl");
    CHECK(found.packages[1].license == "Zlib");

    test::MemoryGuest arch;
    arch.file("/var/lib/pacman/local/ALPM_DB_VERSION", "9\n");
    arch.file("/var/lib/pacman/local/bash-5.2-1/desc",
              "%NAME%\nbash\n\n%VERSION%\n5.2-1\n\n%ARCH%\nx86_64\n\n%LICENSE%\nGPL-3.0-or-later\n");
    const PackageDatabase pacman = read_package_database(arch, PackageLicenses::read);
    REQUIRE(pacman.packages.size() == 1);
    CHECK(pacman.packages[0].version == "5.2-1");

    test::MemoryGuest debian;
    debian.file("/var/lib/dpkg/status", "Package: a\nStatus: install ok installed\nVersion: 1\nArchitecture: all\n\n"
                                        "Package: b\nStatus: deinstall ok config-files\nVersion: 1\n\n"
                                        "Package: c\nStatus: hold ok installed\nVersion: 2\n");
    debian.file(
        "/usr/share/doc/a/copyright",
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles: *\nLicense: GPL-2+\n"
        " text\n\nFiles: x\nLicense: Expat\n");
    debian.file("/usr/share/doc/c/copyright", "It is free software.\nLicense: MIT\n");
    const PackageDatabase dpkg = read_package_database(debian, PackageLicenses::read);
    REQUIRE(dpkg.packages.size() == 2);
    CHECK(spdx_license(dpkg.packages[0].license) == "MIT AND GPL-2.0-or-later");
    CHECK(dpkg.packages[1].name == "c");
    CHECK(dpkg.packages[1].license.empty());

    arch.file("/var/lib/pacman/local/perl-5.38-1/desc",
              "%NAME%\nperl\n\n%VERSION%\n5.38-1\n\n%LICENSE%\nGPL-1.0-or-later OR Artistic-1.0-Perl\nMIT\n");
    CHECK(spdx_license(read_package_database(arch, PackageLicenses::read).packages[1].license) ==
          "(GPL-1.0-or-later OR Artistic-1.0-Perl) AND MIT");

    CHECK(read_package_database(test::MemoryGuest(), PackageLicenses::skip).manager.empty());
}

TEST_CASE("a copyright file counts for what it puts under a licence") {
    const auto license_of = [](const std::string& paragraphs) {
        test::MemoryGuest debian;
        debian.file("/var/lib/dpkg/status", "Package: a\nStatus: install ok installed\nVersion: 1\n");
        debian.file("/usr/share/doc/a/copyright",
                    "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n" + paragraphs);
        return spdx_license(read_package_database(debian, PackageLicenses::read).packages.at(0).license);
    };
    // What binds loosely keeps its brackets.
    CHECK(license_of("\nFiles: *\nLicense: GPL-2+ or Artistic\n\nFiles: x\nLicense: Expat\n") ==
          "MIT AND (GPL-2.0-or-later OR Artistic-1.0-Perl)");
    CHECK(license_of("\nFiles: *\nLicense: Expat or GPL-3\n") == "MIT OR GPL-3.0-only");
    CHECK(license_of("\nFiles: *\nLicense: Expat and ISC\n\nFiles: y\nLicense: GPL-2 or GPL-3\n") ==
          "(MIT AND ISC) AND (GPL-2.0-only OR GPL-3.0-only)");
    // A paragraph of its own gives a licence's text.
    CHECK(license_of("\nFiles: *\nLicense: Expat\n\nLicense: GPL-2\n text\n\nLicense: Expat\n text\n") == "MIT");
    CHECK(license_of("License: ISC\n\nFiles: *\nCopyright: we\n") == "ISC"); // the header's
    CHECK(license_of("\nLicense: Expat\nFiles: *\n") == "MIT");              // fields in another order
    CHECK(license_of("\nLicense: Expat\n").empty());
}

TEST_CASE("a package is named with the source that advisories are about") {
    OsInfo os;
    os.distribution = "debian";
    os.version = "12";
    const auto url = [&](const std::string& manager, const std::string& source) {
        return package_url({"libc6", "2.36-9", "amd64", "", "", source}, manager, os);
    };
    CHECK(url("dpkg", "") == "pkg:deb/debian/libc6@2.36-9?arch=amd64&distro=debian-12");
    CHECK(url("dpkg", "glibc") == "pkg:deb/debian/libc6@2.36-9?arch=amd64&distro=debian-12&upstream=glibc");
    CHECK(url("dpkg", "glibc (2.36-9+b1)") ==
          "pkg:deb/debian/libc6@2.36-9?arch=amd64&distro=debian-12&upstream=glibc%402.36-9%2Bb1");
    CHECK(url("rpm", "glibc-2.34-60.el9.src.rpm") ==
          "pkg:rpm/debian/libc6@2.36-9?arch=amd64&distro=debian-12&upstream=glibc-2.34-60.el9.src.rpm");
    CHECK(url("apk", "libc6") == "pkg:apk/debian/libc6@2.36-9?arch=amd64&distro=debian-12");
    CHECK(url("apk", "glibc") == "pkg:apk/debian/libc6@2.36-9?arch=amd64&distro=debian-12&upstream=glibc");
}

TEST_CASE("licences are named only if all of them are known") {
    CHECK(spdx_license("GPL-2.0-or-later AND (MIT OR Apache-2.0)") == "GPL-2.0-or-later AND (MIT OR Apache-2.0)");
    CHECK(spdx_license("Expat or GPL-3+") == "MIT OR GPL-3.0-or-later");
    for (const char* text :
         {"", "GPLv2+", "MIT and unknown", "MIT AND", "(MIT", "MIT)", "MIT MIT", "and MIT", "MIT, and ISC", "()"})
        CHECK(spdx_license(text).empty());
}
