#include "libconvert/guest/mount_units.hpp"

#include "formats/base/error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>
#include <sstream>
#include <utility>

namespace vm2oci {
namespace {

constexpr std::string_view kSuffix = ".mount";
constexpr std::string_view kSwapSuffix = ".swap";
constexpr std::string_view kEtc = "/etc/systemd/system";
constexpr std::string_view kVendor[] = {"/usr/local/lib/systemd/system", "/usr/lib/systemd/system",
                                        "/lib/systemd/system"};
// The kernel's and systemd's own; read for nothing, and from far away each file has its price.
constexpr std::string_view kApi[] = {"dev-", "proc-", "run-", "sys-"};

std::vector<std::string> names_in(const Guest& guest, std::string_view folder) {
    try {
        return guest.list(folder).value_or(std::vector<std::string>());
    } catch (const Error& error) {
        if (error.kind() == ErrorKind::cancelled || error.kind() == ErrorKind::io)
            throw;
        return {};
    }
}

std::optional<int> digit_of(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return std::nullopt;
}

std::string_view trimmed(std::string_view text) {
    constexpr std::string_view blanks = " \t\r";
    const std::size_t begin = text.find_first_not_of(blanks);
    if (begin == std::string_view::npos)
        return {};
    return text.substr(begin, text.find_last_not_of(blanks) + 1 - begin);
}

// Lines with a backslash at their end go on in the next.
std::vector<std::string> logical_lines(const std::string& text) {
    std::vector<std::string> lines;
    std::istringstream stream(text);
    bool goes_on = false;
    for (std::string line; std::getline(stream, line);) {
        const std::string_view content = trimmed(line);
        if (goes_on && (content.starts_with('#') || content.starts_with(';')))
            continue;
        const bool ends_open = content.ends_with('\\');
        const std::string part(ends_open ? content.substr(0, content.size() - 1) : content);
        if (goes_on)
            lines.back() += " " + part;
        else
            lines.push_back(part);
        goes_on = ends_open;
    }
    return lines;
}

struct UnitSettings {
    std::string what;
    std::string type;
    std::string options;
    std::vector<std::string> wanted_paths; // "/there", "!/not/there"
};

// What a unit or one of its drop-ins says; the last word counts.
void take_settings(const std::string& text, UnitSettings& unit) {
    std::string section;
    for (const std::string& line : logical_lines(text)) {
        if (line.starts_with('[')) {
            section = line;
            continue;
        }
        const std::size_t equals = line.find('=');
        if (equals == std::string::npos)
            continue;
        const std::string key(trimmed(std::string_view(line).substr(0, equals)));
        const std::string value(trimmed(std::string_view(line).substr(equals + 1)));
        if (section == "[Unit]" && (key == "ConditionPathExists" || key == "AssertPathExists")) {
            if (value.empty())
                unit.wanted_paths.clear();
            else
                unit.wanted_paths.push_back(value);
            continue;
        }
        if (section != "[Mount]" && section != "[Swap]")
            continue;
        if (key == "What")
            unit.what = value;
        else if (key == "Type")
            unit.type = value;
        else if (key == "Options")
            unit.options = value;
    }
}

// Without what its conditions ask for, a unit is passed over: /var/lib/machines, of all of systemd's guests, where
// nobody made a machine. Conditions of which one is enough ("|") are not weighed.
bool may_start(const Guest& guest, const UnitSettings& unit) {
    return std::all_of(unit.wanted_paths.begin(), unit.wanted_paths.end(), [&](const std::string& wanted) {
        if (wanted.starts_with('|'))
            return true;
        const bool is_unwanted = wanted.starts_with('!');
        return exists(guest, wanted.substr(is_unwanted ? 1 : 0)) != is_unwanted;
    });
}

// An image for reading alone among the guest's own files, such as each of snapd's packages: it travels with them, and
// nobody writes beneath it.
bool is_package(const UnitSettings& unit) {
    return unit.what.starts_with('/') && !unit.what.starts_with("/dev/") &&
           (unit.type == "squashfs" || unit.type == "erofs" || unit.type == "iso9660");
}

// Whether something that starts at boot asks for the unit, or for the automount that stands before it.
class Starters {
  public:
    explicit Starters(const Guest& guest) : guest_(guest) {}

    bool starts(const std::string& unit) {
        if (!units_)
            units_ = read();
        const std::string automount = unit.substr(0, unit.rfind('.')) + ".automount";
        return units_->contains(unit) || units_->contains(automount);
    }

  private:
    std::set<std::string> read() const {
        std::set<std::string> units;
        read_folder(kEtc, units);
        for (const std::string_view folder : kVendor)
            read_folder(folder, units);
        return units;
    }
    void read_folder(std::string_view folder, std::set<std::string>& units) const {
        for (const std::string& name : names_in(guest_, folder))
            if (name.ends_with(".wants") || name.ends_with(".requires") || name.ends_with(".upholds"))
                for (std::string& unit : names_in(guest_, fmt::format("{}/{}", folder, name)))
                    units.insert(std::move(unit));
    }

