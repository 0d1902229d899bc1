#include "libconvert/manifest/virtual_machine.hpp"

#include "formats/base/base64.hpp"
#include "formats/base/checked.hpp"
#include "formats/base/error.hpp"
#include "formats/base/size.hpp"
#include "libconvert/manifest/document.hpp"
#include "libconvert/manifest/writers.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace vm2oci {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kSpec = "/spec/template/spec";
constexpr const char* kDomain = "/spec/template/spec/domain";

bool is_windows(const RunnableMachine& machine) {
    return machine.guest.type == "windows";
}

// Secrets hold text where it is some, so that a person can read and change them.
bool is_text(const std::string& bytes) {
    return std::all_of(bytes.begin(), bytes.end(),
                       [](unsigned char c) { return c == '\n' || c == '\t' || c >= ' '; }) &&
           Json(bytes).dump(-1, ' ', false, Json::error_handler_t::ignore).size() >= bytes.size() && [&] {
               try {
                   static_cast<void>(Json(bytes).dump());
                   return true;
               } catch (const Json::type_error&) { // not UTF-8
                   return false;
               }
           }();
}

std::string secret_name(const RunnableMachine& machine) {
    return dns_label(machine.name.substr(0, 52), "vm") + "-cloud-init";
}

void add_sizes(const RunnableMachine& machine, ManifestDocument& document) {
    Json& spec = document.content["spec"];
    if (!machine.instance_type.empty()) {
        spec["instancetype"] = {{"name", machine.instance_type}};
        document.comment("/spec/instancetype",
                         "Processors and memory come from it; KubeVirt refuses a machine that states them as well.");
    }
    if (!machine.preference.empty()) {
        spec["preference"] = {{"name", machine.preference}};
        document.comment("/spec/preference", machine.reasons.preference);
    }
}

void add_processors(const RunnableMachine& machine, Json& domain, ManifestDocument& document) {
    if (!machine.instance_type.empty())
        return;
    domain["cpu"] = {{"sockets", machine.sockets}, {"cores", machine.cores}, {"threads", 1}};
    domain["memory"] = {{"guest", quantity(machine.memory)}};
    document.comment(std::string(kDomain) + "/cpu", machine.reasons.sizes);
}

void add_firmware(const RunnableMachine& machine, Json& domain, ManifestDocument& document) {
    const std::string place = std::string(kDomain) + "/firmware";
    if (machine.kernel) {
        Json container = {{"image", machine.disks.front().image}, {"kernelPath", machine.kernel->kernel}};
        if (machine.kernel->initramfs)
            container["initrdPath"] = *machine.kernel->initramfs;
        if (!machine.pull_secret.empty())
            container["imagePullSecret"] = machine.pull_secret;
        domain["firmware"]["kernelBoot"] = {{"kernelArgs", machine.kernel->command_line},
                                            {"container", std::move(container)}};
        document.comment(place, "The kernel is started directly; its root is the first virtio disk.");
        document.comment(place + "/kernelBoot/kernelArgs", machine.reasons.kernel);
        return;
    }
    Json& bootloader = domain["firmware"]["bootloader"];
    document.comment(place, machine.reasons.firmware);
    if (machine.firmware == StartFirmware::bios) {
        bootloader["bios"] = Json::object();
        return;
    }
    const bool secure = machine.firmware == StartFirmware::uefi_secure;
    bootloader["efi"]["secureBoot"] = secure;
    if (!secure) {
        document.comment(place + "/bootloader/efi/secureBoot", "KubeVirt's default is true, which needs SMM.");
        return;
    }
    domain["features"]["smm"]["enabled"] = true;
    document.comment(std::string(kDomain) + "/features/smm", "Secure Boot is refused without SMM.");
}

// As the preferences of common-instancetypes have it for Windows.
void add_windows_features(Json& domain, ManifestDocument& document) {
    domain["features"]["acpi"] = Json::object();
    domain["features"]["apic"] = Json::object();
    domain["features"]["hyperv"] = {
        {"relaxed", Json::object()}, {"vapic", Json::object()}, {"spinlocks", {{"spinlocks", 8191}}}};
    domain["clock"] = {{"utc", Json::object()},
                       {"timer",
                        {{"hpet", {{"present", false}}},
                         {"pit", {{"tickPolicy", "delay"}}},
                         {"rtc", {{"tickPolicy", "catchup"}}},
                         {"hyperv", Json::object()}}}};
    document.comment(std::string(kDomain) + "/clock", "The timers by which Windows keeps time when it is virtual.");
    document.comment(std::string(kDomain) + "/features/hyperv", "Windows knows that it is virtual, and idles cheaply.");
}

