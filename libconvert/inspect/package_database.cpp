#include "libconvert/inspect/package_database.hpp"

#include "formats/base/error.hpp"
#include "libconvert/inspect/parts.hpp"
#include "libconvert/inspect/rpm_packages.hpp"

#include <algorithm>
#include <functional>
#include <set>
#include <tuple>

namespace vm2oci {
namespace {

using namespace inspect;

constexpr std::size_t kDatabaseLimit = 128ull * 1024 * 1024; // dpkg's status of a full desktop has 10 MiB
constexpr std::size_t kLicenseLimit = 4ull * 1024 * 1024;
constexpr std::size_t kMaxPackages = 500'000; // all of Debian has 70 000

void for_each_line(const std::string& text, const std::function<void(std::string_view)>& visit) {
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = std::min(text.find('\n', at), text.size());
        visit(std::string_view(text).substr(at, end - at));
        at = end + 1;
    }
}

void add(PackageDatabase& database, InstalledPackage package) {
    if (database.packages.size() >= kMaxPackages)
        fail(ErrorKind::limit, "the guest has more packages than any real one");
    database.packages.push_back(std::move(package));
}

// An expression as part of another one: "and" binds tighter than "or".
std::string as_operand(const std::string& expression) {
    return expression.find(' ') == std::string::npos ? expression : "(" + expression + ")";
}

// The licences of the paragraphs about files in a machine-readable copyright file (Debian's copyright-format 1.0) and
// of its header, joined as SPDX joins them. A paragraph of its own gives a licence's text to those that name it, and
// puts nothing under it.
std::string read_debian_license(const Guest& guest, const std::string& package) {
    const std::string text =
        try_read_text(guest, "/usr/share/doc/" + package + "/copyright", kLicenseLimit).value_or("");
    const std::string first = text.substr(0, std::min(text.find('\n'), text.size()));
    if (first.find("copyright-format") == std::string::npos && first.find("dep5") == std::string::npos)
        return {};
    std::set<std::string> names;
    std::string license;
    bool licenses_something = false;
    const auto finish_paragraph = [&] {
        if (licenses_something && !license.empty())
            names.insert(license);
        license.clear();
        licenses_something = false;
    };
    for_each_line(text, [&](std::string_view line) {
        if (trim(line).empty())
            finish_paragraph();
        else if (starts_with(line, "License:"))
            license = trim(line.substr(8));
        else if (starts_with(line, "Files:") || starts_with(line, "Format:"))
            licenses_something = true;
    });
    finish_paragraph();
    if (names.size() == 1)
        return *names.begin();
    std::string joined;
    for (const std::string& name : names)
        joined += (joined.empty() ? "" : " and ") + as_operand(name);
    return joined;
}

// The state is the last word (dpkg(1), "INFORMATION ABOUT PACKAGES"). What is unpacked is there, whatever is left to
// do.
bool has_files_of(std::string_view status) {
    constexpr std::string_view kStates[] = {" installed", " triggers-pending", " triggers-awaited", " unpacked",
                                            " half-configured"};
    return std::any_of(std::begin(kStates), std::end(kStates),
                       [&](std::string_view state) { return ends_with(status, state); });
}

// Paragraphs of "Key: value" with an empty line between them.
void read_dpkg(const Guest& guest, PackageLicenses licenses, PackageDatabase& database) {
    InstalledPackage package;
    bool is_installed = false;
    const auto finish = [&] {
        if (is_installed && !package.name.empty()) {
            if (licenses == PackageLicenses::read)
                package.license = read_debian_license(guest, package.name);
            add(database, std::move(package));
        }
        package = {};
        is_installed = false;
    };
    const auto read = [&](const std::string& path, bool always_installed) {
        for_each_line(try_read_text(guest, path, kDatabaseLimit).value_or(""), [&](std::string_view line) {
            if (line.empty()) {
                is_installed = is_installed || always_installed;
                finish();
                return;
            }
            const auto take = [&](std::string_view key, std::string& value) {
                if (starts_with(line, key))
                    value = trim(line.substr(key.size()));
            };
            take("Package:", package.name);
            take("Version:", package.version);
            take("Architecture:", package.architecture);
            take("Maintainer:", package.supplier);
            take("Source:", package.source);
            if (starts_with(line, "Status:"))
                is_installed = has_files_of(trim(line));
        });
        is_installed = is_installed || always_installed;
        finish();
    };
    read("/var/lib/dpkg/status", false);
    for (const std::string& name : list_folder(guest, "/var/lib/dpkg/status.d")) // of images without dpkg itself
        if (!ends_with(name, ".md5sums"))
            read("/var/lib/dpkg/status.d/" + name, true);
}

void read_apk(const Guest& guest, const std::string& path, PackageDatabase& database) {
    InstalledPackage package;
    const auto finish = [&] {
        if (!package.name.empty())
            add(database, std::move(package));
        package = {};
    };
    for_each_line(try_read_text(guest, path, kDatabaseLimit).value_or(""), [&](std::string_view line) {
        if (line.size() < 2 || line[1] != ':') {
            if (line.empty())
                finish();
            return;
        }
        std::string value = trim(line.substr(2));
        switch (line[0]) {
        case 'P':
            package.name = std::move(value);
            break;
        case 'V':
            package.version = std::move(value);
            break;
        case 'A':
            package.architecture = std::move(value);
            break;
        case 'L':
            package.license = std::move(value);
            break;
        case 'm':
            package.supplier = std::move(value);
            break;
        case 'o':
            package.source = std::move(value);
            break;
        default:
            break;
        }
    });
    finish();
}

// A folder for each package, with its description in "desc": "%KEY%", values, an empty line.
void read_pacman(const Guest& guest, PackageDatabase& database) {
    for (const std::string& folder : list_folder(guest, "/var/lib/pacman/local")) {
        if (folder == "ALPM_DB_VERSION")
            continue;
        InstalledPackage package;
        std::vector<std::string> names; // of licences
        std::string key;
        for (const std::string& line : read_lines(guest, "/var/lib/pacman/local/" + folder + "/desc")) {
            if (line.empty() || line.front() == '%') {
                key = line;
                continue;
            }
            if (key == "%NAME%")
                package.name = line;
            else if (key == "%VERSION%")
                package.version = line;
            else if (key == "%ARCH%")
                package.architecture = line;
            else if (key == "%LICENSE%")
                names.push_back(line);
            else if (key == "%PACKAGER%")
                package.supplier = line;
            else if (key == "%BASE%")
                package.source = line;
        }
        for (const std::string& name : names)
            package.license += (package.license.empty() ? "" : " and ") + (names.size() == 1 ? name : as_operand(name));
        if (!package.name.empty())
            add(database, std::move(package));
    }
}

bool read_rpm(const Guest& guest, PackageDatabase& database) {
    return for_each_rpm_package(guest, RpmFiles::skip, [&](RpmPackage package) {
        std::string version = package.full_version();
        add(database, {std::move(package.name), std::move(version), std::move(package.architecture),
                       std::move(package.license), std::move(package.vendor), std::move(package.source)});
    });
}

void read_any(const Guest& guest, PackageLicenses licenses, PackageDatabase& database) {
    if (exists(guest, "/var/lib/dpkg/status") || exists(guest, "/var/lib/dpkg/status.d")) {
        database.manager = "dpkg";
        read_dpkg(guest, licenses, database);
        return;
    }
    for (const char* path : {"/lib/apk/db/installed", "/usr/lib/apk/db/installed"})
        if (exists(guest, path)) {
            database.manager = "apk";
            read_apk(guest, path, database);
            return;
        }
    if (exists(guest, "/var/lib/pacman/local")) {
        database.manager = "pacman";
        read_pacman(guest, database);
        return;
    }
    database.manager = "rpm"; // named even when its database turns out to be damaged
    if (!read_rpm(guest, database))
        database.manager.clear();
}

} // namespace

PackageDatabase read_package_database(const Guest& guest, PackageLicenses licenses) {
    PackageDatabase database;
    try {
        read_any(guest, licenses, database);
    } catch (const Error& error) {
        if (error.kind() == ErrorKind::cancelled || error.kind() == ErrorKind::io)
            throw;
        database.problem = error.what();
    }
    const auto key = [](const InstalledPackage& p) { return std::tie(p.name, p.version, p.architecture); };
    std::sort(database.packages.begin(), database.packages.end(),
              [&](const InstalledPackage& a, const InstalledPackage& b) { return key(a) < key(b); });
    return database;
}

std::optional<std::vector<PackagedFile>> read_rpm_files(const Guest& guest) {
    std::vector<PackagedFile> files;
    const bool found = for_each_rpm_package(guest, RpmFiles::read, [&](RpmPackage package) {
        for (RpmFile& file : package.files)
            files.push_back({std::move(file.path), file.is_configuration});
    });
    return found ? std::optional(std::move(files)) : std::nullopt;
}

} // namespace vm2oci
