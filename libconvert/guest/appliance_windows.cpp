#include "libconvert/guest/appliance_windows.hpp"

#include "formats/base/error.hpp"

#include <fmt/format.h>

#include <array>
#include <cstdlib>
#include <optional>

namespace vm2oci {
namespace {

constexpr std::size_t kMaxText = 1024;        // a name that is longer is none
constexpr int kFirstBuildOfWindows11 = 22000; // it still calls itself Windows 10

// A key of the hive that is open. Closes the hive at its end.
class RegistryKey {
  public:
    RegistryKey(const ApplianceSession& appliance, const std::string& hive) : appliance_(appliance) {
        appliance_.check(guestfs_library().hivex_open_argv(appliance_.handle(), hive.c_str(), nullptr),
                         "opening the registry");
        node_ = guestfs_library().hivex_root(appliance_.handle());
    }
    ~RegistryKey() { guestfs_library().hivex_close(appliance_.handle()); }
    RegistryKey(const RegistryKey&) = delete;
    RegistryKey& operator=(const RegistryKey&) = delete;

    // False if there is no such key.
    bool enter(const char* name) {
        node_ = guestfs_library().hivex_node_get_child(appliance_.handle(), node_, name);
        return node_ > 0;
    }
    std::string text(const char* name) const {
        const std::int64_t value = find(name, {1, 2}); // REG_SZ, REG_EXPAND_SZ
        if (value <= 0)
            return {};
        std::string found = take_string(guestfs_library().hivex_value_string(appliance_.handle(), value));
        return found.size() <= kMaxText ? found : std::string();
    }
    std::optional<std::uint32_t> number(const char* name) const {
        const std::int64_t value = find(name, {4, 4}); // REG_DWORD
        std::size_t size = 0;
        if (value <= 0)
            return std::nullopt;
        char* bytes = guestfs_library().hivex_value_value(appliance_.handle(), value, &size);
        if (bytes == nullptr)
            return std::nullopt;
        std::uint32_t found = 0;
        for (std::size_t i = 0; size == 4 && i < 4; ++i)
            found |= std::uint32_t{static_cast<unsigned char>(bytes[i])} << (8 * i);
        std::free(bytes);
        return size == 4 ? std::optional(found) : std::nullopt;
    }

  private:
    std::int64_t find(const char* name, const std::array<std::int64_t, 2>& types) const {
        const GuestfsLibrary& library = guestfs_library();
        const std::int64_t value = library.hivex_node_get_value(appliance_.handle(), node_, name);
        if (value <= 0)
            return 0;
        const std::int64_t type = library.hivex_value_type(appliance_.handle(), value);
        return type == types[0] || type == types[1] ? value : 0;
    }

    const ApplianceSession& appliance_;
    std::int64_t node_ = 0;
};

void read_software(const ApplianceSession& appliance, const std::string& hive, WindowsFacts& facts) {
    RegistryKey key(appliance, hive);
    if (!key.enter("Microsoft") || !key.enter("Windows NT") || !key.enter("CurrentVersion"))
        return;
    facts.product = key.text("ProductName");
    facts.edition = key.text("EditionID");
    facts.kind = key.text("InstallationType");
    facts.release = key.text("DisplayVersion");
    if (facts.release.empty())
        facts.release = key.text("ReleaseId");
    // From Windows 10 on, CurrentVersion says 6.3 for ever.
    const std::optional<std::uint32_t> major = key.number("CurrentMajorVersionNumber");
    const std::optional<std::uint32_t> minor = key.number("CurrentMinorVersionNumber");
    facts.version = major && minor ? fmt::format("{}.{}", *major, *minor) : key.text("CurrentVersion");
    facts.build = key.text("CurrentBuildNumber");
    if (facts.build.empty())
        facts.build = key.text("CurrentBuild");
    constexpr std::string_view kTen = "Windows 10";
    if (facts.build.size() == 5 && facts.build.find_first_not_of("0123456789") == std::string::npos &&
        std::stoi(facts.build) >= kFirstBuildOfWindows11 && facts.product.substr(0, kTen.size()) == kTen)
        facts.product.replace(0, kTen.size(), "Windows 11");
    if (const std::optional<std::uint32_t> revision = key.number("UBR"); revision && !facts.build.empty())
        facts.build += fmt::format(".{}", *revision);
}

std::string image_architecture(const std::string& name) {
    if (name == "x86_64")
        return "amd64";
    if (name == "i386")
        return "386";
    if (name == "aarch64")
        return "arm64";
    return {};
}

} // namespace

WindowsFacts read_windows(const ApplianceSession& appliance, const std::string& root,
                          std::vector<std::string>& remarks) {
    const GuestfsLibrary& library = guestfs_library();
    WindowsFacts facts;
    facts.architecture = image_architecture(take_string(library.inspect_get_arch(appliance.handle(), root.c_str())));
    facts.hostname = take_string(library.inspect_get_hostname(appliance.handle(), root.c_str()));
    if (facts.hostname == "unknown")
        facts.hostname.clear();
    const std::string hive = take_string(library.inspect_get_windows_software_hive(appliance.handle(), root.c_str()));
    if (hive.empty()) {
        remarks.push_back("the guest's registry was not found");
        return facts;
    }
    try {
        read_software(appliance, hive, facts);
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::external)
            throw;
        remarks.push_back(fmt::format("the guest's registry cannot be read: {}", error.what()));
    }
    return facts;
}

} // namespace vm2oci
