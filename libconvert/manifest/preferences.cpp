#include "libconvert/manifest/preferences.hpp"

#include "formats/base/size.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>

namespace vm2oci {
namespace {

unsigned major_of(std::string_view version) {
    unsigned major = 0;
    std::from_chars(version.data(), version.data() + version.size(), major);
    return major;
}

// Of Red Hat's: those of a release, and what lies before and behind them is none of theirs.
std::string of_release(std::string_view name, unsigned major, unsigned first, unsigned last) {
    return major >= first && major <= last ? std::string(name) + std::to_string(major) : std::string();
}

// What Fedora's and Red Hat's have at their end where they are of one architecture alone.
std::string architecture_suffix(const RunnableMachine& machine) {
    return machine.architecture == "amd64" ? "" : "." + machine.architecture;
}

std::string linux_preference(const RunnableMachine& machine) {
    const std::string& name = machine.guest.distribution;
    const unsigned major = major_of(machine.guest.version);
    const std::string suffix = architecture_suffix(machine);
    if (name == "rhel") {
        const std::string preference = of_release("rhel.", major, suffix.empty() ? 7 : 9, 10);
        return preference.empty() ? preference : preference + suffix;
    }
    if (name == "centos")
        return of_release("centos.stream", major, 9, 10);
    if (name == "fedora")
        return name + suffix;
    if (name == "ol")
        return major >= 8 ? "oraclelinux" : "";
    if (name == "sles" || name == "sled")
        return "sles";
    if (name == "opensuse-tumbleweed")
        return "opensuse.tumbleweed";
    if (name == "opensuse-leap" || name == "opensuse")
        return "opensuse.leap";
    for (const std::string_view plain : {"alpine", "cirros", "debian", "ubuntu"})
        if (name == plain)
            return name;
    return {};
}

struct WindowsName {
    std::string_view word; // in the product
    std::string_view preference;
};
// The longer words first: "2008 R2" is 2k8 as well, "Windows 1" would be both. VMware's names ("windows9Server64Guest",
// GuestOsIdentifier in its vSphere API) and VirtualBox's ("Windows11_64") for what nobody looked into count, too.
constexpr std::array<WindowsName, 23> kWindows = {{{"2022srvNext", "2k25"},
                                                   {"2019srvNext", "2k22"},
                                                   {"2025", "2k25"},
                                                   {"2022", "2k22"},
                                                   {"2019", "2k19"},
                                                   {"2016", "2k16"},
                                                   {"windows9Server", "2k16"},
                                                   {"2012", "2k12"},
                                                   {"windows8Server", "2k12"},
                                                   {"2008", "2k8"},
                                                   {"windows7Server", "2k8"},
                                                   {"winLonghorn", "2k8"},
                                                   {"2003", "2k3"},
                                                   {"winNet", "2k3"},
                                                   {"Windows 11", "11"},
                                                   {"indows11", "11"},
                                                   {"indows12", "11"},
                                                   {"Windows 10", "10"},
                                                   {"Windows 8", "10"},
                                                   {"Windows 7", "7"},
                                                   {"indows7", "7"},
                                                   {"Vista", "7"},
                                                   {"XP", "xp"}}};

struct NamedNeeds {
    std::string_view beginning; // of the preference's name; the first one that fits counts
    PreferenceNeeds needs;
};
// `requirements` of each (common-instancetypes v1.7.0).
constexpr std::array<NamedNeeds, 18> kNeeds = {{{"windows.xp", {1, 128 * MiB}},
                                                {"windows.2k3", {1, 256 * MiB}},
                                                {"windows.2k8", {1, 512 * MiB}},
                                                {"windows.2k12", {1, 512 * MiB}},
                                                {"windows.11", {2, 4 * GiB}},
                                                {"windows.", {1, 2 * GiB}},
                                                {"oraclelinux", {2, 4 * GiB}},
                                                {"centos.stream", {1, 1536 * MiB}},
                                                {"rhel.7", {1, GiB}},
                                                {"rhel.", {1, 1536 * MiB}},
                                                {"fedora", {1, 2 * GiB}},
                                                {"opensuse.", {1, 2 * GiB}},
                                                {"sles", {1, 2 * GiB}},
                                                {"ubuntu", {1, 2 * GiB}},
                                                {"alpine", {1, 512 * MiB}},
                                                {"debian", {1, 512 * MiB}},
                                                {"cirros", {1, 256 * MiB}},
                                                {"", {1, 0}}}};

} // namespace

std::string preference_for(const RunnableMachine& machine) {
    if (machine.guest.type == "windows") {
        for (const WindowsName& name : kWindows)
            if (machine.guest.product.find(name.word) != std::string::npos)
                return "windows." + std::string(name.preference);
        return "windows.10";
    }
    if (machine.attachment == DiskAttachment::sata)
        return "legacy";
    if (std::string preference = linux_preference(machine); !preference.empty())
        return preference;
    return modest_preference_for(machine);
}

std::string modest_preference_for(const RunnableMachine& machine) {
    if (machine.guest.type == "windows" || machine.attachment == DiskAttachment::sata)
        return "legacy";
    if (machine.transitional_virtio)
        return "linux.virtiotransitional";
    return machine.firmware == StartFirmware::bios ? "linux" : "linux.efi";
}

PreferenceNeeds needs_of_preference(std::string_view preference) {
    return std::find_if(kNeeds.begin(), kNeeds.end(),
                        [&](const NamedNeeds& named) { return preference.starts_with(named.beginning); })
        ->needs;
}

std::string instance_type_for(unsigned processors, std::uint64_t memory) {
    struct Type {
        std::string_view name;
        unsigned processors;
        std::uint64_t memory;
    };
    static constexpr std::array<Type, 9> kTypes = {{{"u1.nano", 1, 512 * MiB},
                                                    {"u1.micro", 1, GiB},
                                                    {"u1.small", 1, 2 * GiB},
                                                    {"u1.medium", 1, 4 * GiB},
                                                    {"u1.2xmedium", 2, 4 * GiB},
                                                    {"u1.large", 2, 8 * GiB},
                                                    {"u1.xlarge", 4, 16 * GiB},
                                                    {"u1.2xlarge", 8, 32 * GiB},
                                                    {"u1.4xlarge", 16, 64 * GiB}}};
    for (const Type& type : kTypes)
        if (type.processors >= processors && type.memory >= memory)
            return std::string(type.name);
    return "u1.8xlarge";
}

} // namespace vm2oci
