// The targets with a VirtualMachine.
#include "formats/base/error.hpp"
#include "libconvert/manifest/document.hpp"
#include "libconvert/manifest/targets.hpp"
#include "libconvert/manifest/virtual_machine.hpp"
#include "libconvert/manifest/writers.hpp"

#include <fmt/format.h>

#include <utility>

namespace vm2oci {
namespace {

using Json = nlohmann::ordered_json;

void require_images(const RunnableMachine& machine) {
    if (!machine.disks.empty() && machine.disks.front().image.empty())
        fail(ErrorKind::unsupported, "KubeVirt takes its disks from images, and nothing says in which this one is");
}

std::vector<ManifestDocument> with_secret(const RunnableMachine& machine, std::vector<ManifestDocument> others) {
    std::vector<ManifestDocument> documents = seed_secret(machine);
    for (ManifestDocument& other : others)
        documents.push_back(std::move(other));
    std::string head = fmt::format("{}: ", machine.name);
    head += machine.guest.is_known() ? machine.guest.product : "a machine whose guest was not recognised";
    for (const std::string& remark : machine.remarks)
        head += "\n" + remark;
    std::string& first = documents.front().comments[""];
    first = head + (first.empty() ? "" : "\n" + first);
    return documents;
}

Json storage_of(const RunnableDisk& disk) {
    return {{"resources", {{"requests", {{"storage", quantity(claim_size(disk))}}}}}};
}

Json registry_source(const RunnableMachine& machine, const std::string& image) {
    Json registry = {{"url", "docker://" + image}};
    if (!machine.pull_secret.empty())
        registry["secretRef"] = machine.pull_secret;
    return {{"registry", std::move(registry)}};
}

void add_template(const RunnableMachine& machine, std::size_t disk, Json source, ManifestDocument& document) {
    Json spec = std::move(source);
    spec["storage"] = storage_of(machine.disks[disk]);
    document.content["spec"]["dataVolumeTemplates"].push_back(
        {{"metadata", {{"name", volume_claim_name(machine, disk)}}}, {"spec", std::move(spec)}});
}

// A cron of every disk would follow the same tags; the first one is what machines are made of.
std::string cron_name(const RunnableMachine& machine) {
    return volume_claim_name(machine, 0);
}

ManifestDocument import_cron(const RunnableMachine& machine) {
    const RunnableDisk& disk = machine.disks.front();
    ManifestDocument cron;
    cron.content = {{"apiVersion", "cdi.kubevirt.io/v1beta1"},
                    {"kind", "DataImportCron"},
                    {"metadata",
                     {{"name", cron_name(machine)},
                      {"annotations", {{"cdi.kubevirt.io/storage.bind.immediate.requested", "true"}}}}}};
    if (!machine.namespace_.empty())
        cron.content["metadata"]["namespace"] = machine.namespace_;
    Json spec = {{"source", registry_source(machine, disk.tagged)}, {"storage", storage_of(disk)}};
    cron.content["spec"] = {{"schedule", "0 */6 * * *"},
                            {"garbageCollect", "Outdated"},
                            {"importsToKeep", 3},
                            {"managedDataSource", cron_name(machine)},
                            {"template", {{"spec", std::move(spec)}}}};
    cron.comment("/spec/schedule", "When the tag's digest is asked for; a new one is imported.");
    cron.comment("/metadata/annotations", "Imports begin before a machine waits for them.");
    return cron;
}

} // namespace

std::string kubevirt_manifest(const RunnableMachine& machine) {
    require_images(machine);
    return to_yaml(with_secret(machine, {virtual_machine(machine, VolumeSource::container_disk)}));
}

std::string datavolume_manifest(const RunnableMachine& machine) {
    require_images(machine);
    ManifestDocument document = virtual_machine(machine, VolumeSource::data_volume);
    for (std::size_t i = 0; i < machine.disks.size(); ++i)
        add_template(machine, i, {{"source", registry_source(machine, machine.disks[i].image)}}, document);
    document.comment("/spec/dataVolumeTemplates", machine.reasons.image);
    document.comment("/spec/dataVolumeTemplates",
                     "CDI imports each disk once; the storage is at least what the guest sees of it.");
    return to_yaml(with_secret(machine, {std::move(document)}));
}

std::string import_cron_manifest(const RunnableMachine& machine) {
    require_images(machine);
    if (machine.disks.front().tagged.empty())
        fail(ErrorKind::usage, "an import cron follows a tag, and the image is named by its digest alone");
    ManifestDocument document = virtual_machine(machine, VolumeSource::data_source);
    for (std::size_t i = 0; i < machine.disks.size(); ++i) {
        Json source = i == 0 ? Json{{"sourceRef", {{"kind", "DataSource"}, {"name", cron_name(machine)}}}}
                             : Json{{"source", registry_source(machine, machine.disks[i].image)}};
        add_template(machine, i, std::move(source), document);
    }
    document.comment("/spec/dataVolumeTemplates", "Cloned from what the cron imported last.");
    return to_yaml(with_secret(machine, {import_cron(machine), std::move(document)}));
}

std::string virtual_machine_json(const RunnableMachine& machine) {
    return virtual_machine(machine, VolumeSource::claim).content.dump();
}

} // namespace vm2oci
