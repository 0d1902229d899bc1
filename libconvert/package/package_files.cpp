#include "libconvert/package/package_files.hpp"

#include "formats/base/error.hpp"
#include "libconvert/inspect/package_database.hpp"

#include <fmt/format.h>

#include <map>
#include <optional>

namespace vm2oci {
namespace {

constexpr std::size_t kListLimit = 16ull * 1024 * 1024;
constexpr std::size_t kDatabaseLimit = 128ull * 1024 * 1024;

template <class Visit>
void for_each_line(const std::string& text, Visit&& visit) {
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = std::min(text.find('\n', at), text.size());
        visit(std::string_view(text).substr(at, end - at));
        at = end + 1;
    }
}

// Packages name files by the paths of old; a merged /usr has links in their first parts.
class Canonical {
  public:
    explicit Canonical(const Guest& guest) {
        for (const std::string& name : guest.list("/").value_or(std::vector<std::string>()))
            if (std::optional<std::string> target = guest.read_link("/" + name)) {
                while (!target->empty() && target->front() == '/')
                    target->erase(0, 1);
                links_[name] = std::move(*target);
            }
    }
    // Without the leading "/".
    std::string operator()(std::string_view path) const {
        while (!path.empty() && path.front() == '/')
            path.remove_prefix(1);
        const std::size_t slash = path.find('/');
        if (slash != std::string_view::npos)
            if (const auto link = links_.find(std::string(path.substr(0, slash))); link != links_.end())
                return link->second + std::string(path.substr(slash));
        return std::string(path);
    }

  private:
    std::map<std::string, std::string> links_;
};

PackageFiles read_dpkg(const Guest& guest) {
    const Canonical canonical(guest);
    const std::string folder = "/var/lib/dpkg/info";
    PackageFiles files;
    const std::vector<std::string> names = guest.list(folder).value_or(std::vector<std::string>());
    const auto for_each_list = [&](std::string_view suffix, auto&& visit) {
        for (const std::string& name : names)
            if (name.size() > suffix.size() && name.compare(name.size() - suffix.size(), suffix.size(), suffix) == 0)
                for_each_line(try_read_text(guest, fmt::format("{}/{}", folder, name), kListLimit).value_or(""), visit);
    };
    for_each_list(".list", [&](std::string_view line) { files.add(canonical(line)); });
    // "remove-on-upgrade /etc/x" exists, too; the path is what counts.
    for_each_list(".conffiles", [&](std::string_view line) {
        if (const std::size_t slash = line.find('/'); slash != std::string_view::npos)
            files.remove(canonical(line.substr(slash)));
    });
    return files;
}

// lib/apk/db/installed: "F:" names a folder, "R:" a file in it.
PackageFiles read_apk(const Guest& guest, const std::string& database) {
    const Canonical canonical(guest);
    PackageFiles files;
    std::string folder;
    for_each_line(try_read_text(guest, database, kDatabaseLimit).value_or(""), [&](std::string_view line) {
        if (line.substr(0, 2) == "F:")
            folder = line.substr(2);
        else if (line.substr(0, 2) == "R:" && folder != "etc" && folder.compare(0, 4, "etc/") != 0)
            files.add(canonical((folder.empty() ? "" : folder + "/") + std::string(line.substr(2))));
    });
    return files;
}

std::optional<PackageFiles> read_rpm(const Guest& guest) {
    const std::optional<std::vector<PackagedFile>> listed = read_rpm_files(guest);
    if (!listed)
        return std::nullopt;
    const Canonical canonical(guest);
    PackageFiles files;
    for (const PackagedFile& file : *listed)
        if (!file.is_configuration)
            files.add(canonical(file.path));
    return files;
}

} // namespace

PackageFiles read_package_files(const Guest& guest) {
    if (exists(guest, "/var/lib/dpkg/info"))
        return read_dpkg(guest);
    for (const char* database : {"/lib/apk/db/installed", "/usr/lib/apk/db/installed"})
        if (exists(guest, database))
            return read_apk(guest, database);
    if (std::optional<PackageFiles> files = read_rpm(guest))
        return *std::move(files);
    fail(ErrorKind::unsupported, "layers can be split for dpkg, rpm and apk only", HintKind::layers);
}

} // namespace vm2oci
