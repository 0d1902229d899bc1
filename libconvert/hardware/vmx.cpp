// VMware's .vmx: lines of the form key = "value".
#include "formats/base/ascii.hpp"
#include "formats/base/checked.hpp"
#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/base/size.hpp"
#include "libconvert/hardware/description.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <tuple>
#include <utility>

namespace vm2oci {
namespace {

constexpr std::size_t kMaxVmxLines = 100'000;
constexpr std::uint64_t kDefaultMemory = 32 * MiB; // what VMware gives a machine that says nothing

std::string_view trimmed_line(std::string_view text) {
    constexpr std::string_view blanks = " \t\r";
    const std::size_t begin = text.find_first_not_of(blanks);
    if (begin == std::string_view::npos)
        return "";
    return text.substr(begin, text.find_last_not_of(blanks) - begin + 1);
}

// "|22" is a quotation mark, "|0A" the end of a line.
std::string unescaped(std::string_view text) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string plain;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const std::string code = text[i] == '|' ? to_lower_ascii(text.substr(i + 1, 2)) : "";
        if (code.size() == 2 && digits.find(code[0]) != std::string_view::npos &&
            digits.find(code[1]) != std::string_view::npos) {
            plain += static_cast<char>(digits.find(code[0]) * 16 + digits.find(code[1]));
            i += 2;
        } else {
            plain += text[i];
        }
    }
    return plain;
}

// What windows-1252 has where Latin 1 has control characters; 0: nothing.
constexpr std::array<char16_t, 32> kWindows1252 = {0x20ac, 0,      0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021,
                                                   0x02c6, 0x2030, 0x0160, 0x2039, 0x0152, 0,      0x017d, 0,
                                                   0,      0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014,
                                                   0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0,      0x017e, 0x0178};

// Windows hosts write what their users type; file names here are UTF-8.
std::string utf8_of_windows1252(std::string_view text) {
    std::string utf8;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        unsigned code = byte;
        if (byte >= 0x80 && byte < 0xa0 && kWindows1252.at(byte - 0x80U) != 0)
            code = kWindows1252.at(byte - 0x80U);
        if (code < 0x80) {
            utf8 += c;
        } else if (code < 0x800) {
            utf8 += static_cast<char>(0xc0 | code >> 6);
            utf8 += static_cast<char>(0x80 | (code & 0x3f));
        } else {
            utf8 += static_cast<char>(0xe0 | code >> 12);
            utf8 += static_cast<char>(0x80 | (code >> 6 & 0x3f));
            utf8 += static_cast<char>(0x80 | (code & 0x3f));
        }
    }
    return utf8;
}

bool is_windows1252(std::string_view encoding) {
    const std::string lower = to_lower_ascii(encoding);
    return lower == "windows-1252" || lower == "iso-8859-1" || lower == "latin1";
}

// Keys in lower case: VMware does not tell their letters apart.
class VmxSettings {
  public:
    explicit VmxSettings(std::string_view text) {
        if (text.starts_with("\xef\xbb\xbf"))
            text.remove_prefix(3);
        for (std::size_t number = 1; !text.empty(); ++number) {
            if (number > kMaxVmxLines)
                fail(ErrorKind::limit, fmt::format("it has more than {} lines", kMaxVmxLines));
            const std::size_t end = text.find('\n');
            add(trimmed_line(text.substr(0, end)), number);
            text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
        }
        if (const std::string* encoding = find(".encoding"); encoding != nullptr && is_windows1252(*encoding))
            for (auto& [key, value] : values_)
                value = utf8_of_windows1252(value);
    }

    const std::string* find(const std::string& key) const {
        const auto found = values_.find(key);
        return found == values_.end() ? nullptr : &found->second;
    }
    std::string text(const std::string& key) const {
        const std::string* value = find(key);
        return value == nullptr ? "" : *value;
    }
    std::optional<bool> flag(const std::string& key) const {
        const std::string lower = to_lower_ascii(text(key));
        if (lower.empty())
            return std::nullopt;
        if (lower == "true" || lower == "yes" || lower == "1" || lower == "t" || lower == "y")
            return true;
        if (lower == "false" || lower == "no" || lower == "0" || lower == "f" || lower == "n")
            return false;
        fail(ErrorKind::corrupt,
             fmt::format("{} is {}, which is neither TRUE nor FALSE", key, quote_untrusted(text(key))));
    }
    std::optional<std::uint64_t> number(const std::string& key) const {
        const std::string value = text(key);
        return value.empty() ? std::optional<std::uint64_t>() : machine_number(value, key);
    }
    auto begin() const { return values_.begin(); }
    auto end() const { return values_.end(); }

