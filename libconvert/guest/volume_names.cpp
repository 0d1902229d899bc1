#include "formats/base/ascii.hpp"
#include "libconvert/guest/volumes.hpp"

#include <algorithm>
#include <cctype>
#include <functional>

namespace vm2oci {
namespace {

// udev and fstab write unusual characters as \xNN (udev) or \NNN (fstab decodes those itself).
std::string decode_udev(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto digit = [&](std::size_t at) { return std::isxdigit(static_cast<unsigned char>(text[at])) != 0; };
        if (text[i] == '\\' && i + 3 < text.size() && text[i + 1] == 'x' && digit(i + 2) && digit(i + 3)) {
            out += static_cast<char>(std::stoi(std::string(text.substr(i + 2, 2)), nullptr, 16));
            i += 3;
        } else {
            out += text[i];
        }
    }
    return out;
}

// /dev/mapper doubles the dashes inside the names of group and volume.
std::string mapper_name(std::string_view group_and_volume) {
    std::string out;
    for (const char c : group_and_volume) {
        if (c == '-')
            out += "--";
        else
            out += c == '/' ? '-' : c;
    }
    return out;
}

using Matches = std::function<bool(const Volume&)>;

std::optional<std::size_t> first_match(const DiskLayout& layout, const Matches& matches) {
    const auto found = std::find_if(layout.volumes.begin(), layout.volumes.end(), matches);
    if (found == layout.volumes.end())
        return std::nullopt;
    return static_cast<std::size_t>(found - layout.volumes.begin());
}

// Of any table, that inside of an array among them.
const Partition* entry_of(const DiskLayout& layout, const Volume& volume) {
    return volume.array && volume.array->partition ? &*volume.array->partition : partition_of(layout, volume);
}

std::optional<std::size_t> find_tagged(const DiskLayout& layout, std::string_view tag, const std::string& value) {
    if (value.empty())
        return std::nullopt;
    if (tag == "UUID" || tag == "by-uuid")
        return first_match(layout, [&](const Volume& v) {
            return v.signature && to_lower_ascii(v.signature->uuid) == to_lower_ascii(value);
        });
    if (tag == "LABEL" || tag == "by-label")
        return first_match(layout, [&](const Volume& v) { return v.signature && v.signature->label == value; });
    if (tag == "PARTUUID" || tag == "by-partuuid")
        return first_match(layout, [&](const Volume& v) {
            const Partition* partition = entry_of(layout, v);
            return partition != nullptr && partition->uuid == to_lower_ascii(value);
        });
    if (tag == "PARTLABEL" || tag == "by-partlabel")
        return first_match(layout, [&](const Volume& v) {
            const Partition* partition = entry_of(layout, v);
            return partition != nullptr && partition->name == value;
        });
    return std::nullopt;
}

std::optional<std::size_t> find_on_disk(const DiskLayout& layout, const DiskDeviceName& name) {
    const std::optional<std::size_t> place = place_of_disk(layout.guest_disks, name.disk);
    if (!place)
        return std::nullopt;
    const std::size_t disk = disk_at_place(layout, *place);
    // Xen hands its guests file systems without a partition table around them, under the names of partitions.
    const unsigned lone = *place == 0 ? layout.guest_disks.lone_partition.value_or(1) : 1;
    return first_match(layout, [&](const Volume& v) {
        if (v.disk != disk || !lies_on_disk(v))
            return false;
        const Partition* partition = partition_of(layout, v);
        if (partition != nullptr)
            return partition->number == name.partition;
        return (name.partition == 0 || name.partition == lone);
    });
}

// What an array is called, by what was read of it or, where nothing is, by one of its members.
struct ArrayIdentity {
    std::string uuid;
    std::string name;
    std::optional<std::uint32_t> minor;
    std::optional<unsigned> partition;
};

std::optional<ArrayIdentity> array_identity(const Volume& volume) {
    if (volume.array) {
        ArrayIdentity identity{volume.array->uuid, volume.array->name, volume.array->minor, std::nullopt};
        if (volume.array->partition)
            identity.partition = volume.array->partition->number;
        return identity;
    }
    if (volume.signature && volume.signature->kind == ContentKind::raid && volume.containment == Containment::unread)
        return ArrayIdentity{volume.signature->uuid, volume.signature->label, std::nullopt, std::nullopt};
    return std::nullopt;
}

// mdadm writes the four words of an array's identifier with colons.
std::string hexadecimal_digits(std::string_view text) {
    std::string digits;
    for (const char c : to_lower_ascii(text))
        if (std::isxdigit(static_cast<unsigned char>(c)) != 0)
            digits += c;
    return digits;
}

bool is_number(std::string_view text) {
    return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

// Splits "md0p2", "md/root2", "md_d0p1" and "md-uuid-…-part1": the array, and the number of a partition in it.
struct ArrayPath {
    std::string_view array;
    std::optional<unsigned> partition;
};

std::optional<ArrayPath> split_tail(std::string_view name, std::string_view mark) {
    const std::size_t at = name.rfind(mark);
    if (at == std::string_view::npos || at == 0 || !is_number(name.substr(at + mark.size())) ||
        name.size() - at - mark.size() > 3)
        return std::nullopt;
    return ArrayPath{name.substr(0, at), static_cast<unsigned>(std::stoul(std::string(name.substr(at + mark.size()))))};
}

// "127" of md127 and of md_d127; "root" of md/root, "host:root" of its identity.
bool is_called(const ArrayIdentity& identity, std::string_view wanted) {
    const std::string_view label = identity.name;
    return label == wanted || (!label.empty() && label.substr(label.find(':') + 1) == wanted) ||
           (identity.minor && std::to_string(*identity.minor) == wanted);
}

std::optional<std::size_t> find_array_named(const DiskLayout& layout, const ArrayPath& path) {
    const auto match = [&](const Volume& v, const auto& is_it) {
        const std::optional<ArrayIdentity> identity = array_identity(v);
        return identity && identity->partition == path.partition && is_it(*identity);
    };
    const auto by_name = first_match(layout, [&](const Volume& v) {
        return match(v, [&](const ArrayIdentity& identity) { return is_called(identity, path.array); });
    });
    if (by_name || !is_number(path.array))
        return by_name;
    // Numbers come and go; they tell nothing where there is more than one array.
    std::optional<std::string> only;
    for (const Volume& volume : layout.volumes)
        if (const auto identity = array_identity(volume)) {
            if (only && *only != identity->uuid)
                return std::nullopt;
            only = identity->uuid;
        }
    return first_match(layout, [&](const Volume& v) { return match(v, [](const ArrayIdentity&) { return true; }); });
}

// "md0", "md/root", "md127p1", "disk/by-id/md-uuid-…", "disk/by-id/md-name-host:root-part2".
std::optional<std::size_t> find_array(const DiskLayout& layout, std::string_view name) {
    constexpr std::string_view kByUuid = "disk/by-id/md-uuid-";
    constexpr std::string_view kByName = "disk/by-id/md-name-";
    if (name.starts_with(kByUuid)) {
        const std::string_view whole = name.substr(kByUuid.size());
        const ArrayPath path = split_tail(whole, "-part").value_or(ArrayPath{whole, std::nullopt});
        const std::string uuid = hexadecimal_digits(path.array);
        return first_match(layout, [&](const Volume& v) {
            const auto identity = array_identity(v);
            return identity && !uuid.empty() && identity->partition == path.partition &&
                   hexadecimal_digits(identity->uuid) == uuid;
        });
    }
    std::string_view wanted = name;
    std::string_view mark = "p";
    if (name.starts_with(kByName)) {
        wanted.remove_prefix(kByName.size());
        mark = "-part";
    } else if (name.starts_with("md/")) {
        wanted.remove_prefix(3);
    } else if (name.starts_with("md_d")) {
        wanted.remove_prefix(4);
    } else if (name.starts_with("md")) {
        wanted.remove_prefix(2);
        if (!is_number(wanted.substr(0, wanted.find('p'))))
            return std::nullopt;
    } else {
        return std::nullopt;
    }
    if (const auto whole = find_array_named(layout, {wanted, std::nullopt}))
        return whole;
    if (const auto path = split_tail(wanted, mark))
        return find_array_named(layout, *path);
    // "md/root2": where the name ends in no digit, the number of the partition follows it at once.
    const std::size_t digits = wanted.find_last_not_of("0123456789");
    if (mark == "p" && digits != std::string_view::npos && digits + 1 < wanted.size() && wanted.size() - digits <= 4)
        return find_array_named(layout, {wanted.substr(0, digits + 1),
                                         static_cast<unsigned>(std::stoul(std::string(wanted.substr(digits + 1))))});
    return std::nullopt;
}

std::optional<std::size_t> find_logical_volume(const DiskLayout& layout, std::string_view specification) {
    constexpr std::string_view kByUuid = "/dev/disk/by-id/dm-uuid-";
    const std::string mapped = mapper_device(specification);
    return first_match(layout, [&](const Volume& v) {
        if (v.logical_volume.empty())
            return false;
        return specification == "/dev/" + v.logical_volume ||
               (!mapped.empty() && mapped == mapper_name(v.logical_volume)) ||
               (specification.starts_with(kByUuid) && specification.substr(kByUuid.size()) == v.mapper_uuid);
    });
}

std::optional<std::size_t> find_device(const DiskLayout& layout, std::string_view specification) {
    if (const std::optional<DiskDeviceName> name = parse_disk_device(specification))
        return find_on_disk(layout, *name);
    if (const auto logical = find_logical_volume(layout, specification))
        return logical;
    constexpr std::string_view kMember = "/dev/disk/by-id/lvm-pv-uuid-";
    if (specification.starts_with(kMember))
        return first_match(layout, [&](const Volume& v) {
            return v.signature && v.signature->kind == ContentKind::volume_group &&
                   v.signature->uuid == specification.substr(kMember.size());
        });
    return find_array(layout, specification.substr(std::string_view("/dev/").size()));
}

// What an encrypted volume encrypts; itself, if it is not open.
std::size_t content_of(const DiskLayout& layout, std::size_t encrypted) {
    return first_match(layout, [&](const Volume& v) { return v.encrypted == encrypted; }).value_or(encrypted);
}

// Names that installers and udev make of a LUKS volume's own identifier: "/dev/mapper/luks-UUID",
// "/dev/disk/by-id/dm-uuid-CRYPT-LUKS2-…-NAME".
std::optional<std::size_t> find_by_luks_uuid(const DiskLayout& layout, std::string_view specification) {
    constexpr std::string_view kInstallers = "/dev/mapper/luks-";
    constexpr std::string_view kUdev = "/dev/disk/by-id/dm-uuid-CRYPT-LUKS";
    constexpr std::size_t kDigits = 32;
    std::string_view text;
    if (specification.starts_with(kInstallers))
        text = specification.substr(kInstallers.size());
    else if (specification.starts_with(kUdev) && specification.size() > kUdev.size() + 2)
        text = specification.substr(kUdev.size() + 2, kDigits);
    const std::string uuid = hexadecimal_digits(text);
    if (uuid.size() != kDigits)
        return std::nullopt;
    return first_match(layout, [&](const Volume& v) {
        return v.signature && v.signature->kind == ContentKind::encrypted &&
               hexadecimal_digits(v.signature->uuid) == uuid;
    });
}

} // namespace

std::optional<std::size_t> find_volume(const DiskLayout& layout, std::string_view specification) {
    if (const std::size_t equals = specification.find('=');
        equals != std::string_view::npos && !specification.starts_with("/") && !specification.starts_with("ID=")) {
        std::string_view value = specification.substr(equals + 1);
        if (value.size() >= 2 && value.front() == '"' && value.back() == '"')
            value = value.substr(1, value.size() - 2);
        return find_tagged(layout, specification.substr(0, equals), decode_udev(value));
    }
    if (const std::string mapped = mapper_device(specification); !mapped.empty())
        for (const auto& [name, device] : layout.guest_disks.mapped)
            if (name == mapped && mapper_device(device) != name)
                if (const auto below = find_volume(layout, device))
                    return content_of(layout, *below);
    if (const auto encrypted = find_by_luks_uuid(layout, specification))
        return content_of(layout, *encrypted);
    constexpr std::string_view kByPath = "/dev/disk/";
    if (specification.starts_with(kByPath)) {
        const std::string_view rest = specification.substr(kByPath.size());
        const std::size_t slash = rest.find('/');
        if (slash == std::string_view::npos)
            return std::nullopt;
        if (const auto tagged = find_tagged(layout, rest.substr(0, slash), decode_udev(rest.substr(slash + 1))))
            return tagged;
    }
    return specification.starts_with("/dev/") || specification.starts_with("ID=") ? find_device(layout, specification)
                                                                                  : std::nullopt;
}

} // namespace vm2oci
