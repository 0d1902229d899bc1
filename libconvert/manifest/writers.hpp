// The writers behind manifest_targets().
#pragma once

#include "libconvert/manifest/runnable_machine.hpp"

#include <string>

namespace vm2oci {

// kubevirt/kubevirt api/openapi-spec/swagger.json and the admitters of pkg/virt-api; containerized-data-importer
// doc/datavolumes.md, doc/os-image-poll-and-update.md.
std::string kubevirt_manifest(const RunnableMachine& machine);
std::string datavolume_manifest(const RunnableMachine& machine);
std::string import_cron_manifest(const RunnableMachine& machine);
// kata-containers/documentation, Kubernetes' RuntimeClass.
std::string kata_manifest(const RunnableMachine& machine);
// podman-kube-play(1), podman-systemd.unit(5), crun's krun.1.md, crun-vm's docs/2-podman-docker.md.
std::string podman_kube_manifest(const RunnableMachine& machine);
std::string quadlet_manifest(const RunnableMachine& machine);
// libvirt's docs/formatdomain.rst.
std::string libvirt_manifest(const RunnableMachine& machine);
// As the files that an unpacked bundle has.
std::string firecracker_manifest(const RunnableMachine& machine);
std::string cloud_hypervisor_manifest(const RunnableMachine& machine);

// Mirantis/virtlet: docs/docs/reference/{images,vm-pod-spec,cloud-init}.md. The disk is served under the machine's
// name.
std::string virtlet_manifest(const RunnableMachine& machine);

} // namespace vm2oci
