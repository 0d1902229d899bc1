// The targets that run containers: Kata, podman.
#include "formats/base/error.hpp"
#include "formats/base/size.hpp"
#include "libconvert/manifest/document.hpp"
#include "libconvert/manifest/writers.hpp"

#include <fmt/format.h>

#include <string_view>

namespace vm2oci {
namespace {

using Json = nlohmann::ordered_json;

const std::string& image_of(const RunnableMachine& machine) {
    return machine.form == RunnableForm::rootfs ? machine.image : machine.disks.front().image;
}

// What runs the image under podman.
struct PodmanRuntime {
    std::string_view option;     // of podman; empty: none
    std::string_view annotation; // of the container; empty: none
    std::string_view reason;
};

PodmanRuntime podman_runtime(const RunnableMachine& machine) {
    switch (machine.form) {
    case RunnableForm::container_disk:
        return {"crun-vm", "", "crun-vm boots the disk in the image"};
    case RunnableForm::bundle:
        return {"", "krun", "krun starts the kernel in the image, which takes a bundle with its settings for krun"};
    case RunnableForm::rootfs:
        return {"", "", "as a container: it shares the host's kernel"};
    case RunnableForm::disk:
    case RunnableForm::vm_artifact:
        break;
    }
    fail(ErrorKind::unsupported, "podman runs images, and this is none that it runs; make a containerDisk of it first");
}

// The main program of a container that is a whole system, where the image does not say so itself.
constexpr const char* kInit = "/sbin/init";

Json container_of(const RunnableMachine& machine) {
    Json container = {{"name", "guest"}, {"image", image_of(machine)}};
    if (machine.form == RunnableForm::rootfs && !machine.names_program)
        container["command"] = Json::array({kInit});
    return container;
}

void add_sizes(const RunnableMachine& machine, Json& container) {
    container["resources"]["limits"] = {{"cpu", std::to_string(machine.sockets * machine.cores)},
                                        {"memory", quantity(machine.memory)}};
}

std::string heading(const RunnableMachine& machine, std::string_view text) {
    std::string head = machine.name + ": " + std::string(text);
    for (const std::string* reason : {&machine.reasons.image})
        if (!reason->empty())
            head += "\n" + *reason;
    for (const std::string& remark : machine.remarks)
        head += "\n" + remark;
    return head;
}

// Of a unit file: a line of comment for each line.
std::string commented(std::string_view text) {
    std::string result;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        result += "# " + std::string(text.substr(0, end)) + "\n";
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return result;
}

} // namespace

std::string kata_manifest(const RunnableMachine& machine) {
    if (machine.form != RunnableForm::rootfs)
        fail(ErrorKind::unsupported, "Kata runs container images, and this is none; package the guest's root file "
                                     "system as one, or make it Kata's own guest image");
    ManifestDocument runtime;
    runtime.content = {{"apiVersion", "node.k8s.io/v1"},
                       {"kind", "RuntimeClass"},
                       {"metadata", {{"name", "kata"}}},
                       {"handler", "kata"},
                       {"overhead", {{"podFixed", {{"memory", "160Mi"}, {"cpu", "250m"}}}}}};
    runtime.comment("", heading(machine, "a pod in a micro-VM"));
    runtime.comment("/handler", "The name that the nodes have for Kata's shim. containerd's configuration, version 3:\n"
                                "[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.kata]\n"
                                "  runtime_type = \"io.containerd.kata.v2\"\n"
                                "kata-deploy does that, and makes handlers by hypervisor, such as kata-qemu.");
    runtime.comment("/overhead", "What the micro-VM takes besides its containers, so that nodes are not filled beyond "
                                 "it; Kata's own classes say as much.\n"
                                 "Where only some nodes have Kata, add scheduling.nodeSelector with their label\n"
                                 "(kata-deploy's: katacontainers.io/kata-runtime: \"true\").");
    ManifestDocument pod;
    pod.content = {{"apiVersion", "v1"}, {"kind", "Pod"}, {"metadata", {{"name", machine.name}}}};
    if (!machine.namespace_.empty())
        pod.content["metadata"]["namespace"] = machine.namespace_;
    Json& spec = pod.content["spec"];
    spec["runtimeClassName"] = "kata";
    Json container = container_of(machine);
    add_sizes(machine, container);
    pod.comment("/spec/containers/0/resources", "Kata gives the micro-VM these besides its own share.");
    spec["containers"] = Json::array({std::move(container)});
    if (!machine.pull_secret.empty())
        spec["imagePullSecrets"] = Json::array({{{"name", machine.pull_secret}}});
    return to_yaml({runtime, pod});
}

std::string podman_kube_manifest(const RunnableMachine& machine) {
    const PodmanRuntime runtime = podman_runtime(machine);
    ManifestDocument pod;
    pod.content = {{"apiVersion", "v1"}, {"kind", "Pod"}, {"metadata", {{"name", machine.name}}}};
    std::string command = "podman";
    if (!runtime.option.empty())
        command += fmt::format(" --runtime {}", runtime.option);
    pod.comment("", heading(machine, fmt::format("{} kube play FILE; {}", command, runtime.reason)));
    if (!runtime.annotation.empty()) {
        // podman-kube-play hands annotations of containers to the runtime, which chooses by this one.
        pod.content["metadata"]["annotations"] = {{"run.oci.handler", runtime.annotation}};
        pod.comment("/metadata/annotations", "crun starts it by krun.");
    }
    Json container = container_of(machine);
    add_sizes(machine, container);
    pod.content["spec"]["containers"] = Json::array({std::move(container)});
    return to_yaml({pod});
}

std::string quadlet_manifest(const RunnableMachine& machine) {
    const PodmanRuntime runtime = podman_runtime(machine);
    std::string unit = commented(heading(
        machine, fmt::format("as ~/.config/containers/systemd/{}.container; {}", machine.name, runtime.reason)));
    unit +=
        fmt::format("[Unit]\nDescription={}\n\n[Container]\nContainerName={}\nImage={}\n",
                    machine.guest.is_known() ? machine.guest.product : machine.name, machine.name, image_of(machine));
    if (machine.form == RunnableForm::rootfs && !machine.names_program)
        unit += fmt::format("Exec={}\n", kInit);
    if (!runtime.annotation.empty())
        unit += fmt::format("Annotation=run.oci.handler={}\n", runtime.annotation);
    std::string arguments;
    if (!runtime.option.empty())
        arguments += fmt::format(" --runtime {}", runtime.option);
    arguments += fmt::format(" --cpus {} --memory {}m", machine.sockets * machine.cores, machine.memory / MiB);
    unit += "PodmanArgs=" + arguments.substr(1) + "\n";
    unit += "\n[Service]\nRestart=on-failure\n\n[Install]\nWantedBy=default.target\n";
    return unit;
}

} // namespace vm2oci
