#include "tools/flows/boot_source.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/block/slice.hpp"
#include "formats/oci/bundle.hpp"
#include "libconvert/bundle/kernel.hpp"
#include "libconvert/container/container_bundle.hpp"
#include "libconvert/edit/agent_package.hpp"
#include "libconvert/edit/edit_disk.hpp"
#include "libconvert/source/content_verifier.hpp"
#include "libconvert/source/image_content.hpp"
#include "tools/flows/disk_containers.hpp"
#include "tools/flows/minimal_kernel.hpp"

#include <fmt/format.h>

#include <map>
#include <span>
#include <utility>
#include <vector>

namespace vm2oci {
namespace {

std::shared_ptr<const BlockDevice> open_file(const std::filesystem::path& path) {
    DiskSource source;
    source.path = path;
    source.format = DiskFormat::raw;
    return open_disk(source).device;
}

std::string read_initramfs(const BlockDevice& device) {
    if (device.size() > kInitramfsLimit)
        fail(ErrorKind::limit, "the bundle's initramfs is larger than initramfs are");
    std::string bytes(static_cast<std::size_t>(device.size()), '\0');
    device.read_at(0, std::as_writable_bytes(std::span(bytes)));
    return bytes;
}

SubjectKind kind_of(const ContainerProgram& program) {
    if (program.role == ProgramRole::init)
        return SubjectKind::guest;
    return program.health ? SubjectKind::checked_container : SubjectKind::container;
}

BootSource open_bundle(const BundleDescription& bundle, ImageSource& images, const ImageContent& image,
                       const SourceRequest& request, const OperationContext& operation) {
    require_booted_architecture(image.config ? image.config->platform.architecture : "");
    BootSource source;
    const auto format = bundle.root_format == BundleRootFormat::qcow2 ? DiskFormat::qcow2 : DiskFormat::raw;
    source.subject.disk =
        open_disk(find_file(images, image, bundle.root, operation), request.disk_source(bundle.root, format)).device;
    DirectKernel kernel;
    kernel.image = find_file(images, image, bundle.kernel, operation);
    if (bundle.initramfs)
        kernel.initramfs = find_file(images, image, *bundle.initramfs, operation);
    kernel.command_line = bundle.command_line;
    kernel.devices = bundle.kernel_origin == KernelOrigin::minimal ? KernelDevices::pci_or_mmio : KernelDevices::pci;
    source.subject.kernel = std::move(kernel);
    source.own_initramfs = bundle.root_format == BundleRootFormat::erofs || bundle.init == BundleInit::container;
    if (bundle.init == BundleInit::container)
        source.subject.kind = kind_of(program_of_initramfs(read_initramfs(*source.subject.kernel->initramfs)));
    return source;
}

std::shared_ptr<const BlockDevice> open_disk_in(ImageSource& images, const ImageContent& image,
                                                const SourceRequest& request, const OperationContext& operation) {
    const DiskInImage disk = find_disk(images, image, operation);
    return open_disk(disk.bytes, request.disk_source(escape_untrusted(disk.path), std::nullopt)).device;
}

std::size_t count_of_disks(const BootSource& source) {
    return (source.subject.disk ? 1 : 0) + source.subject.further_disks.size();
}

// The other disks of the machine, each in an image of its own.
void add_further_images(BootSource& source, const std::vector<ImageReference>& references,
                        const BootSourceRequest& request, const OperationContext& operation) {
    for (const ImageReference& reference : references) {
        const auto images = open_image_source(reference, operation, request.source.registry);
        ImageContent image = read_image(*images, "");
        if (request.check == ContentCheck::whole)
            verify_content(*images, image, operation);
        const SourceRequest of_disk = request.source.for_disk(count_of_disks(source) + 1);
        source.subject.further_disks.push_back(open_disk_in(*images, image, of_disk, operation));
    }
}

// An ordinary container image is the likeliest of those without a disk.
MachineInImage machine_in(ImageSource& images, const ImageContent& image, const OperationContext& operation) {
    try {
        return find_machine(images, image, operation);
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::unsupported || !is_container_image(images, image, operation))
            throw;
    }
    fail(ErrorKind::unsupported, "it is a container's image, and no machine's: 'vm2oci run' starts its program, and "
                                 "what boots is a bundle made of it");
}

BootSource open_image(const ImageReference& reference, const BootSourceRequest& request,
                      const OperationContext& operation) {
    const auto images = open_image_source(reference, operation, request.source.registry);
    ImageContent image = read_image(*images, "");
    if (request.check == ContentCheck::whole)
        verify_content(*images, image, operation);
    else if (trust_in_parts(*images, image) == ContentTrust::not_verified)
        operation.progress->note("the image's content is " + std::string(describe(ContentTrust::not_verified)));
    const std::map<std::string, std::string>& annotations = image.parsed_manifest.annotations;
    BootSource source;
    if (const auto bundle = parse_bundle(annotations)) {
        source = open_bundle(*bundle, *images, image, request.source, operation);
    } else {
        MachineInImage machine = machine_in(*images, image, operation);
        for (const DiskInImage& disk : machine.disks) {
            const SourceRequest of_disk = request.source.for_disk(source.subject.further_disks.size() + 1);
            source.subject.further_disks.push_back(
                open_disk(disk.bytes, of_disk.disk_source(escape_untrusted(disk.path), disk.format)).device);
        }
        source.subject.disk = source.subject.further_disks.front();
        source.subject.further_disks.erase(source.subject.further_disks.begin());
        source.subject.hardware = std::move(machine.hardware);
        add_further_images(source, further_images(reference, annotations), request, operation);
    }
    for (const DiskContainer& further : open_further_disks(request.source, count_of_disks(source) + 1, operation))
        source.subject.further_disks.push_back(open_disk(further.bytes, further.source, further.siblings).device);
    require_disks_of_parts(request.source, count_of_disks(source));
    return source;
}

BootSource open_plain_machine(const BootSourceRequest& request, const OperationContext& operation) {
    SourceMachine machine = open_source_machine(request.reference, request.source, "", operation);
    if (machine.verifier && request.check == ContentCheck::whole)
        machine.verify(operation);
    else if (machine.verifier)
        operation.progress->note("the disks are read in parts, and not verified against the package's digests");
    for (const std::string& remark : machine.remarks)
        operation.progress->note(remark);
    if (machine.hardware)
        for (const std::string& remark : machine.hardware->remarks)
            operation.progress->note("the machine's description: " + remark);
    BootSource source;
    source.subject.disk = machine.boot_disk().opened.device;
    for (std::size_t i = 1; i < machine.disks.size(); ++i)
        source.subject.further_disks.push_back(machine.disks[i].opened.device);
    source.subject.hardware = std::move(machine.hardware);
    return source;
}

void apply_kernel(BootSource& source, const KernelRequest& request) {
    const bool is_named = request.kernel != BootKernel::of_source;
    if (!is_named && !request.initramfs && !request.command_line)
        return;
    if (!source.subject.kernel && !is_named)
        fail(ErrorKind::usage, "an initramfs or a command line needs a kernel beside it, for this is no bundle");
    if (!source.subject.kernel && !request.command_line)
        fail(ErrorKind::usage, "that kernel must be told something, such as 'root=/dev/vda1 console=ttyS0'");
    DirectKernel kernel = source.subject.kernel.value_or(DirectKernel{});
    if (is_named) {
        const bool is_minimal = request.kernel == BootKernel::minimal;
        kernel.image =
            open_file(is_minimal ? minimal_kernel_folder(kBootedArchitecture) / kMinimalKernel : request.file);
        kernel.initramfs = nullptr;
        kernel.devices = is_minimal ? KernelDevices::pci_or_mmio : KernelDevices::pci;
        source.own_initramfs = false;
    }
    if (request.initramfs) {
        kernel.initramfs = open_file(*request.initramfs);
        source.own_initramfs = false;
    }
    if (request.command_line)
        kernel.command_line = *request.command_line;
    source.subject.kernel = std::move(kernel);
}

} // namespace

