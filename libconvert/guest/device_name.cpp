#include "libconvert/guest/device_name.hpp"

#include "formats/base/ascii.hpp"

#include <algorithm>
#include <cctype>
#include <sstream>
#include <utility>

namespace vm2oci {
namespace {

constexpr std::string_view kDigits = "0123456789";
constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyz";
constexpr std::string_view kLetteredDrivers[] = {"sd", "hd", "xvd", "vd", "ubd", "dasd", "rssd", "i2o/hd"};

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

bool take_front(std::string_view& text, std::string_view prefix) {
    if (!text.starts_with(prefix))
        return false;
    text.remove_prefix(prefix.size());
    return true;
}

// A partition's number: no sign, no blank, no more than three digits.
std::optional<unsigned> partition_of_digits(std::string_view text) {
    if (text.empty() || text.size() > 3 || text.find_first_not_of(kDigits) != std::string_view::npos)
        return std::nullopt;
    return static_cast<unsigned>(std::stoul(std::string(text)));
}

// The length of "sda", "xvdb", "dasdaa" at the front; 0: none.
std::size_t lettered_disk(std::string_view name) {
    for (const std::string_view driver : kLetteredDrivers) {
        if (!name.starts_with(driver))
            continue;
        const std::size_t end = std::min(name.find_first_not_of(kLetters, driver.size()), name.size());
        if (end > driver.size())
            return end;
    }
    return 0;
}

// The length of "nvme0n1", "mmcblk0", "cciss/c0d0" at the front, whose partitions stand behind a "p"; 0: none.
std::size_t numbered_disk(std::string_view name) {
    struct Driver {
        std::string_view first;
        std::string_view second; // empty: one number is all
    };
    constexpr Driver kDrivers[] = {{"nvme", "n"},  {"cciss/c", "d"}, {"ida/c", "d"}, {"rd/c", "d"},
                                   {"mmcblk", ""}, {"nbd", ""},      {"pmem", ""}};
    for (const Driver& driver : kDrivers) {
        if (!name.starts_with(driver.first))
            continue;
        std::size_t end = name.find_first_not_of(kDigits, driver.first.size());
        if (end == driver.first.size())
            continue;
        if (driver.second.empty())
            return std::min(end, name.size());
        if (end == std::string_view::npos || name.substr(end, driver.second.size()) != driver.second)
            continue;
        const std::size_t second = end + driver.second.size();
        end = std::min(name.find_first_not_of(kDigits, second), name.size());
        if (end > second)
            return end;
    }
    return 0;
}

// "3" and the hexadecimal digits of NAA (scsi_id, page 0x83).
bool is_wwid(std::string_view text) {
    return (text.size() == 17 || text.size() == 33) && text.front() == '3' &&
           std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isxdigit(c) != 0; });
}

std::string disk_of_wwid(std::string_view wwid) {
    return "wwid " + to_lower_ascii(wwid);
}

// kpartx names partitions "mpatha-part1", "mpatha1", "mpathap1", "mpatha_part1".
std::optional<DiskDeviceName> parse_multipath(std::string_view name) {
    std::size_t end = 0;
    const bool alias = name.starts_with("mpath");
    if (alias) {
        // Red Hat's of 5 are counted by numbers, all later ones by letters.
        constexpr std::size_t kFront = 5;
        const bool by_number = name.size() > kFront && is_digit(name[kFront]);
        end = std::min(name.find_first_not_of(by_number ? kDigits : kLetters, kFront), name.size());
        if (!by_number && end > kFront + 1 && end < name.size() && name[end - 1] == 'p' && is_digit(name[end]))
            --end; // it stands between name and number
        if (end == kFront)
            return std::nullopt;
    } else {
        while (end < name.size() && std::isxdigit(static_cast<unsigned char>(name[end])) != 0)
            ++end;
        for (const std::size_t length : {std::size_t{33}, std::size_t{17}})
            if (end >= length && is_wwid(name.substr(0, length))) {
                end = length;
                break;
            }
        if (!is_wwid(name.substr(0, end)))
            return std::nullopt;
    }
    const std::string disk = alias ? "mapper/" + std::string(name.substr(0, end)) : disk_of_wwid(name.substr(0, end));
    std::string_view rest = name.substr(end);
    if (rest.empty())
        return DiskDeviceName{disk, 0};
    if (!take_front(rest, "-part") && !take_front(rest, "_part"))
        take_front(rest, "p");
    const auto number = partition_of_digits(rest);
    return number ? std::optional(DiskDeviceName{disk, *number}) : std::nullopt;
}

