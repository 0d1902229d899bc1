#include "tools/flows/run.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/oci/select.hpp"
#include "formats/oci/stored_blob.hpp"
#include "libconvert/bundle/kernel.hpp"
#include "tools/flows/container_source.hpp"
#include "tools/flows/minimal_kernel.hpp"

#include <fmt/format.h>

#include <span>
#include <utility>

namespace vm2oci {
namespace {

std::shared_ptr<const BlockDevice> in_memory(std::string bytes) {
    return std::make_shared<TextBlob>(std::make_shared<const std::string>(std::move(bytes)));
}

std::string bytes_of(const BlockDevice& device) {
    std::string bytes(static_cast<std::size_t>(device.size()), '\0');
    device.read_at(0, std::as_writable_bytes(std::span(bytes)));
    return bytes;
}

// Nobody waits for the health of what runs at a terminal, and what it tells would stand among the program's words.
std::string initramfs_for_terminal(std::string initramfs, const ProgramWishes& wishes) {
    ContainerProgram program = program_of_initramfs(initramfs);
    apply_wishes(program, wishes);
    if (program.role == ProgramRole::init)
        fail(ErrorKind::usage, "the image's program is an operating system's init, which is not run but booted");
    program.health.reset();
    return with_program(std::move(initramfs), program);
}

// What the kernel says on the console is nobody's business but where it fails.
std::string with_words_of_run(std::string line, const RunRequest& request) {
    line = add_kernel_words(line, "quiet loglevel=1 vm2oci.agent");
    line = add_kernel_words(line,
                            request.terminal.empty() ? "vm2oci.console=plain" : "vm2oci.terminal=" + request.terminal);
    if (request.terminal_size)
        line = add_kernel_words(
            line, fmt::format("vm2oci.size={}x{}", request.terminal_size->rows, request.terminal_size->columns));
    if (!request.address.empty())
        line = add_kernel_words(line, "ip=" + request.address);
    return line;
}

BootSubject subject_of_image(const ContainerSource& source, const std::string& architecture, const RunRequest& request,
                             const OperationContext& operation) {
    ContainerBundleOptions options;
    options.kernel_file = minimal_kernel_folder(architecture) / kMinimalKernel;
    options.own_init = own_init_program();
    options.disk.format = DiskOutputFormat::raw;
    options.program = request.program;
    options.time = 1; // no file system is from before
    PreparedBundle bundle = source.prepare(options, operation);
    source.image.verifier->finish(operation);
    BootSubject subject;
    subject.disk = bundle.root ? bundle.root->bytes : nullptr;
    DirectKernel kernel;
    kernel.image = in_memory(std::move(bundle.kernel.image));
    kernel.initramfs = in_memory(initramfs_for_terminal(std::move(bundle.kernel.initramfs).value_or(""), {}));
    kernel.command_line = bundle.description.command_line;
    kernel.devices = KernelDevices::pci_or_mmio;
    subject.kernel = std::move(kernel);
    subject.kind = SubjectKind::container;
    return subject;
}

} // namespace

BootSubject open_run_subject(const RunRequest& request, const OperationContext& operation) {
    const BootSourceRequest& source = request.source;
    if (!std::holds_alternative<ImageReference>(source.reference))
        fail(ErrorKind::usage, escape_untrusted(source.name) + " is a disk, and no container image or bundle of one");
    BootSubject subject;
    if (const auto container =
            open_container_source(source.reference, source.source, request.architecture, operation)) {
        const std::optional<ImageConfig>& config = container->image.config;
        const std::string architecture = config ? config->platform.architecture : "";
        require_architecture(architecture, request.architecture);
        require_booted_architecture(architecture);
        subject = subject_of_image(*container, architecture, request, operation);
    } else {
        subject = open_boot_source(source, operation).subject;
        if (subject.kind == SubjectKind::guest || !subject.kernel)
            fail(ErrorKind::usage,
                 escape_untrusted(source.name) + " holds an operating system, and no program that could be run alone");
        auto& initramfs = subject.kernel->initramfs;
        initramfs = in_memory(initramfs_for_terminal(bytes_of(*initramfs), request.program));
    }
    subject.name = source.name;
    if (subject.kernel)
        subject.kernel->command_line = with_words_of_run(subject.kernel->command_line, request);
    return subject;
}

ProgramEnd run_subject(const BootSubject& subject, const RunRequest& request, ProgramTerminal& terminal,
                       const OperationContext& operation) {
    ProgramOptions options;
    options.acceleration = request.machine.acceleration;
    return run_program(machine_spec(request.machine, subject, {}), options, terminal, operation);
}

} // namespace vm2oci
