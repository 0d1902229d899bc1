// Virtlet: pods whose container is a machine.
#include "formats/base/error.hpp"
#include "libconvert/manifest/document.hpp"
#include "libconvert/manifest/writers.hpp"

#include <fmt/format.h>

namespace vm2oci {
namespace {

using Json = nlohmann::ordered_json;

// A web server that belongs to nobody (RFC 2606), in the place of the user's.
constexpr const char* kPlaceholder = "https://images.example/";

void require_what_virtlet_runs(const RunnableMachine& machine) {
    if (machine.form != RunnableForm::disk || machine.disks.empty() || machine.disks.front().format != "qcow2")
        fail(ErrorKind::unsupported, "Virtlet downloads a qcow2 file and pulls no image; make one of the disk first");
    if (machine.disks.size() > 1)
        fail(ErrorKind::unsupported, "Virtlet starts a machine from one disk; others would be volumes of the cluster");
    if (machine.architecture != "amd64" && !machine.architecture.empty())
        fail(ErrorKind::unsupported, "Virtlet runs machines of amd64, and this is one of " + machine.architecture);
    if (machine.firmware != StartFirmware::bios)
        fail(ErrorKind::unsupported, "Virtlet's machines start by BIOS, and this one is started by UEFI");
    if (machine.attachment != DiskAttachment::virtio)
        fail(ErrorKind::unsupported, "Virtlet attaches disks by virtio alone, and this guest has no driver for it");
}

void add_seed(const RunnableSeed& seed, ManifestDocument& pod) {
    Json& annotations = pod.content["metadata"]["annotations"];
    if (seed.network_data)
        fail(ErrorKind::unsupported, "Virtlet tells its machines of their network itself; leave network data away");
    const bool is_script = seed.user_data.starts_with("#!");
    if (is_script) {
        annotations["VirtletCloudInitUserDataScript"] = seed.user_data;
    } else {
        annotations["VirtletCloudInitUserData"] = seed.user_data;
        annotations["VirtletCloudInitUserDataOverwrite"] = "true";
        pod.comment("/metadata/annotations/VirtletCloudInitUserDataOverwrite",
                    "As it is, and not merged with what Virtlet would say.");
    }
    if (seed.form == SeedForm::config_drive)
        annotations["VirtletCloudInitImageType"] = "configdrive";
}

} // namespace

std::string virtlet_manifest(const RunnableMachine& machine) {
    require_what_virtlet_runs(machine);
    ManifestDocument mapping;
    mapping.content = {{"apiVersion", "virtlet.k8s/v1"},
                       {"kind", "VirtletImageMapping"},
                       {"metadata", {{"name", machine.name}, {"namespace", "kube-system"}}}};
    mapping.content["spec"]["translations"] =
        Json::array({{{"name", machine.name}, {"url", kPlaceholder + machine.name + ".qcow2"}}});
    std::string heading = machine.name + ": a pod that Virtlet runs";
    for (const std::string& remark : machine.remarks)
        heading += "\n" + remark;
    mapping.comment("", heading);
    mapping.comment("/metadata/namespace", "Mappings are looked for in this one alone.");
    mapping.comment("/spec/translations/0/url", fmt::format("Put the disk on a web server that the nodes reach, and "
                                                            "its address in the place of {}.",
                                                            kPlaceholder));
    ManifestDocument pod;
    pod.content = {{"apiVersion", "v1"}, {"kind", "Pod"}, {"metadata", {{"name", machine.name}}}};
    if (!machine.namespace_.empty())
        pod.content["metadata"]["namespace"] = machine.namespace_;
    pod.content["metadata"]["annotations"] = {{"kubernetes.io/target-runtime", "virtlet.cloud"},
                                              {"VirtletVCPUCount", std::to_string(machine.sockets * machine.cores)},
                                              {"VirtletDiskDriver", "virtio"}};
    pod.comment("/metadata/annotations/kubernetes.io~1target-runtime", "CRI Proxy hands the pod to Virtlet by it.");
    if (machine.seed)
        add_seed(*machine.seed, pod);
    Json& spec = pod.content["spec"];
    spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"] =
        Json::array(
            {{{"matchExpressions",
               Json::array({{{"key", "extraRuntime"}, {"operator", "In"}, {"values", Json::array({"virtlet"})}}})}}});
    pod.comment("/spec/affinity", "Nodes that run Virtlet have this label.");
    Json container = {{"name", "guest"},
                      {"image", "virtlet.cloud/" + machine.name},
                      {"imagePullPolicy", "IfNotPresent"},
                      {"tty", true},
                      {"stdin", true}};
    container["resources"]["limits"]["memory"] = quantity(machine.memory);
    spec["containers"] = Json::array({std::move(container)});
    pod.comment("/spec/containers/0/imagePullPolicy", "Without it the disk is downloaded for every pod.");
    pod.comment("/spec/containers/0/tty", "So that `kubectl attach -it` shows the serial console.");
    return to_yaml({mapping, pod});
}

} // namespace vm2oci
