#include "libconvert/bundle/vmm_configuration.hpp"

#include "formats/base/size.hpp"
#include "libconvert/bundle/kernel.hpp"

#include <nlohmann/json.hpp>

namespace vm2oci {
namespace {

using Json = nlohmann::ordered_json;

} // namespace

std::string firecracker_configuration(const VmmMachine& machine) {
    Json boot = {{"kernel_image_path", machine.kernel}};
    if (!machine.initramfs.empty())
        boot["initrd_path"] = machine.initramfs;
    boot["boot_args"] = add_kernel_words(machine.command_line, "reboot=k panic=1 pci=off");
    const Json drive = {{"drive_id", "root"},
                        {"path_on_host", machine.root},
                        {"is_root_device", false}, // the command line names the root already
                        {"is_read_only", machine.read_only_root}};
    const Json json = {
        {"boot-source", std::move(boot)},
        {"drives", Json::array({drive})},
        {"machine-config", {{"vcpu_count", machine.processors}, {"mem_size_mib", machine.memory / MiB}}}};
    return json.dump(2) + "\n";
}

std::string cloud_hypervisor_configuration(const VmmMachine& machine) {
    Json payload = {{"kernel", machine.kernel}};
    if (!machine.initramfs.empty())
        payload["initramfs"] = machine.initramfs;
    payload["cmdline"] = machine.command_line;
    const Json json = {
        {"cpus", {{"boot_vcpus", machine.processors}, {"max_vcpus", machine.processors}}},
        {"memory", {{"size", machine.memory}}},
        {"payload", std::move(payload)},
        {"disks", Json::array({{{"path", machine.root}, {"image_type", "Raw"}, {"readonly", machine.read_only_root}}})},
        {"rng", {{"src", "/dev/urandom"}}},
        {"serial", {{"mode", "Tty"}}},
        {"console", {{"mode", "Off"}}}};
    return json.dump(2) + "\n";
}

} // namespace vm2oci
