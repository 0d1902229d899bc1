#include "tools/vm2oci/boot_source.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/oci/bundle.hpp"
#include "libconvert/bundle/kernel.hpp"
#include "libconvert/edit/agent_package.hpp"
#include "libconvert/edit/edit_disk.hpp"
#include "libconvert/package/architecture.hpp"
#include "libconvert/source/content_verifier.hpp"
#include "libconvert/source/image_content.hpp"
#include "tools/vm2oci/bundle_options.hpp"
#include "tools/vm2oci/help.hpp"
#include "tools/vm2oci/references.hpp"

#include <CLI/CLI.hpp>

namespace vm2oci::cli {
namespace {

std::shared_ptr<const BlockDevice> open_file(const std::filesystem::path& path) {
    DiskSource source;
    source.path = path;
    source.format = DiskFormat::raw;
    return open_disk(source).device;
}

std::shared_ptr<const BlockDevice> open_kernel(const std::string& name) {
    if (name != "minimal")
        return open_file(name);
    return open_file(minimal_kernel_folder("amd64") / kMinimalKernel);
}

BootSource open_bundle(const BundleDescription& bundle, ImageSource& images, const ImageContent& image,
                       const SourceOptions& options, const OperationContext& operation) {
    BootSource source;
    const auto format = bundle.root_format == BundleRootFormat::qcow2 ? DiskFormat::qcow2 : DiskFormat::raw;
    source.disk = open_disk(find_file(images, image, bundle.root, operation), options.disk_source(bundle.root, format));
    DirectKernel kernel;
    kernel.image = find_file(images, image, bundle.kernel, operation);
    if (bundle.initramfs)
        kernel.initramfs = find_file(images, image, *bundle.initramfs, operation);
    kernel.command_line = bundle.command_line;
    kernel.devices = bundle.kernel_origin == KernelOrigin::minimal ? KernelDevices::pci_or_mmio : KernelDevices::pci;
    source.subject.kernel = std::move(kernel);
    source.own_initramfs = bundle.root_format == BundleRootFormat::erofs;
    return source;
}

void apply_kernel_options(BootSource& source, const KernelOptions& options) {
    const bool any = !options.kernel.empty() || !options.initramfs.empty() || options.command_line;
    if (!any)
        return;
    if (!source.subject.kernel && options.kernel.empty())
        fail(ErrorKind::usage, "--initrd and --append need --kernel, for this is no bundle");
    if (!source.subject.kernel && !options.command_line)
        fail(ErrorKind::usage, "--kernel needs --append, such as 'root=/dev/vda1 console=ttyS0'");
    DirectKernel kernel = source.subject.kernel.value_or(DirectKernel{});
    if (!options.kernel.empty()) {
        kernel.image = open_kernel(options.kernel);
        kernel.initramfs = nullptr;
        kernel.devices = options.kernel == "minimal" ? KernelDevices::pci_or_mmio : KernelDevices::pci;
        source.own_initramfs = false;
    }
    if (!options.initramfs.empty()) {
        kernel.initramfs = open_file(options.initramfs);
        source.own_initramfs = false;
    }
    if (options.command_line)
        kernel.command_line = *options.command_line;
    source.subject.kernel = std::move(kernel);
}

} // namespace

std::shared_ptr<KernelOptions> add_kernel_options(CLI::App& command) {
    auto options = std::make_shared<KernelOptions>();
    const auto text = [&](const char* name, std::string& value, const char* value_name, const char* description) {
        return command.add_option(name, value, description)->option_text(value_name)->group(group::boot);
    };
    text("--kernel", options->kernel, "PATH",
         "Boot this kernel directly, without firmware and boot loader, or vm2oci's own: minimal");
    text("--initrd", options->initramfs, "PATH", "The initramfs of that kernel");
    command.add_option("--append", options->command_line, "What that kernel is told; a bundle brings its own")
        ->option_text("TEXT")
        ->group(group::boot);
    return options;
}

BootSource open_boot_source(const std::string& text, const SourceOptions& source_options,
                            const KernelOptions& kernel_options, const OperationContext& operation) {
    const Reference reference = parse_reference(text);
    BootSource source;
    if (const auto* name = std::get_if<ImageReference>(&reference)) {
        const auto images = open_image_source(*name, operation, source_options.registry->options());
        const ImageContent image = read_image(*images, "");
        if (source_options.verify)
            verify_content(*images, image, operation);
        else if (trust_in_parts(*images, image) == ContentTrust::not_verified)
            operation.progress->note("the image's content is " + std::string(describe(ContentTrust::not_verified)));
        if (const auto bundle = parse_bundle(image.parsed_manifest.annotations)) {
            source = open_bundle(*bundle, *images, image, source_options, operation);
        } else {
            const DiskInImage disk = find_disk(*images, image, operation);
            source.disk = open_disk(disk.bytes, source_options.disk_source(escape_untrusted(disk.path), std::nullopt));
        }
    } else {
        source.disk = open_source_disk(reference, source_options, "", operation).disk;
    }
    apply_kernel_options(source, kernel_options);
    source.subject.name = text;
    source.subject.disk = source.disk.device;
    return source;
}

void make_it_talk(BootSource& source, const OperationContext& operation) {
    source.subject.facts = FactsChoice::ask;
    if (source.own_initramfs) {
        std::string& line = source.subject.kernel->command_line;
        line = add_kernel_words(line, "vm2oci.agent");
        return;
    }
    EditRequest request;
    request.agents = {load_agent("vm2oci")};
    with_context("putting the agent into " + escape_untrusted(source.subject.name) + ", for this boot only",
                 [&] { edit_disk(source.disk, request, {}, EditMode::apply, operation); });
    source.subject.disk = source.disk.device;
}

} // namespace vm2oci::cli
