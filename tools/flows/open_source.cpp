#include "tools/flows/open_source.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/oci/archive.hpp"
#include "formats/oci/layout.hpp"
#include "formats/oci/null_store.hpp"
#include "libconvert/source/content_verifier.hpp"
#include "libconvert/source/image_content.hpp"
#include "tools/flows/disk_containers.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <utility>

namespace vm2oci {
namespace {

struct OpenDestination {
    const OperationContext& operation;
    const registry::RegistryOptions& registry_options;

    std::unique_ptr<ImageDestination> operator()(const LayoutReference& layout) const {
        return std::make_unique<OciLayoutDestination>(layout.folder, layout.tag, operation);
    }
    std::unique_ptr<ImageDestination> operator()(const NullReference&) const {
        return std::make_unique<NullDestination>();
    }
    std::unique_ptr<ImageDestination> operator()(const ArchiveReference& archive) const {
        return std::make_unique<OciArchiveDestination>(archive.file, archive.tag, operation);
    }
    std::unique_ptr<ImageDestination> operator()(const RegistryReference& reference) const {
        return registry::open_registry_destination(reference, registry_options, operation);
    }
};

struct OpenSource {
    const OperationContext& operation;
    const registry::RegistryOptions& registry_options;

    std::unique_ptr<ImageSource> operator()(const LayoutReference& layout) const {
        return std::make_unique<OciLayoutSource>(layout.folder, layout.tag);
    }
    std::unique_ptr<ImageSource> operator()(const NullReference&) const {
        fail(ErrorKind::usage, "null: is a destination; nothing can be read from it");
    }
    std::unique_ptr<ImageSource> operator()(const ArchiveReference& archive) const {
        return std::make_unique<OciArchiveSource>(archive.file, archive.tag, operation);
    }
    std::unique_ptr<ImageSource> operator()(const RegistryReference& reference) const {
        return registry::open_registry_source(reference, registry_options, operation);
    }
};

// One function for each kind of reference.
struct OpenMachine {
    const SourceRequest& request;
    const std::string& architecture;
    const OperationContext& operation;

