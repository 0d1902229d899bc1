#include "tools/flows/manifest.hpp"

#include "formats/base/base64.hpp"
#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/block/joined.hpp"
#include "formats/oci/labels.hpp"
#include "formats/oci/select.hpp"
#include "formats/partition/partition.hpp"
#include "formats/tree/nocloud.hpp"
#include "libconvert/package/vm_artifact.hpp"
#include "libconvert/source/content_verifier.hpp"
#include "tools/flows/container_source.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <utility>

namespace vm2oci {
namespace {

namespace fs = std::filesystem;

// Where an image that is in no registry could be: a name that belongs to nobody (RFC 2606).
constexpr std::string_view kPlaceholderHost = "registry.example/";

std::string last_part(std::string_view path) {
    const std::size_t slash = path.find_last_of('/');
    return std::string(slash == std::string_view::npos ? path : path.substr(slash + 1));
}

struct ImageName {
    std::string repository; // "HOST[:PORT]/REPO"
    std::string tag;        // may be empty
    bool is_placeholder = false;
};

// "HOST/REPO[:TAG]" of the user's; docker:// before it is taken, a digest is not: that one is known here.
ImageName parse_image_name(const std::string& text) {
    const std::string prefixed = text.rfind("docker://", 0) == 0 ? text : "docker://" + text;
    const auto parsed = parse_image_reference(prefixed);
    const auto& named = std::get<RegistryReference>(*parsed);
    if (!named.digest.empty())
        fail(ErrorKind::usage, "the image's digest is known here; give its name without one");
    const std::string port = named.port == 0 ? "" : ":" + std::to_string(named.port);
    return {named.host + port + "/" + named.repository, named.tag, false};
}

ImageName name_image(const ImageReference& reference, const std::string& wish) {
    if (!wish.empty())
        return parse_image_name(wish);
    if (const auto* registry = std::get_if<RegistryReference>(&reference)) {
        const std::string port = registry->port == 0 ? "" : ":" + std::to_string(registry->port);
        return {registry->host + port + "/" + registry->repository, registry->tag, false};
    }
    return {std::string(kPlaceholderHost) + dns_label(name_of_image(reference), "vm"), "", true};
}

std::optional<RunnableSeed> seed_in_annotations(const Annotations& annotations) {
    const auto value = [&](const char* name) -> std::optional<std::string> {
        const auto found = annotations.find(label::below(label::cloud_init_prefix, name));
        return found == annotations.end() ? std::nullopt : decode_base64(found->second);
    };
    std::optional<std::string> user_data = value(nocloud::user_data);
    if (!user_data)
        return std::nullopt;
    return RunnableSeed{std::move(*user_data), value(nocloud::network_config)};
}

std::string_view format_name(const OpenedDisk& disk) {
    return to_string(disk.info.format);
}

// What the guest inside says; nothing, where none can be read.
std::optional<GuestInfo> read_guest(const std::shared_ptr<const BlockDevice>& disk, GuestAccess access,
                                    const OperationContext& operation) {
    GuestFindings findings = examine_guest(disk, {std::move(access), LargeFiles::read}, operation);
    if (!findings.refusal.empty() || (!findings.opened.guest && !findings.opened.windows))
        return std::nullopt;
    return std::move(findings.info);
}

struct DiskOfImage {
    RunnableDisk disk;
    std::shared_ptr<const BlockDevice> device;
};

DiskOfImage open_disk_of_image(const DiskInImage& found) {
    DiskSource named;
    named.path = escape_untrusted(found.path);
    named.format = found.format;
    const OpenedDisk opened = open_disk(found.bytes, named);
    RunnableDisk disk;
    disk.path = "/" + found.path;
    disk.format = format_name(opened);
    disk.size = opened.device->size();
    disk.sector_size = gpt_sector_size(*opened.device);
    return {std::move(disk), opened.device};
}

// Of a bundle its root.
MachineInImage machine_of_image(ImageSource& source, const ImageContent& content,
                                const std::optional<BundleDescription>& bundle, const OperationContext& operation) {
    if (!bundle)
        return find_machine(source, content, operation);
    const auto format = bundle->root_format == BundleRootFormat::qcow2 ? DiskFormat::qcow2 : DiskFormat::raw;
    return {{{bundle->root, 0, find_file(source, content, bundle->root, operation), format}}, std::nullopt};
}

void place_image(RunnableDisk& disk, const ImageName& name, const Digest& digest) {
    disk.image = name.repository + "@" + digest.text();
    disk.tagged = name.tag.empty() ? "" : name.repository + ":" + name.tag;
}

// nullopt: a container runtime would run it, for it has layers and no disk among its files.
std::optional<MachineInImage> find_machine_in(const ImageInStore& image, const std::optional<BundleDescription>& bundle,
                                              const OperationContext& operation) {
    try {
        return machine_of_image(image.source, image.content, bundle, operation);
    } catch (const Error& error) {
        if (bundle || error.kind() != ErrorKind::unsupported || !image.content.config)
            throw;
        return std::nullopt;
    }
}

std::string not_in_a_registry(const std::string& name) {
    return fmt::format("The image is in no registry yet: push it, and put its name in the place of {}.", name);
}

Manifest finish(const MachineFacts& facts, const ManifestWishes& wishes, const std::vector<std::string>& remarks) {
    Manifest manifest;
    manifest.machine = make_runnable(facts, wishes.machine);
    manifest.text = wishes.target->write(manifest.machine);
    std::vector<std::string>& told = manifest.machine.remarks;
    told.insert(told.end(), remarks.begin(), remarks.end());
    const std::string image = facts.disks.empty() ? facts.image : facts.disks.front().image;
    if (!facts.image_reason.empty() && manifest.text.find(image.substr(0, image.find('@'))) != std::string::npos)
        told.push_back(facts.image_reason);
    return manifest;
}

} // namespace

Manifest make_image_manifest(const ImageInStore& image, const ImageReference& reference, const ManifestWishes& wishes,
                             const GuestAccess& access, const OperationContext& operation) {
    MachineFacts facts;
    const Annotations& annotations = image.content.parsed_manifest.annotations;
    facts.bundle = parse_bundle(annotations);
    facts.name = name_of_image(reference);
    facts.seed = seed_in_annotations(annotations);
    if (image.content.config)
        facts.architecture = image.content.config->platform.architecture;
    const ImageName name = name_image(reference, wishes.image);
    if (name.is_placeholder)
        facts.image_reason = not_in_a_registry(name.repository);
    const Digest& digest = image.content.top.digest;
    if (auto machine = find_machine_in(image, facts.bundle, operation)) {
        facts.form = facts.bundle                                    ? RunnableForm::bundle
                     : is_vm_artifact(image.content.parsed_manifest) ? RunnableForm::vm_artifact
                                                                     : RunnableForm::container_disk;
        facts.hardware = std::move(machine->hardware);
        std::vector<std::shared_ptr<const BlockDevice>> devices;
        const auto add = [&](const DiskInImage& found, const ImageName& place, const Digest& where) {
            DiskOfImage opened = open_disk_of_image(found);
            place_image(opened.disk, place, where);
            devices.push_back(opened.device);
            facts.disks.push_back(std::move(opened.disk));
        };
        for (const DiskInImage& disk : machine->disks)
            add(disk, name, digest);
        for (const auto& [source, content] : image.further)
            add(find_disk(*source, content, operation), {name.repository, "", name.is_placeholder}, content.top.digest);
        GuestAccess reading = facts.bundle ? access.to_lone_root() : access;
        if (devices.size() > 1)
            for (const auto& device : devices)
                reading.disk_sizes.push_back(device->size());
        facts.guest = read_guest(devices.size() == 1 ? devices.front() : std::make_shared<const JoinedDevice>(devices),
                                 std::move(reading), operation);
    } else {
        facts.form = RunnableForm::rootfs;
        facts.names_program = !image.content.config->entrypoint.empty() || !image.content.config->command.empty();
        facts.image = name.repository + "@" + digest.text();
    }
    return finish(facts, wishes, {});
}

namespace {

std::string not_verified() {
    return fmt::format("the content is {}", describe(ContentTrust::not_verified));
}

// False: only parts will be read, and nothing proves them.
bool is_proven(ImageSource& source, ImageContent& content, ContentCheck check, const OperationContext& operation) {
    if (check == ContentCheck::parts)
        return trust_in_parts(source, content) != ContentTrust::not_verified;
    verify_content(source, content, operation);
    return true;
}

// The images that hold the other disks of the machine, by their tags in the same store.
void add_further_images(ImageInStore& image, const ImageReference& reference, const std::string& architecture,
                        const SourceRequest& from, const OperationContext& operation) {
    for (const ImageReference& other : further_images(reference, image.content.parsed_manifest.annotations)) {
        std::shared_ptr<ImageSource> source = open_image_source(other, operation, from.registry);
        ImageContent content = read_image(*source, architecture);
        image.further.emplace_back(std::move(source), std::move(content));
    }
}

Manifest manifest_of_image(const ImageReference& reference, const ManifestRequest& request,
                           const OperationContext& operation) {
    require_no_words_of_disks(request.from, "an image tells of its machine's disks itself");
    const auto source = open_image_source(reference, operation, request.from.registry);
    ImageInStore image{*source, read_image(*source, request.architecture)};
    require_architecture(image.content.config ? image.content.config->platform.architecture : "", request.architecture);
    if (!request.access.root.empty() && parse_bundle(image.content.parsed_manifest.annotations))
        fail(ErrorKind::usage, "a bundle has one root, and no partitions of which one could be chosen");
    add_further_images(image, reference, request.architecture, request.from, operation);
    bool proven = is_proven(*source, image.content, request.check, operation);
    for (auto& [store, content] : image.further)
        proven = is_proven(*store, content, request.check, operation) && proven;
    Manifest manifest = make_image_manifest(image, reference, request.wishes, request.access, operation);
    if (!proven)
        manifest.machine.remarks.push_back(not_verified());
    if (manifest.machine.form == RunnableForm::rootfs)
        refuse_words_of_disks(request.from, request.access);
    return manifest;
}

// Plain disks are in no image yet; what runs images names the one that will be made.
void place_in_future_image(MachineFacts& facts, const std::string& wish) {
    ImageName name{std::string(kPlaceholderHost) + dns_label(facts.name, "vm"), "latest", true};
    if (!wish.empty())
        name = parse_image_name(wish);
    facts.image_reason = fmt::format("The disk is in no image yet: convert it to {}:{}, and write @ and the digest "
                                     "instead of the tag, so that the machine stays what it is.",
                                     name.repository, name.tag);
    for (std::size_t i = 0; i < facts.disks.size(); ++i) {
        const std::string tag = name.tag + (i == 0 ? "" : fmt::format("-disk{}", i + 1));
        facts.disks[i].image = facts.disks[i].tagged = name.repository + ":" + tag;
    }
}

Manifest manifest_of_disks(const ManifestRequest& request, const OperationContext& operation) {
    if (!request.architecture.empty())
        fail(ErrorKind::usage, "a disk is of one architecture, and in no index of which one could be chosen");
    SourceMachine machine = open_source_machine(request.source, request.from, request.architecture, operation);
    if (request.check == ContentCheck::whole)
        machine.verify(operation);
    else if (machine.verifier)
        machine.remarks.push_back(not_verified());
    MachineFacts facts;
    facts.form = RunnableForm::disk;
    facts.hardware = machine.hardware;
    const std::string& path = std::get<DiskReference>(request.source).path;
    facts.name = fs::path(path).stem().string();
    GuestAccess access = request.access;
    std::vector<std::shared_ptr<const BlockDevice>> devices;
    for (const SourceDisk& source : machine.disks) {
        RunnableDisk disk;
        disk.file =
            is_server_address(source.name) ? source.name : fs::absolute(source.name).lexically_normal().string();
        disk.format = format_name(source.opened);
        disk.size = source.opened.device->size();
        disk.sector_size = gpt_sector_size(*source.opened.device);
        facts.disks.push_back(std::move(disk));
        devices.push_back(source.opened.device);
        if (machine.disks.size() > 1)
            access.disk_sizes.push_back(source.opened.device->size());
    }
    facts.guest = read_guest(devices.size() == 1 ? devices.front() : std::make_shared<const JoinedDevice>(devices),
                             std::move(access), operation);
    place_in_future_image(facts, request.wishes.image);
    return finish(facts, request.wishes, machine.remarks);
}

} // namespace

std::string name_of_image(const ImageReference& reference) {
    if (const auto* layout = std::get_if<LayoutReference>(&reference))
        return layout->tag.value_or(last_part(fs::path(layout->folder).lexically_normal().string()));
    if (const auto* archive = std::get_if<ArchiveReference>(&reference))
        return archive->tag.value_or(fs::path(archive->file).stem().string());
    if (const auto* registry = std::get_if<RegistryReference>(&reference))
        return last_part(registry->repository);
    return "vm";
}

Manifest make_manifest(const ManifestRequest& request, const OperationContext& operation) {
    if (const auto* image = std::get_if<ImageReference>(&request.source))
        return manifest_of_image(*image, request, operation);
    return manifest_of_disks(request, operation);
}

} // namespace vm2oci