void require_booted_architecture(const std::string& architecture) {
    if (!architecture.empty() && architecture != kBootedArchitecture)
        fail(ErrorKind::unsupported, fmt::format("the image is for {}, and only machines with the processor {} are "
                                                 "started",
                                                 quote_untrusted(architecture), kBootedArchitecture));
}

BootSource open_boot_source(const BootSourceRequest& request, const OperationContext& operation) {
    BootSource source;
    if (const auto* image = std::get_if<ImageReference>(&request.reference))
        source = open_image(*image, request, operation);
    else
        source = open_plain_machine(request, operation);
    apply_kernel(source, request.kernel);
    source.subject.name = request.name;
    return source;
}

void start_agent_inside(BootSource& source) {
    if (auto& kernel = source.subject.kernel)
        kernel->command_line = add_kernel_words(kernel->command_line, "vm2oci.agent");
}

void add_own_agent(BootSource& source, const OperationContext& operation) {
    source.subject.facts = FactsChoice::ask;
    if (source.own_initramfs)
        return start_agent_inside(source);
    EditRequest request;
    request.agents = {load_agent("vm2oci")};
    GuestAccess access;
    DiskView disk(joined_disks(source.subject, access));
    with_context("putting the agent into " + escape_untrusted(source.subject.name) + ", for this boot only", [&] {
        edit_disk(disk, request, {access, {}}, EditMode::apply, operation);
    });
    if (source.subject.further_disks.empty()) {
        source.subject.disk = disk.device();
        return;
    }
    std::uint64_t begin = 0;
    const auto take = [&](std::shared_ptr<const BlockDevice>& part) {
        part = std::make_shared<const SliceDevice>(disk.device(), begin, part->size());
        begin += part->size();
    };
    take(source.subject.disk);
    for (std::shared_ptr<const BlockDevice>& further : source.subject.further_disks)
        take(further);
}

} // namespace vm2oci
