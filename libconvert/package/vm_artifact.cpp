#include "libconvert/package/vm_artifact.hpp"

#include "formats/base/checked.hpp"
#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/base/fd.hpp"
#include "formats/base/size.hpp"
#include "formats/oci/json.hpp"
#include "formats/oci/labels.hpp"
#include "libconvert/package/disk_layer.hpp"
#include "libconvert/package/timestamp.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <charconv>
#include <limits>
#include <set>
#include <utility>

namespace vm2oci {
namespace {

using VmJson = nlohmann::json;

// KubeVirt writes whole units of 1024, and plain bytes otherwise.
std::string binary_quantity(std::uint64_t bytes) {
    constexpr std::pair<std::uint64_t, const char*> kUnits[] = {{TiB, "Ti"}, {GiB, "Gi"}, {MiB, "Mi"}, {KiB, "Ki"}};
    for (const auto& [unit, suffix] : kUnits)
        if (bytes != 0 && bytes % unit == 0)
            return std::to_string(bytes / unit) + suffix;
    return std::to_string(bytes);
}

std::string annotation(const Descriptor& layer, const char* name) {
    const auto found = layer.annotations.find(name);
    return found == layer.annotations.end() ? std::string() : found->second;
}

// The value at a path; null where something on the way is not there or something else.
const VmJson& at_path(const VmJson& value, std::initializer_list<std::string_view> path) {
    static const VmJson kNothing;
    const VmJson* place = &value;
    for (const std::string_view step : path) {
        if (!place->is_object())
            return kNothing;
        const auto found = place->find(std::string(step));
        if (found == place->end())
            return kNothing;
        place = &*found;
    }
    return *place;
}

std::string text_at(const VmJson& value, std::initializer_list<std::string_view> path) {
    const VmJson& found = at_path(value, path);
    return found.is_string() ? found.get<std::string>() : std::string();
}

VmJson parse_machine(std::string_view text) {
    VmJson machine = parse_untrusted_json(text, "the artifact's VirtualMachine");
    if (text_at(machine, {"kind"}) != "VirtualMachine")
        fail(ErrorKind::corrupt, "the artifact's config is no VirtualMachine");
    return machine;
}

std::optional<unsigned> count_at(const VmJson& value, std::initializer_list<std::string_view> path) {
    const VmJson& found = at_path(value, path);
    if (!found.is_number_unsigned() || found.get<std::uint64_t>() > kMaxMachineCpus)
        return std::nullopt;
    return found.get<unsigned>();
}

const VmJson& list_at(const VmJson& value, std::initializer_list<std::string_view> path) {
    static const VmJson kEmpty = VmJson::array();
    const VmJson& found = at_path(value, path);
    return found.is_array() && found.size() <= kMaxMachineDevices ? found : kEmpty;
}

// The names of the claims that it mounts, in the order in which it is started from them.
std::vector<std::string> mounted_claims(const VmJson& machine) {
    const VmJson& spec = at_path(machine, {"spec", "template", "spec"});
    struct Mounted {
        std::uint64_t order;
        std::string claim;
    };
    std::vector<Mounted> mounted;
    for (const VmJson& volume : list_at(spec, {"volumes"})) {
        std::string claim = text_at(volume, {"persistentVolumeClaim", "claimName"});
        if (claim.empty())
            claim = text_at(volume, {"dataVolume", "name"});
        if (claim.empty())
            continue;
        std::replace(claim.begin(), claim.end(), '.', '-'); // as the importer compares them
        std::uint64_t order = std::numeric_limits<std::uint64_t>::max();
        for (const VmJson& disk : list_at(spec, {"domain", "devices", "disks"}))
            if (const VmJson& wanted = at_path(disk, {"bootOrder"});
                text_at(disk, {"name"}) == text_at(volume, {"name"}) && wanted.is_number_unsigned())
                order = wanted.get<std::uint64_t>();
        mounted.push_back({order, std::move(claim)});
    }
    std::stable_sort(mounted.begin(), mounted.end(),
                     [](const Mounted& one, const Mounted& other) { return one.order < other.order; });
    std::vector<std::string> claims;
    claims.reserve(mounted.size());
    for (Mounted& one : mounted)
        claims.push_back(std::move(one.claim));
    return claims;
}

Descriptor store_blob(std::string_view bytes, std::string_view media_type, ImageDestination& destination) {
    const auto writer = destination.begin_blob();
    writer->write(as_bytes(bytes));
    const BlobIdentity blob = writer->commit();
    return {.media_type = std::string(media_type), .digest = blob.digest, .size = blob.size};
}

constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();

struct QuantityUnit {
    std::string_view suffix;
    std::uint64_t factor;
};
constexpr std::uint64_t kKilo = 1000;
constexpr QuantityUnit kUnits[] = {{"", 1},
                                   {"Ki", KiB},
                                   {"Mi", MiB},
                                   {"Gi", GiB},
                                   {"Ti", TiB},
                                   {"Pi", KiB* TiB},
                                   {"Ei", MiB* TiB},
                                   {"k", kKilo},
                                   {"M", kKilo* kKilo},
                                   {"G", kKilo* kKilo* kKilo},
                                   {"T", kKilo* kKilo* kKilo* kKilo},
                                   {"P", kKilo* kKilo* kKilo* kKilo* kKilo},
                                   {"E", kKilo* kKilo* kKilo* kKilo* kKilo* kKilo}};

struct DecimalFraction {
    std::uint64_t digits = 0;
    std::uint64_t unit = 1; // ten to how many there are
};

// Takes ".5" from the front of `text`, or nothing. nullopt: a point without digits, or with too many.
std::optional<DecimalFraction> take_fraction(std::string_view& text) {
    DecimalFraction fraction;
    if (!text.starts_with('.'))
        return fraction;
    constexpr std::size_t kMostDigits = 9; // as many as Kubernetes counts
    const std::size_t count = std::min(text.find_first_not_of("0123456789", 1), text.size()) - 1;
    if (count == 0 || count > kMostDigits)
        return std::nullopt;
    for (const char digit : text.substr(1, count)) {
        fraction.digits = fraction.digits * 10 + static_cast<std::uint64_t>(digit - '0');
        fraction.unit *= 10;
    }
    text.remove_prefix(1 + count);
    return fraction;
}

// "e9", of ten.
std::optional<unsigned> exponent_of(std::string_view text) {
    if (text.size() < 2 || (text[0] != 'e' && text[0] != 'E'))
        return std::nullopt;
    unsigned exponent = 0;
    const auto [end, error] = std::from_chars(text.data() + 1, text.data() + text.size(), exponent);
    if (error != std::errc() || end != text.data() + text.size())
        return std::nullopt;
    return exponent;
}

std::optional<std::uint64_t> times_power_of_ten(std::uint64_t number, unsigned exponent) {
    for (; exponent > 0 && number != 0; --exponent) {
        if (number > kMost / 10)
            return std::nullopt;
        number *= 10;
    }
    return number;
}

} // namespace

StoredLayer write_machine_disk(const DiskImage& disk, const std::string& name, const LayerOptions& options,
                               ImageDestination& destination, const OperationContext& operation) {
    if (options.compression.algorithm != Compression::zstd)
        fail(ErrorKind::usage, "a machine's disks are compressed with zstd");
    StoredLayer stored = write_bare_disk(disk, options, destination, operation);
    stored.descriptor.media_type = vm_artifact::disk_type;
    stored.descriptor.annotations = {{vm_artifact::disk_name, name},
                                     {vm_artifact::disk_size, binary_quantity(disk.bytes->size())},
                                     {label::oci_title, name + ".raw.zst"}};
    return stored;
}

Descriptor assemble_vm_artifact(const std::string& virtual_machine, const std::vector<StoredLayer>& disks,
                                const ImageOptions& options, ImageDestination& destination) {
    ImageManifest manifest;
    manifest.artifact_type = vm_artifact::artifact_type;
    manifest.config = store_blob(virtual_machine, vm_artifact::config_type, destination);
    for (const StoredLayer& disk : disks)
        manifest.layers.push_back(disk.descriptor);
    manifest.annotations = options.annotations;
    Descriptor top = destination.put_manifest(to_json(manifest), media_type::oci_manifest);
    top.platform = Platform{.architecture = options.architecture, .os = "linux"};
    top.artifact_type = vm_artifact::artifact_type;
    top.annotations[label::oci_created] = format_timestamp(options.created);
    return top;
}

bool is_vm_artifact(const ImageManifest& manifest) {
    return manifest.artifact_type == vm_artifact::artifact_type ||
           manifest.config.media_type == vm_artifact::config_type;
}

std::vector<MachineDiskLayer> disks_of_vm_artifact(const ImageManifest& manifest, std::string_view virtual_machine) {
    std::vector<MachineDiskLayer> disks;
    std::set<std::string> names;
    for (std::size_t i = 0; i < manifest.layers.size(); ++i) {
        const Descriptor& layer = manifest.layers[i];
        if (layer.media_type != vm_artifact::disk_type)
            continue;
        MachineDiskLayer disk{i, annotation(layer, vm_artifact::disk_name), std::nullopt};
        if (!names.insert(disk.name).second)
            fail(ErrorKind::corrupt, "the artifact has two disks called " + quote_untrusted(disk.name));
        if (const std::string size = annotation(layer, vm_artifact::disk_size); !size.empty()) {
            disk.size = parse_quantity(size);
            if (!disk.size)
                fail(ErrorKind::corrupt,
                     "the artifact says that a disk has " + quote_untrusted(size) + ", which is no size");
        }
        disks.push_back(std::move(disk));
    }
    if (disks.empty())
        fail(ErrorKind::corrupt, "the artifact of a machine holds no disk");
    const std::vector<std::string> claims = mounted_claims(parse_machine(virtual_machine));
    const auto place_of = [&](const MachineDiskLayer& disk) {
        return std::find(claims.begin(), claims.end(), disk.name) - claims.begin();
    };
    std::stable_sort(disks.begin(), disks.end(), [&](const MachineDiskLayer& one, const MachineDiskLayer& other) {
        return place_of(one) < place_of(other);
    });
    return disks;
}

std::vector<std::string> claims_of_virtual_machine(std::string_view virtual_machine) {
    return mounted_claims(parse_machine(virtual_machine));
}

MachineHardware hardware_of_virtual_machine(std::string_view virtual_machine) {
    const VmJson machine = parse_machine(virtual_machine);
    const VmJson& domain = at_path(machine, {"spec", "template", "spec", "domain"});
    MachineHardware hardware;
    hardware.source = vm_artifact::hardware_source;
    hardware.name = text_at(machine, {"metadata", "name"});
    const auto cores = count_at(domain, {"cpu", "cores"});
    const auto sockets = count_at(domain, {"cpu", "sockets"});
    const auto threads = count_at(domain, {"cpu", "threads"});
    if (cores || sockets || threads) {
        const unsigned per_socket = std::max(1U, cores.value_or(1)) * std::max(1U, threads.value_or(1));
        hardware.cpus = std::min(kMaxMachineCpus, per_socket * std::max(1U, sockets.value_or(1)));
        hardware.cores_per_socket = per_socket;
    }
    if (const auto memory = parse_quantity(text_at(domain, {"memory", "guest"})); memory && *memory != 0)
        hardware.memory = std::min(*memory, kMaxMachineMemory);
    const VmJson& loader = at_path(domain, {"firmware", "bootloader"});
    if (const VmJson& efi = at_path(loader, {"efi"}); efi.is_object()) {
        hardware.firmware = MachineFirmware::uefi;
        const VmJson& secure = at_path(efi, {"secureBoot"});
        hardware.secure_boot = !secure.is_boolean() || secure.get<bool>(); // KubeVirt's default
    } else if (at_path(loader, {"bios"}).is_object()) {
        hardware.firmware = MachineFirmware::bios;
    }
    for (const VmJson& nic : list_at(domain, {"devices", "interfaces"}))
        hardware.nics.push_back(
            {text_at(nic, {"model"}), text_at(nic, {"name"}), normal_mac(text_at(nic, {"macAddress"}))});
    return hardware;
}

std::optional<std::uint64_t> parse_quantity(std::string_view text) {
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (text.empty() || error != std::errc())
        return std::nullopt;
    std::string_view suffix = text.substr(static_cast<std::size_t>(end - text.data()));
    const std::optional<DecimalFraction> fraction = take_fraction(suffix);
    if (!fraction)
        return std::nullopt;
    const auto unit = std::find_if(std::begin(kUnits), std::end(kUnits),
                                   [&](const QuantityUnit& each) { return each.suffix == suffix; });
    if (unit == std::end(kUnits)) {
        const std::optional<unsigned> exponent = fraction->unit == 1 ? exponent_of(suffix) : std::nullopt;
        return exponent ? times_power_of_ten(number, *exponent) : std::nullopt;
    }
    // Rounded up, as Kubernetes does. In two steps, for which 64 bits are enough.
    const std::uint64_t whole = unit->factor / fraction->unit * fraction->digits;
    const std::uint64_t rest = divide_up(unit->factor % fraction->unit * fraction->digits, fraction->unit);
    if (number > (kMost - whole - rest) / unit->factor)
        return std::nullopt;
    return number * unit->factor + whole + rest;
}

} // namespace vm2oci