// Links by serial number, slot or cloud: "by-id/ata-X-part1", "by-path/…", "azure/root-part1".
std::optional<DiskDeviceName> parse_link(std::string_view link) {
    // curtin's names may be of volumes and arrays as well; those have no partitions.
    if (link.starts_with("by-dname/") && link.rfind("-part") == std::string_view::npos)
        return std::nullopt;
    for (const std::string_view other : {"by-uuid/", "by-label/", "by-partuuid/", "by-partlabel/", "by-loop-ref/",
                                         "by-id/lvm-", "by-id/md-", "by-id/dm-uuid-LVM-", "by-id/dm-uuid-CRYPT-"})
        if (link.starts_with(other))
            return std::nullopt;
    if (std::string_view multipath = link; take_front(multipath, "by-id/dm-name-"))
        return parse_multipath(multipath);
    if (std::string_view uuid = link; take_front(uuid, "by-id/dm-uuid-")) {
        unsigned partition = 0;
        if (take_front(uuid, "part")) {
            const std::size_t dash = uuid.find('-');
            const auto number = partition_of_digits(uuid.substr(0, dash));
            if (!number || dash == std::string_view::npos)
                return std::nullopt;
            partition = *number;
            uuid.remove_prefix(dash + 1);
        }
        if (!take_front(uuid, "mpath-") || uuid.empty())
            return std::nullopt;
        return DiskDeviceName{is_wwid(uuid) ? disk_of_wwid(uuid) : "mpath " + std::string(uuid), partition};
    }
    const std::size_t slash = link.find('/');
    if (slash == std::string_view::npos || slash + 1 == link.size())
        return std::nullopt;
    DiskDeviceName found{"disk/" + std::string(link), 0};
    if (const std::size_t part = link.rfind("-part"); part != std::string_view::npos)
        if (const auto number = partition_of_digits(link.substr(part + 5)))
            found = {"disk/" + std::string(link.substr(0, part)), *number};
    std::string_view disk = found.disk;
    if (take_front(disk, "disk/by-id/scsi-") && is_wwid(disk))
        found.disk = disk_of_wwid(disk);
    disk = found.disk;
    if (take_front(disk, "disk/by-id/wwn-0x") && is_wwid("3" + std::string(disk)))
        found.disk = disk_of_wwid("3" + std::string(disk));
    return found;
}

// "sd" of "sdb": disks that are counted together. Empty: a name that no order gives.
std::string_view family(std::string_view disk) {
    for (const std::string_view driver : kLetteredDrivers)
        if (disk.starts_with(driver))
            return driver;
    if (disk.starts_with("disk/") || disk.starts_with("wwid ") || disk.starts_with("mpath "))
        return {};
    return disk.substr(0, disk.find_first_of("/0123456789"));
}

// Its place among the disks of its family, from 0.
std::optional<std::size_t> place_in_family(std::string_view disk) {
    const std::string_view kind = family(disk);
    if (kind.empty())
        return std::nullopt;
    std::string_view rest = disk.substr(kind.size());
    if (std::string_view multipath = disk; take_front(multipath, "mapper/mpath"))
        rest = multipath;
    if (!rest.empty() && rest.find_first_not_of(kLetters) == std::string_view::npos && rest.size() <= 3) {
        std::size_t place = 0;
        for (const char letter : rest)
            place = place * kLetters.size() + static_cast<std::size_t>(letter - 'a') + 1;
        return place - 1;
    }
    if (kind == "nvme") { // each disk of a virtual machine is a controller of its own
        const std::size_t name_space = rest.find('n');
        return rest.substr(std::min(name_space, rest.size())) == "n1" ? partition_of_digits(rest.substr(0, name_space))
                                                                      : std::nullopt;
    }
    take_front(rest, "/c0d"); // the controller that has them all
    return partition_of_digits(rest);
}

} // namespace

std::optional<DiskDeviceName> parse_disk_device(std::string_view name) {
    if (take_front(name, "ID="))
        return parse_link("by-id/" + std::string(name));
    if (!take_front(name, "/dev/"))
        return std::nullopt;
    if (take_front(name, "disk/"))
        return parse_link(name);
    // Red Hat's udev up to 5 had links to multipath's devices in a folder of their own.
    if (std::string_view mapped = name; take_front(mapped, "mapper/") || take_front(mapped, "mpath/"))
        return parse_multipath(mapped);
    if (const std::size_t end = lettered_disk(name); end != 0) {
        if (end == name.size())
            return DiskDeviceName{std::string(name), 0};
        const auto number = partition_of_digits(name.substr(end));
        return number ? std::optional(DiskDeviceName{std::string(name.substr(0, end)), *number}) : std::nullopt;
    }
    if (const std::size_t end = numbered_disk(name); end != 0) {
        if (end == name.size())
            return DiskDeviceName{std::string(name), 0};
        const auto number = name[end] == 'p' ? partition_of_digits(name.substr(end + 1)) : std::nullopt;
        return number ? std::optional(DiskDeviceName{std::string(name.substr(0, end)), *number}) : std::nullopt;
    }
    return std::nullopt;
}

bool is_named_by_order(std::string_view disk) {
    return !family(disk).empty();
}

std::string mapper_device(std::string_view name) {
    for (const std::string_view prefix : {"/dev/mapper/", "/dev/disk/by-id/dm-name-"})
        if (name.starts_with(prefix))
            return std::string(name.substr(prefix.size()));
    return {};
}

std::optional<std::size_t> place_of_disk(const GuestDisks& disks, std::string_view disk) {
    if (std::find(disks.own.begin(), disks.own.end(), disk) != disks.own.end())
        return 0;
    const std::optional<std::size_t> place = place_in_family(disk);
    if (!place)
        return std::nullopt;
    const auto own = std::find_if(disks.own.begin(), disks.own.end(),
                                  [&](const std::string& each) { return family(each) == family(disk); });
    const std::size_t of_root = own == disks.own.end() ? 0 : place_in_family(*own).value_or(0);
    if (*place == of_root)
        return 0;
    return *place < of_root ? *place + 1 : *place;
}

std::vector<std::pair<std::string, std::string>> parse_crypttab(std::string_view text) {
    std::vector<std::pair<std::string, std::string>> entries;
    std::istringstream lines{std::string(text)};
    for (std::string line; std::getline(lines, line);) {
        std::istringstream fields(line);
        std::string name;
        std::string device;
        if (fields >> name >> device && !name.starts_with("#"))
            entries.emplace_back(std::move(name), std::move(device));
    }
    return entries;
}

} // namespace vm2oci