Json disk_device(const RunnableMachine& machine, std::size_t index) {
    const RunnableDisk& disk = machine.disks[index];
    Json device = {{"name", disk.name}};
    if (!machine.kernel)
        device["bootOrder"] = index + 1;
    device["disk"] = {{"bus", to_string(machine.attachment)}};
    if (disk.sector_size != 512)
        device["blockSize"]["custom"] = {{"logical", disk.sector_size}, {"physical", disk.sector_size}};
    return device;
}

void add_devices(const RunnableMachine& machine, Json& domain, ManifestDocument& document) {
    const std::string place = std::string(kDomain) + "/devices";
    Json& devices = domain["devices"];
    devices["disks"] = Json::array();
    for (std::size_t i = 0; i < machine.disks.size(); ++i) {
        devices["disks"].push_back(disk_device(machine, i));
        if (const std::uint64_t size = machine.disks[i].sector_size; size != 512)
            document.comment(fmt::format("{}/disks/{}", place, i),
                             fmt::format("Its partition table counts in sectors of {} bytes.", size));
    }
    if (!machine.kernel)
        document.comment(place + "/disks", "The firmware tries them in their boot order.");
    document.comment(place + "/disks", machine.reasons.attachment);
    if (machine.attachment == DiskAttachment::virtio && machine.architecture == "amd64")
        document.comment(place + "/disks", "On virtio, which is faster than KubeVirt's default, SATA.");
    if (machine.seed)
        devices["disks"].push_back({{"name", "cloudinit"}, {"disk", {{"bus", to_string(machine.attachment)}}}});
    if (machine.transitional_virtio) {
        devices["useVirtioTransitional"] = true;
        document.comment(place + "/useVirtioTransitional",
                         "The guest's virtio drivers are older than version 1.0 of the standard.");
    }
    if (machine.nics.empty()) {
        devices["autoattachPodInterface"] = false;
        document.comment(place + "/autoattachPodInterface",
                         "The machine has no network interface, and KubeVirt gives one to whoever says nothing.");
    } else {
        devices["interfaces"] = Json::array();
        for (std::size_t i = 0; i < machine.nics.size(); ++i) {
            const RunnableNic& nic = machine.nics[i];
            Json interface = {{"name", i == 0 ? std::string("default") : fmt::format("net{}", i + 1)}};
            interface[nic.network.empty() ? "masquerade" : "bridge"] = Json::object();
            interface["model"] = to_string(nic.model);
            if (!nic.mac.empty())
                interface["macAddress"] = nic.mac;
            if (nic.network.empty())
                document.comment(fmt::format("{}/interfaces/{}", place, i),
                                 "Behind the pod's own address, which every network of pods allows.");
            else
                document.comment(fmt::format("{}/interfaces/{}", place, i), "A station of its own on that network.");
            if (!nic.mac.empty())
                document.comment(fmt::format("{}/interfaces/{}", place, i), "With the address that it had.");
            if (!nic.origin.empty())
                document.comment(fmt::format("{}/interfaces/{}", place, i), "It was connected to " + nic.origin + ".");
            devices["interfaces"].push_back(std::move(interface));
        }
        document.comment(place + "/interfaces", machine.reasons.network);
    }
    devices["rng"] = Json::object();
    document.comment(place + "/rng", "Entropy for a guest that makes its keys at its first start.");
}

void add_networks(const RunnableMachine& machine, Json& spec) {
    if (machine.nics.empty())
        return;
    spec["networks"] = Json::array();
    for (std::size_t i = 0; i < machine.nics.size(); ++i) {
        Json network = {{"name", i == 0 ? std::string("default") : fmt::format("net{}", i + 1)}};
        if (machine.nics[i].network.empty())
            network["pod"] = Json::object();
        else
            network["multus"]["networkName"] = machine.nics[i].network;
        spec["networks"].push_back(std::move(network));
    }
}

Json disk_volume(const RunnableMachine& machine, std::size_t index, VolumeSource source) {
    const RunnableDisk& disk = machine.disks[index];
    Json volume = {{"name", disk.name}};
    switch (source) {
    case VolumeSource::container_disk:
        volume["containerDisk"] = {{"image", disk.image}};
        // The only file of /disk is found without being named.
        if (machine.kernel)
            volume["containerDisk"]["path"] = disk.path;
        if (!machine.pull_secret.empty())
            volume["containerDisk"]["imagePullSecret"] = machine.pull_secret;
        break;
    case VolumeSource::data_volume:
    case VolumeSource::data_source:
        volume["dataVolume"]["name"] = volume_claim_name(machine, index);
        break;
    case VolumeSource::claim:
        volume["persistentVolumeClaim"]["claimName"] = disk.name;
        break;
    }
    return volume;
}