    const Guest& guest_;
    std::optional<std::set<std::string>> units_;
};

std::optional<MountUnit> read_unit(const Guest& guest, const std::string& folder, const std::string& name) {
    const std::string path = folder + "/" + name;
    if (guest.read_link(path) == "/dev/null")
        return std::nullopt;
    const std::optional<std::string> text = try_read_text(guest, path);
    if (!text)
        return std::nullopt;
    UnitSettings settings;
    take_settings(*text, settings);
    const std::string drop_ins = std::string(kEtc) + "/" + name + ".d";
    for (const std::string& file : names_in(guest, drop_ins))
        if (file.ends_with(".conf"))
            take_settings(try_read_text(guest, fmt::format("{}/{}", drop_ins, file)).value_or(""), settings);
    if (settings.what.empty() || is_package(settings) || !may_start(guest, settings))
        return std::nullopt;
    const bool is_swap = name.ends_with(kSwapSuffix);
    FstabEntry entry{settings.what, is_swap ? "none" : place_of_unit(name), is_swap ? "swap" : settings.type, {}};
    std::istringstream options(settings.options);
    for (std::string option; std::getline(options, option, ',');)
        if (!option.empty())
            entry.options.push_back(option);
    return MountUnit{path, std::move(entry)};
}

// One line of auto.master: where, and the map.
void take_automount(const Guest& guest, const std::string& line, std::set<std::string>& read,
                    std::vector<FstabEntry>& entries);

void read_master(const Guest& guest, const std::string& path, std::set<std::string>& read,
                 std::vector<FstabEntry>& entries) {
    if (!read.insert(path).second)
        return;
    if (const std::optional<std::string> text = try_read_text(guest, path))
        for (const std::string& line : logical_lines(*text))
            take_automount(guest, line, read, entries);
}

void take_automount(const Guest& guest, const std::string& line, std::set<std::string>& read,
                    std::vector<FstabEntry>& entries) {
    std::istringstream words(line);
    std::string place;
    std::string map;
    words >> place >> map;
    constexpr std::string_view kIncluded = "+dir:";
    if (place.starts_with(kIncluded)) {
        const std::string folder = place.substr(kIncluded.size());
        for (const std::string& file : names_in(guest, folder))
            if (file.ends_with(".autofs"))
                read_master(guest, fmt::format("{}/{}", folder, file), read, entries);
        return;
    }
    const bool is_sample = place == "/misc" || place == "/net";
    if (place.starts_with('/') && place != "/-" && !map.empty() && map != "-null" && !is_sample)
        entries.push_back({map, place, "autofs", {}});
}

bool starts_autofs(const Guest& guest) {
    for (const char* folder :
         {"/etc/systemd/system/multi-user.target.wants", "/etc/systemd/system/graphical.target.wants",
          "/etc/runlevels/default", "/etc/rc3.d", "/etc/rc.d/rc3.d", "/etc/rc2.d"})
        for (const std::string& name : names_in(guest, folder))
            if (name == "autofs.service" || name == "autofs" || (name.starts_with('S') && name.ends_with("autofs")))
                return true;
    return false;
}

} // namespace

std::string place_of_unit(std::string_view name) {
    if (!name.ends_with(kSuffix))
        return {};
    name.remove_suffix(kSuffix.size());
    if (name.empty() || name == "-")
        return name.empty() ? "" : "/";
    std::string place = "/";
    for (std::size_t i = 0; i < name.size(); ++i) {
        if (name[i] == '-') {
            place += '/';
        } else if (name.substr(i, 2) == "\\x" && i + 3 < name.size()) {
            const std::optional<int> high = digit_of(name[i + 2]);
            const std::optional<int> low = digit_of(name[i + 3]);
            if (!high || !low)
                return {};
            place += static_cast<char>(*high * 16 + *low);
            i += 3;
        } else {
            place += name[i];
        }
    }
    return place;
}

std::vector<MountUnit> read_mount_units(const Guest& guest, UnitOrigin origin) {
    std::vector<MountUnit> units;
    std::set<std::string> seen;
    Starters starters(guest);
    if (origin == UnitOrigin::vendor)
        for (std::string& name : names_in(guest, kEtc))
            seen.insert(std::move(name));
    const auto is_of_api = [](const std::string& name) {
        return std::any_of(std::begin(kApi), std::end(kApi),
                           [&](std::string_view prefix) { return name.starts_with(prefix); });
    };
    const auto read = [&](std::string_view folder) {
        for (const std::string& name : names_in(guest, folder)) {
            const std::string place = place_of_unit(name);
            const bool is_mount = !place.empty() && place != "/" && !is_of_api(name);
            if ((!is_mount && !name.ends_with(kSwapSuffix)) || !seen.insert(name).second)
                continue;
            std::optional<MountUnit> unit = read_unit(guest, std::string(folder), name);
            const bool is_started = unit && starters.starts(name);
            if (!unit || (!is_started && origin == UnitOrigin::vendor))
                continue;
            if (!is_started)
                unit->entry.options.emplace_back("noauto");
            units.push_back(std::move(*unit));
        }
    };
    if (origin == UnitOrigin::administrator)
        read(kEtc);
    else
        for (const std::string_view folder : kVendor)
            read(folder);
    std::stable_sort(units.begin(), units.end(),
                     [](const MountUnit& a, const MountUnit& b) { return a.entry.mount_point < b.entry.mount_point; });
    return units;
}

std::vector<FstabEntry> read_automounts(const Guest& guest) {
    std::vector<FstabEntry> entries;
    std::set<std::string> read;
    if (!exists(guest, "/etc/auto.master") || !starts_autofs(guest))
        return entries;
    read_master(guest, "/etc/auto.master", read, entries);
    return entries;
}

} // namespace vm2oci