    SourceMachine operator()(const DiskReference& reference) const {
        MachineContainers containers = open_disk_containers(reference, request, operation);
        SourceMachine machine;
        for (const DiskContainer& disk : containers.disks)
            machine.disks.push_back({disk.name, open_disk(disk.bytes, disk.source, disk.siblings)});
        machine.verifier = std::move(containers.verifier);
        machine.hardware = std::move(containers.hardware);
        machine.remarks = std::move(containers.remarks);
        return machine;
    }
    SourceMachine operator()(const ImageReference& reference) const {
        const auto source = open_image_source(reference, operation, request.registry);
        ImageContent image = read_image(*source, architecture);
        image.verifier =
            std::make_shared<ContentVerifier>(image.parsed_manifest, image.config, ProvenLayers(request.layer_cache));
        MachineInImage found = find_machine(*source, image, operation);
        SourceMachine machine;
        for (const DiskInImage& disk : found.disks) {
            const std::string name = escape_untrusted(disk.path);
            const SourceRequest of_disk = request.for_disk(machine.disks.size() + 1);
            machine.disks.push_back({name, open_disk(disk.bytes, of_disk.disk_source(name, disk.format))});
            machine.remarks.insert(machine.remarks.end(), disk.remarks.begin(), disk.remarks.end());
        }
        machine.hardware = std::move(found.hardware);
        machine.architecture = image.config ? image.config->platform.architecture : "";
        machine.verifier = image.verifier;
        for (const DiskContainer& further : open_further_disks(request, machine.disks.size() + 1, operation))
            machine.disks.push_back({further.name, open_disk(further.bytes, further.source, further.siblings)});
        require_disks_of_parts(request, machine.disks.size());
        return machine;
    }
};

DiskParts& parts_of(SourceRequest& request, std::size_t disk) {
    return disk == 1 ? request.parts : request.further_parts[disk];
}

} // namespace

SourceRequest SourceRequest::for_disk(std::size_t disk) const {
    SourceRequest request = *this;
    const auto found = further_parts.find(disk);
    request.number = disk;
    if (disk != 1)
        request.parts = found == further_parts.end() ? DiskParts() : found->second;
    request.further_parts.clear();
    return request;
}

SourceRequest SourceRequest::for_machine() const {
    SourceRequest request = *this;
    if (disk_words == DiskWords::for_plain_disks) {
        request.parts = {};
        request.further_parts.clear();
        request.disks.clear();
    }
    return request;
}

DiskSource SourceRequest::disk_source(std::string path, std::optional<DiskFormat> format) const {
    DiskSource source;
    source.path = std::move(path);
    source.format = format;
    source.backing = parts.backing;
    source.data_file = parts.data_file;
    source.extents = parts.extents;
    source.number = number;
    source.policy = policy;
    return source;
}

void add_backing(SourceRequest& request, const std::string& word) {
    const WordOfDisk part = parse_word_of_disk(word);
    parts_of(request, part.disk).backing.push_back(parse_backing_file(part.text));
}

void add_data_file(SourceRequest& request, const std::string& word) {
    const WordOfDisk part = parse_word_of_disk(word);
    std::optional<std::filesystem::path>& data_file = parts_of(request, part.disk).data_file;
    if (data_file)
        fail(ErrorKind::usage, "a disk has one external data file");
    data_file = part.text;
}

void add_extent(SourceRequest& request, const std::string& word) {
    const WordOfDisk part = parse_word_of_disk(word);
    parts_of(request, part.disk).extents.emplace_back(part.text);
}

std::unique_ptr<ImageSource> open_image_source(const ImageReference& reference, const OperationContext& operation,
                                               const registry::RegistryOptions& registry_options) {
    return std::visit(OpenSource{operation, registry_options}, reference);
}

std::unique_ptr<ImageDestination> open_image_destination(const ImageReference& reference,
                                                         const OperationContext& operation,
                                                         const registry::RegistryOptions& registry_options) {
    return std::visit(OpenDestination{operation, registry_options}, reference);
}

void SourceMachine::verify(const OperationContext& operation) const {
    if (verifier)
        verifier->finish(operation);
}

SourceMachine open_source_machine(const Reference& reference, const SourceRequest& request,
                                  const std::string& architecture, const OperationContext& operation) {
    return std::visit(OpenMachine{request, architecture, operation}, reference);
}

void require_disks_of_parts(const SourceRequest& request, std::size_t count) {
    if (!request.further_parts.empty() && request.further_parts.rbegin()->first > count)
        fail(ErrorKind::usage, fmt::format("a file is said to belong to disk {}, and the machine has {} disk{}",
                                           request.further_parts.rbegin()->first, count, count == 1 ? "" : "s"));
}

void require_no_words_of_disks(const SourceRequest& request, std::string_view what) {
    const DiskParts& parts = request.parts;
    if (!request.disks.empty() || request.authorities || !parts.backing.empty() || parts.data_file ||
        !parts.extents.empty() || !request.further_parts.empty())
        fail(ErrorKind::usage,
             fmt::format("{}: no further disks, files that a disk consists of, or authorities go with it", what));
}

const SourceDisk& only_disk(const SourceMachine& machine) {
    if (machine.disks.size() == 1)
        return machine.disks.front();
    std::vector<std::string> names;
    names.reserve(machine.disks.size());
    for (const SourceDisk& disk : machine.disks)
        names.push_back(fmt::format("{} {}", names.size() + 1, disk.name));
    fail(ErrorKind::unsupported,
         fmt::format("this works on one disk, and the machine has {}: {}", names.size(), fmt::join(names, ", ")),
         HintKind::one_disk);
}

std::shared_ptr<const DeltaBase> open_delta_base(const ImageReference& reference, const OperationContext& operation,
                                                 const registry::RegistryOptions& registry_options) {
    return with_context("the earlier version", [&] {
        return std::make_shared<const DeltaBase>(open_image_source(reference, operation, registry_options));
    });
}

std::unique_ptr<ImageDestination> open_delta_destination(std::unique_ptr<ImageDestination> destination,
                                                         const ImageReference& against,
                                                         const OperationContext& operation,
                                                         const registry::RegistryOptions& registry_options) {
    return std::make_unique<DeltaDestination>(std::move(destination),
                                              open_delta_base(against, operation, registry_options), operation);
}

} // namespace vm2oci