void add_volumes(const RunnableMachine& machine, VolumeSource source, Json& spec, ManifestDocument& document) {
    const std::string place = std::string(kSpec) + "/volumes";
    spec["volumes"] = Json::array();
    for (std::size_t i = 0; i < machine.disks.size(); ++i)
        spec["volumes"].push_back(disk_volume(machine, i, source));
    if (source == VolumeSource::container_disk) {
        document.comment(place + "/0", machine.reasons.image);
        if (machine.disks.front().image.find('@') != std::string::npos)
            document.comment(place + "/0", "By its digest: what a tag names may become another image.");
        document.comment(place + "/0", "What the machine writes is lost when it stops.");
    }
    if (!machine.seed)
        return;
    const bool drive = machine.seed->form == SeedForm::config_drive;
    Json data = {{"secretRef", {{"name", secret_name(machine)}}}};
    if (machine.seed->network_data)
        data["networkDataSecretRef"]["name"] = secret_name(machine);
    spec["volumes"].push_back({{"name", "cloudinit"}, {drive ? "cloudInitConfigDrive" : "cloudInitNoCloud", data}});
    document.comment(fmt::format("{}/{}", place, machine.disks.size()),
                     "In a Secret, for KubeVirt refuses more than 2048 bytes here.");
}

} // namespace

std::string volume_claim_name(const RunnableMachine& machine, std::size_t disk) {
    return machine.name.substr(0, 52) + "-" + machine.disks[disk].name;
}

std::uint64_t claim_size(const RunnableDisk& disk) {
    return align_up(std::max<std::uint64_t>(disk.size, 1), MiB);
}

ManifestDocument virtual_machine(const RunnableMachine& machine, VolumeSource source) {
    if (machine.form == RunnableForm::rootfs)
        fail(ErrorKind::unsupported, "KubeVirt runs disks, and this is a container image; make a bundle of it or of "
                                     "the machine that it came from");
    ManifestDocument document;
    Json& content = document.content;
    content = {{"apiVersion", "kubevirt.io/v1"}, {"kind", "VirtualMachine"}, {"metadata", {{"name", machine.name}}}};
    if (!machine.namespace_.empty())
        content["metadata"]["namespace"] = machine.namespace_;
    content["spec"]["runStrategy"] = "Always";
    document.comment("/spec/runStrategy", "It starts at once, and again whenever it ends; virtctl stop halts it.");
    add_sizes(machine, document);
    Json pod;
    pod["metadata"]["labels"]["kubevirt.io/domain"] = machine.name;
    document.comment("/spec/template/metadata/labels", "What a Service finds it by.");
    Json& spec = pod["spec"];
    spec["architecture"] = machine.architecture;
    document.comment(std::string(kSpec) + "/architecture", "It runs on nodes of this architecture alone.");
    Json& domain = spec["domain"];
    add_processors(machine, domain, document);
    add_firmware(machine, domain, document);
    if (machine.architecture == "amd64") {
        domain["machine"]["type"] = "q35";
        document.comment(std::string(kDomain) + "/machine", machine.reasons.machine);
    }
    if (is_windows(machine))
        add_windows_features(domain, document);
    add_devices(machine, domain, document);
    add_networks(machine, spec);
    add_volumes(machine, source, spec, document);
    content["spec"]["template"] = std::move(pod);
    return document;
}

std::vector<ManifestDocument> seed_secret(const RunnableMachine& machine) {
    if (!machine.seed)
        return {};
    ManifestDocument document;
    document.content = {{"apiVersion", "v1"}, {"kind", "Secret"}, {"metadata", {{"name", secret_name(machine)}}}};
    if (!machine.namespace_.empty())
        document.content["metadata"]["namespace"] = machine.namespace_;
    document.content["type"] = "Opaque";
    const auto add = [&](const char* key, const std::string& bytes) {
        if (is_text(bytes))
            document.content["stringData"][key] = bytes;
        else
            document.content["data"][key] = encode_base64(bytes);
    };
    add("userdata", machine.seed->user_data);
    if (machine.seed->network_data)
        add("networkdata", *machine.seed->network_data);
    document.comment("", "cloud-init's data; meta-data (instance-id, local-hostname) is KubeVirt's own.");
    return {std::move(document)};
}

} // namespace vm2oci
