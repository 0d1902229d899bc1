#include "tools/vm2oci/manifest_options.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/base/fd.hpp"
#include "formats/base/size.hpp"
#include "libconvert/edit/planners.hpp"
#include "libconvert/edit/user_data.hpp"
#include "tools/vm2oci/help.hpp"
#include "tools/vm2oci/option_values.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <map>

namespace vm2oci::cli {
namespace {

constexpr std::size_t kSeedFileLimit = 1024ull * 1024; // a Secret holds no more
constexpr unsigned kMostProcessors = 4096;

const std::map<std::string, StartFirmware> kFirmwares = {
    {"bios", StartFirmware::bios}, {"uefi", StartFirmware::uefi}, {"uefi-secure", StartFirmware::uefi_secure}};
const std::map<std::string, DiskAttachment> kBuses = {{"virtio", DiskAttachment::virtio},
                                                      {"sata", DiskAttachment::sata}};
const std::map<std::string, NicModel> kNics = {{"virtio", NicModel::virtio},
                                               {"e1000", NicModel::e1000},
                                               {"e1000e", NicModel::e1000e},
                                               {"rtl8139", NicModel::rtl8139}};
const std::map<std::string, SeedForm> kSeedForms = {{"nocloud", SeedForm::no_cloud},
                                                    {"configdrive", SeedForm::config_drive}};

template <class Value>
std::optional<Value> chosen(const std::map<std::string, Value>& values, const std::string& word) {
    const auto found = values.find(word);
    return found == values.end() ? std::nullopt : std::optional(found->second);
}

std::string read_seed_text(const std::string& path, std::string_view option) {
    auto text = read_file(path, kSeedFileLimit);
    if (!text)
        fail(ErrorKind::not_found, fmt::format("{} {}: no such file", option, path));
    return std::move(*text);
}

// Manifests are UTF-8; comments of keys may be anything.
std::string quoted(std::string_view line, const std::string& file) {
    try {
        return nlohmann::json(line).dump();
    } catch (const nlohmann::json::exception&) {
        fail(ErrorKind::usage, fmt::format("--ssh-key {}: {} is not in UTF-8", file, quote_untrusted(line)));
    }
}

// A user-data of its own for keys; what the user wrote is not edited here.
std::string keys_as_user_data(const std::vector<std::string>& files) {
    std::string text = "#cloud-config\nssh_authorized_keys:\n";
    for (const std::string& file : files) {
        const std::string keys = read_seed_text(file, "--ssh-key");
        with_context("--ssh-key " + file, [&] { check_public_keys(keys); });
        std::string_view rest = keys;
        while (!rest.empty()) {
            const std::size_t end = std::min(rest.find('\n'), rest.size());
            std::string_view line = rest.substr(0, end);
            rest.remove_prefix(std::min(end + 1, rest.size()));
            while (!line.empty() && (line.back() == '\r' || line.back() == ' ' || line.back() == '\t'))
                line.remove_suffix(1);
            if (!line.empty() && line.front() != '#')
                text += "  - " + quoted(line, file) + "\n";
        }
    }
    return text;
}

std::optional<RunnableSeed> seed_of(const ManifestOptions& options) {
    if (options.user_data.empty() && options.network_config.empty() && options.ssh_keys.empty())
        return std::nullopt;
    if (!options.user_data.empty() && !options.ssh_keys.empty())
        fail(ErrorKind::usage, "--ssh-key makes a user-data of its own; write the keys into the one of --user-data");
    RunnableSeed seed;
    if (!options.user_data.empty()) {
        const std::string data = read_seed_text(options.user_data, "--user-data");
        check_user_data(data);
        seed.user_data = plain_user_data(data);
    } else {
        seed.user_data = options.ssh_keys.empty() ? "#cloud-config\n{}\n" : keys_as_user_data(options.ssh_keys);
    }
    if (!options.network_config.empty()) {
        seed.network_data = read_seed_text(options.network_config, "--network-config");
        if (options.seed_form != "configdrive")
            check_network_config(*seed.network_data);
    }
    return seed;
}

} // namespace

std::string manifest_target_names() {
    std::string names;
    for (const ManifestTarget& target : manifest_targets())
        names += (names.empty() ? "" : ", ") + std::string(target.name);
    return names;
}

ManifestWishes ManifestOptions::wishes() const {
    ManifestWishes wishes;
    wishes.target = &find_manifest_target(target);
    wishes.image = image;
    MachineWishes& machine = wishes.machine;
    machine.name = name;
    machine.namespace_ = namespace_;
    machine.cpus = cpus;
    if (cpus && (*cpus == 0 || *cpus > kMostProcessors))
        fail(ErrorKind::usage, fmt::format("--cpus goes from 1 to {}", kMostProcessors));
    if (!memory.empty())
        machine.memory = parse_size(memory);
    if (machine.memory && (*machine.memory < MiB || *machine.memory % MiB != 0))
        fail(ErrorKind::usage, "--memory takes whole MiB, such as 512M or 4G");
    machine.firmware = chosen(kFirmwares, firmware);
    machine.attachment = chosen(kBuses, disk_bus);
    machine.nic_model = chosen(kNics, nic);
    machine.instance_type = instance_type;
    machine.preference = preference;
    machine.networks = networks;
    machine.seed = seed_of(*this);
    machine.seed_form = chosen(kSeedForms, seed_form);
    machine.pull_secret = pull_secret;
    return wishes;
}

std::shared_ptr<ManifestOptions> add_manifest_options(CLI::App& command) {
    auto options = std::make_shared<ManifestOptions>();
    const auto text = [&](const char* name, std::string& value, const char* shown, const std::string& description) {
        return command.add_option(name, value, description)->option_text(shown)->group(group::machine);
    };
    text("--for", options->target, "NAME", "Who runs it: " + manifest_target_names() + " (default: kubevirt)");
    text("--image", options->image, "HOST/REPO[:TAG]",
         "Where the cluster finds the image of a local store; the digest is added");
    text("--name", options->name, "NAME", "The machine's name (default: its description's, else the image's)");
    text("--namespace", options->namespace_, "NAME", "The namespace (default: whichever is current)");
    text("--memory", options->memory, "SIZE", "The machine's memory (default: what its description says, else 2G)")
        ->check(size_value());
    command.add_option("--cpus", options->cpus, "The machine's processors (default: the same, else 2)")
        ->option_text("N")
        ->group(group::machine);
    text("--instancetype", options->instance_type, "NAME",
         "KubeVirt's instance type instead of processors and memory; auto: the smallest of u1 that has them");
    text("--preference", options->preference, "NAME",
         "KubeVirt's preference; auto: the one of common-instancetypes for this guest");
    text("--firmware", options->firmware, "auto|bios|uefi|uefi-secure",
         "Default: what its description says and the disk is made for")
        ->check(CLI::IsMember({"auto", "bios", "uefi", "uefi-secure"}));
    text("--disk-bus", options->disk_bus, "auto|virtio|sata", "Default: virtio where the guest has the drivers")
        ->check(CLI::IsMember({"auto", "virtio", "sata"}));
    text("--nic", options->nic, "auto|virtio|e1000e|e1000|rtl8139", "Default: virtio where the guest has the driver")
        ->check(CLI::IsMember({"auto", "virtio", "e1000e", "e1000", "rtl8139"}));
    command
        .add_option("--network", options->networks,
                    "What the next interface is connected to: pod, or Multus' NAME or NAMESPACE/NAME; repeat for "
                    "further ones (default: the first one to pod, no others)")
        ->option_text("NAME")
        ->allow_extra_args(false)
        ->group(group::machine);
    text("--user-data", options->user_data, "FILE", "cloud-init's user-data, in a Secret");
    text("--network-config", options->network_config, "FILE",
         "cloud-init's network-config, the same; OpenStack's network_data.json for a config drive");
    command.add_option("--ssh-key", options->ssh_keys, "A user-data with these public keys; repeat for more")
        ->option_text("FILE")
        ->allow_extra_args(false)
        ->group(group::machine);
    text("--seed-form", options->seed_form, "auto|nocloud|configdrive", "Default: what the guest looks for")
        ->check(CLI::IsMember({"auto", "nocloud", "configdrive"}));
    text("--pull-secret", options->pull_secret, "NAME", "The cluster's Secret with the registry's login");
    return options;
}

} // namespace vm2oci::cli
