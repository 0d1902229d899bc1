// What is installed in a guest, from the databases of its package manager.
#pragma once

#include "libconvert/guest/guest.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci {

// Raw text of the guest; empty: not said.
struct InstalledPackage {
    std::string name;
    std::string version;      // as the manager writes it: "1:2.0-3"
    std::string architecture; // the manager's word: "amd64", "x86_64", "noarch"
    std::string license;      // the manager's words, whatever they are
    std::string supplier;     // who made the package
    std::string source;       // what it was built from
};

struct PackageDatabase {
    std::string manager; // "dpkg", "rpm", "apk", "pacman"; empty: none is known
    std::vector<InstalledPackage> packages;
    std::string problem; // why not all of it could be read; empty: all was
};

enum class PackageLicenses { read, skip }; // dpkg's lie in a file of each package

// Sorted by name, version and architecture. Throws only what the disk throws.
PackageDatabase read_package_database(const Guest& guest, PackageLicenses licenses);

struct PackagedFile {
    std::string path; // as the package names it
    bool is_configuration = false;
};

// The files of all RPM packages. nullopt: rpm's database is not there. Error as for_each_rpm_header() has it.
std::optional<std::vector<PackagedFile>> read_rpm_files(const Guest& guest);

} // namespace vm2oci