  private:
    void add(std::string_view line, std::size_t number) {
        if (line.empty() || line.starts_with('#'))
            return;
        const auto refuse = [&](std::string_view why) {
            fail(ErrorKind::corrupt, fmt::format("line {} {}: {}", number, why, quote_untrusted(line)));
        };
        if (line.find('\0') != std::string_view::npos)
            refuse("holds a NUL, and no text may");
        const std::size_t equals = line.find('=');
        if (equals == std::string_view::npos)
            refuse("is no setting");
        const std::string key = to_lower_ascii(trimmed_line(line.substr(0, equals)));
        std::string_view value = trimmed_line(line.substr(equals + 1));
        if (key.empty())
            refuse("has no key");
        if (value.starts_with('"')) {
            const std::size_t close = value.find('"', 1);
            if (close == std::string_view::npos)
                refuse("has no end of its value");
            const std::string_view rest = trimmed_line(value.substr(close + 1));
            if (!rest.empty() && !rest.starts_with('#'))
                refuse("has something behind its value");
            value = value.substr(1, close - 1);
        }
        const std::string plain = unescaped(value);
        if (plain.find('\0') != std::string::npos)
            refuse("holds a NUL, and no text may");
        const auto [known, is_new] = values_.emplace(key, plain);
        if (!is_new && known->second != plain)
            fail(ErrorKind::corrupt, fmt::format("{} is there twice, as {} and as {}", quote_untrusted(key),
                                                 quote_untrusted(known->second), quote_untrusted(plain)));
    }

    std::map<std::string, std::string> values_;
};

// "scsi0:1"
struct Slot {
    ControllerKind kind;
    unsigned bus;
    unsigned unit;
};

struct Bus {
    std::string_view word;
    ControllerKind kind;
};

// The order in which disks are listed that nothing else orders.
constexpr std::array kBuses = {Bus{"scsi", ControllerKind::scsi}, Bus{"nvme", ControllerKind::nvme},
                               Bus{"sata", ControllerKind::sata}, Bus{"ide", ControllerKind::ide}};

std::optional<Slot> slot_of(std::string_view text) {
    const auto small_number = [](std::string_view digits) -> std::optional<unsigned> {
        if (digits.empty() || digits.size() > 3 ||
            !std::ranges::all_of(digits, [](char c) { return c >= '0' && c <= '9'; }))
            return std::nullopt;
        return static_cast<unsigned>(machine_number(digits, "a device's place"));
    };
    for (const Bus& bus : kBuses) {
        if (!text.starts_with(bus.word))
            continue;
        const std::string_view rest = text.substr(bus.word.size());
        const std::size_t colon = rest.find(':');
        if (colon == std::string_view::npos)
            return std::nullopt;
        const auto number = small_number(rest.substr(0, colon));
        const auto unit = small_number(rest.substr(colon + 1));
        if (number && unit)
            return Slot{bus.kind, *number, *unit};
    }
    return std::nullopt;
}

bool is_removable(const std::string& type) {
    return type.find("cdrom") != std::string::npos || type.find("floppy") != std::string::npos;
}

bool is_disk(const std::string& type) {
    return type.empty() || type == "disk" || type == "plaindisk" || type == "rawdisk" ||
           type.find("harddisk") != std::string::npos;
}

class VmxReader {
  public:
    explicit VmxReader(std::string_view text) : settings_(text) {}

    MachineDescription read() {
        for (const char* key : {"encryption.keysafe", "encryption.data"})
            if (settings_.find(key) != nullptr)
                fail(ErrorKind::unsupported, "the machine is encrypted; decrypt it in VMware first");
        machine().source = "VMX";
        machine().name = settings_.text("displayname");
        machine().annotation = settings_.text("annotation");
        machine().os_type = settings_.text("guestos");
        read_size();
        read_firmware();
        find_disks();
        order_disks();
        read_nics();
        return std::move(description_);
    }

  private:
    struct FoundDisk {
        std::string id; // "scsi0:1"
        Slot slot;
        std::string file;
    };

    MachineHardware& machine() { return description_.hardware; }
    void remark(std::string text) { machine().remarks.push_back(std::move(text)); }

    void read_size() {
        const auto clamped = [](std::uint64_t count) {
            return static_cast<unsigned>(std::min<std::uint64_t>(count, kMaxMachineCpus + 1ULL));
        };
        machine().cpus = clamped(settings_.number("numvcpus").value_or(1));
        if (const auto cores = settings_.number("cpuid.corespersocket"))
            machine().cores_per_socket = clamped(*cores);
        if (machine().cores_per_socket.value_or(0) > 0 && *machine().cpus % *machine().cores_per_socket != 0)
            remark(
                fmt::format("{} processors make no whole sockets of {}", *machine().cpus, *machine().cores_per_socket));
        const auto memory = settings_.number("memsize");
        machine().memory =
            memory ? checked_multiply<std::uint64_t>(*memory, MiB, "the size of the memory") : kDefaultMemory;
    }

