#include "libconvert/manifest/targets.hpp"

#include "formats/base/error.hpp"
#include "libconvert/manifest/writers.hpp"

#include <algorithm>
#include <array>

namespace vm2oci {
namespace {

constexpr std::array<ManifestTarget, 10> kTargets = {{
    {"kubevirt", "KubeVirt, from the image itself: what the machine writes is lost when it stops", kubevirt_manifest},
    {"kubevirt-datavolume", "KubeVirt and CDI: the disks are imported into volumes that last", datavolume_manifest},
    {"kubevirt-dataimportcron", "the same, with a source of boot disks that follows the image's tag",
     import_cron_manifest},
    {"kata", "Kubernetes and Kata Containers: a pod of a container image in a micro-VM", kata_manifest},
    {"podman-kube", "podman kube play: crun-vm, krun or a plain container", podman_kube_manifest},
    {"quadlet", "systemd and podman, the same", quadlet_manifest},
    {"libvirt", "libvirt's domain", libvirt_manifest},
    {"firecracker", "Firecracker's configuration", firecracker_manifest},
    {"cloud-hypervisor", "Cloud Hypervisor's configuration", cloud_hypervisor_manifest},
    {"virtlet", "Virtlet: a pod whose disk is a qcow2 on a web server", virtlet_manifest},
}};

} // namespace

std::span<const ManifestTarget> manifest_targets() {
    return kTargets;
}

const ManifestTarget& find_manifest_target(std::string_view name) {
    const auto found = std::find_if(kTargets.begin(), kTargets.end(),
                                    [&](const ManifestTarget& target) { return target.name == name; });
    if (found != kTargets.end())
        return *found;
    std::string names;
    for (const ManifestTarget& target : kTargets)
        names += (names.empty() ? "" : ", ") + std::string(target.name);
    fail(ErrorKind::usage, "nothing called '" + std::string(name) + "' runs machines here; known are " + names);
}

} // namespace vm2oci
