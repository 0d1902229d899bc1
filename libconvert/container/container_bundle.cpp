#include "libconvert/container/container_bundle.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/initrd/members.hpp"
#include "formats/oci/labels.hpp"
#include "libconvert/bundle/own_initramfs.hpp"
#include "libconvert/container/container_guest.hpp"
#include "libconvert/container/root_of_container.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace vm2oci {
namespace {

class ProgramFinder final : public InitrdVisitor {
  public:
    bool visit(const CpioMember& member, CpioReader& reader) override {
        if (member.path != kProgramFile)
            return true;
        if (member.size > kMaxProgramBytes)
            fail(ErrorKind::limit, "the program's file in the initramfs is larger than such files are");
        found = reader.content(); // the last one counts
        return true;
    }
    std::optional<std::string> found;
};

DiskImage root_image(std::shared_ptr<const BlockDevice> root, const ContainerBundleOptions& options,
                     const OperationContext& operation) {
    if (options.root == BundleRootKind::erofs) {
        const std::uint64_t size = root->size();
        return {std::move(root), DiskFormat::raw, size, size, nullptr};
    }
    DiskOutput output = options.disk;
    output.virtual_size.reset(); // the file system has that size already
    return make_disk_image(DiskView(std::move(root)), output, operation);
}

std::string root_words(const ContainerBundleOptions& options, const std::optional<VerityRoot>& verity) {
    if (verity)
        return fmt::format("{} rootfstype=erofs ro", fmt::join(verity_words(*verity), " "));
    return options.root == BundleRootKind::erofs ? "root=/dev/vda rootfstype=erofs ro"
                                                 : "root=/dev/vda rootfstype=ext4 rw";
}

std::string command_line_of(const ContainerBundleOptions& options, const std::string& architecture,
                            const std::optional<VerityRoot>& verity) {
    std::string line = root_words(options, verity);
    line += architecture == "arm64" ? " console=ttyAMA0,115200" : " console=ttyS0,115200";
    if (options.agent == AgentInside::yes)
        line += " vm2oci.agent";
    if (!options.command_line.empty())
        line = line + " " + options.command_line;
    return line;
}

std::string product_of(const ImageConfig& config) {
    const auto title = config.labels.find(label::oci_title);
    return title == config.labels.end() ? "" : escape_untrusted(title->second);
}

} // namespace

PreparedBundle prepare_container_bundle(ImageSource& source, const ImageContent& image,
                                        const ContainerBundleOptions& options, const OperationContext& operation) {
    refuse_unfit_proof(options.proof, options.root, options.krun);
    if (!image.config)
        fail(ErrorKind::unsupported, "the image has no config that says what is to be started");
    PreparedBundle bundle;
    bundle.architecture = image.config->platform.architecture;
    bundle.product = product_of(*image.config);
    bundle.kernel = read_kernel_file(options.kernel, options.kernel_file);
    require_kernel_for(bundle.kernel.image, bundle.architecture);

    const auto held = std::make_shared<const ContainerFiles>(source, image, operation);
    const ContainerFiles& files = *held;
    bundle.kernel.initramfs =
        container_initramfs(options.own_init, program_of_image(*image.config, files, options.program));
    BundleDescription& description = bundle.description;
    description.kernel_origin = options.kernel;
    description.kernel_release = bundle.kernel.release;
    description.initramfs = bundle_path::initramfs;
    description.command_line = command_line_of(options, bundle.architecture, std::nullopt);
    description.init = BundleInit::container;
    describe_root(options.root, options.disk.format, description);
    if (options.krun == KrunSupport::yes)
        add_krun_files(bundle);
    bundle.root_disk.type = options.root == BundleRootKind::erofs ? "erofs" : "ext4";
    bundle.root_disk.origin = fmt::format("the image's {} layers", image.parsed_manifest.layers.size());
    RootFiles root = make_container_root(
        files, {options.root, options.disk.virtual_size, options.time, image.manifest.digest}, operation);
    if (root.attributes_left_out != 0)
        bundle.remarks.push_back(fmt::format("{} extended attributes that {} does not store were left out",
                                             root.attributes_left_out,
                                             options.root == BundleRootKind::erofs ? "EROFS" : "ext4"));
    if (options.proof == RootProof::verity) {
        root.device = take_proof(prove_root(root.device, image.manifest.digest.text(), operation), bundle);
        description.command_line = command_line_of(options, bundle.architecture, bundle.verity);
    }
    bundle.root = root_image(root.device, options, operation);
    bundle.guest = guest_of_container(held);
    return bundle;
}

std::string container_initramfs(const std::filesystem::path& own_init, const ContainerProgram& program) {
    return make_own_initramfs(own_init, InitFile{kProgramFile, encode_program(program)});
}

ContainerProgram program_of_initramfs(std::string_view initramfs) {
    ProgramFinder finder;
    visit_initrd(
        [&](std::uint64_t offset, std::size_t length) {
            return offset < initramfs.size() ? std::string(initramfs.substr(static_cast<std::size_t>(offset), length))
                                             : std::string();
        },
        finder);
    if (!finder.found)
        fail(ErrorKind::corrupt, "the bundle's initramfs does not say what is to be started");
    return decode_program(*finder.found);
}

std::string with_program(std::string initramfs, const ContainerProgram& program) {
    return with_init_file(std::move(initramfs), {kProgramFile, encode_program(program)});
}

} // namespace vm2oci