    void read_firmware() {
        const std::string firmware = to_lower_ascii(settings_.text("firmware"));
        machine().firmware = firmware == "efi" ? MachineFirmware::uefi : MachineFirmware::bios;
        if (!firmware.empty() && firmware != "efi" && firmware != "bios") {
            remark("its firmware is " + quote_untrusted(firmware) + ", which is not known");
            machine().firmware.reset();
        }
        if (machine().firmware == MachineFirmware::uefi)
            machine().secure_boot = settings_.flag("uefi.secureboot.enabled").value_or(false);
    }

    // Each device has a file, which CD drives have as well.
    void find_disks() {
        for (const auto& [key, file] : settings_) {
            constexpr std::string_view suffix = ".filename";
            if (!key.ends_with(suffix))
                continue;
            const std::string id = key.substr(0, key.size() - suffix.size());
            const std::optional<Slot> slot = slot_of(id);
            const std::string type = to_lower_ascii(settings_.text(id + ".devicetype"));
            if (!slot || is_removable(type))
                continue;
            const std::string controller = id.substr(0, id.find(':'));
            if (!settings_.flag(id + ".present").value_or(true) ||
                !settings_.flag(controller + ".present").value_or(true)) {
                remark("the disk " + id + " is described as not present, and left out");
                continue;
            }
            if (!is_disk(type)) {
                remark("the device " + id + " is " + quote_untrusted(type) + ", no disk that is known, and left out");
                continue;
            }
            if (file.empty()) {
                remark("the disk " + id + " has no file, and is left out");
                continue;
            }
            if (to_lower_ascii(settings_.text(id + ".mode")).find("nonpersistent") != std::string::npos)
                remark("the disk " + id + " is nonpersistent: it starts anew each time");
            found_.push_back({id, *slot, file});
            if (found_.size() > kMaxMachineDevices)
                fail(ErrorKind::limit, fmt::format("it has more than {} disks", kMaxMachineDevices));
        }
    }

    // "bios.hddOrder" goes first; behind it the order of the buses.
    void order_disks() {
        std::map<std::string, std::size_t> wanted;
        std::string_view rest;
        const std::string order = to_lower_ascii(settings_.text("bios.hddorder"));
        for (rest = order; !rest.empty();) {
            const std::size_t comma = rest.find(',');
            wanted.emplace(trimmed_line(rest.substr(0, comma)), wanted.size());
            rest.remove_prefix(comma == std::string_view::npos ? rest.size() : comma + 1);
        }
        const auto place = [&](const FoundDisk& disk) {
            const auto ordered = wanted.find(disk.id);
            const auto bus = std::ranges::find(kBuses, disk.slot.kind, &Bus::kind) - kBuses.begin();
            return std::tuple(ordered == wanted.end() ? ~std::size_t{0} : ordered->second, bus, disk.slot.bus,
                              disk.slot.unit);
        };
        std::ranges::stable_sort(
            found_, [&](const FoundDisk& one, const FoundDisk& other) { return place(one) < place(other); });
        std::set<ControllerKind> kinds;
        for (const FoundDisk& disk : found_) {
            kinds.insert(disk.slot.kind);
            machine().disks.push_back({disk.id, disk.file, controller_of(disk), disk.slot.unit, std::nullopt});
            description_.files.push_back({last_part(disk.file), "", ""});
        }
        if (kinds.size() > 1 && (found_.empty() || !wanted.contains(found_.front().id)))
            remark("its disks are on controllers of several kinds, and which of them boots is not said: " +
                   found_.front().id + " is taken for it");
    }

    std::size_t controller_of(const FoundDisk& disk) {
        const std::string id = disk.id.substr(0, disk.id.find(':'));
        const auto [known, is_new] = controllers_.emplace(id, machine().controllers.size());
        if (is_new)
            machine().controllers.push_back({disk.slot.kind, settings_.text(id + ".virtualdev")});
        return known->second;
    }

    void read_nics() {
        constexpr unsigned most = 10; // ethernet0 to ethernet9
        for (unsigned i = 0; i < most; ++i) {
            const std::string id = fmt::format("ethernet{}", i);
            if (!settings_.flag(id + ".present").value_or(false))
                continue;
            MachineNic nic;
            nic.model = settings_.text(id + ".virtualdev");
            for (const char* key : {".networkname", ".vnet", ".connectiontype"})
                if (nic.network.empty())
                    nic.network = settings_.text(id + key);
            const bool is_static = to_lower_ascii(settings_.text(id + ".addresstype")) == "static";
            for (const char* key : {is_static ? ".address" : ".generatedaddress", ".address", ".generatedaddress"})
                if (nic.mac.empty())
                    nic.mac = normal_mac(settings_.text(id + key));
            machine().nics.push_back(std::move(nic));
        }
    }

    VmxSettings settings_;
    MachineDescription description_;
    std::vector<FoundDisk> found_;
    std::map<std::string, std::size_t> controllers_;
};

} // namespace

MachineDescription parse_vmx(std::string_view text) {
    return VmxReader(text).read();
}

} // namespace vm2oci
