#include "formats/base/error.hpp"
#include "tools/flows/container_source.hpp"
#include "tools/flows/disk_shape.hpp"
#include "tools/flows/image_output.hpp"
#include "tools/flows/minimal_kernel.hpp"
#include "tools/flows/sbom.hpp"
#include "tools/flows/seed.hpp"

#include <optional>
#include <utility>

namespace vm2oci {
namespace {

constexpr const char* kOwnAgent = "vm2oci"; // as load_agent() names it

// What changes a guest finds none in a container image, whose files are taken as they are.
void refuse_edits_of_container(EditRequest edits) {
    std::erase_if(edits.agents, [](const AgentRequest& agent) { return agent.name == kOwnAgent; });
    edits.hostname.clear();
    if (!edits.empty())
        fail(ErrorKind::usage, "a container image becomes a micro-VM as it is: of the changes to guests it takes a "
                               "host name and vm2oci's own agent; others belong into the image");
}

class BundleShape final : public ConvertShape {
  public:
    BundleShape(ConvertRun& run, const BundleRequest& request)
        : run_(run), request_(request), output_(run), seed_(wanted_seed_disk(run.request.edits)) {}

    void open_outputs() override { output_.open(); }
    void open_source() override {
        const ConvertRequest& request = run_.request;
        container_ = run_.engine.open_container(request.source, request.from, request.architecture, run_.operation);
        if (container_)
            return open_container();
        run_.open_machine();
        image_options_ = {output_.layer(), output_.options(), request_.instancetype, request_.preference};
        options_ = bundle_options(image_options_.image.architecture);
        if (request.architecture.empty())
            image_options_.image.architecture.clear(); // the guest's own
    }
    void edit() override {
        if (container_) {
            if (run_.request.mode == EditMode::apply)
                made_.bundle = container_->prepare(container_options(), run_.operation);
            return;
        }
        made_.bundle = prepare_bundle({run_.disks().device(), nullptr, {}}, options_, run_.operation);
        run_.result.edits = made_.bundle.edits;
    }
    void add_seed() override {
        if (seed_)
            add_seed_to_image(*seed_, run_, image_options_.image);
    }
    void list_packages() override {
        if (run_.sbom != nullptr)
            run_.sbom->content = make_sbom(made_.bundle.guest, run_.request.sbom);
        made_.bundle.guest = OpenedGuest(); // an appliance that reads it need not live on
    }
    void write() override {
        output_.write([&](ImageDestination& destination) {
            made_.image = write_bundle(made_.bundle, image_options_, destination, run_.operation);
            return made_.image.manifest;
        });
        layers_ = {made_.image.disk_layer, made_.image.boot_layer};
        run_.result.made = std::move(made_);
    }
    BootSubject written() override { fail(ErrorKind::usage, "a bundle is booted when it is published"); }
    ImageInStore written_image() override { return output_.image(); }
    void publish() override { output_.publish(); }
    void remember_layers() override { output_.remember_layers(layers_); }

  private:
    BundleOptions bundle_options(const std::string& architecture) const {
        const ConvertRequest& request = run_.request;
        BundleOptions options;
        options.kernel = request_.kernel.value_or(KernelOrigin::guest);
        options.kernel_file = request_.kernel_file;
        if (request_.kernel == KernelOrigin::minimal) {
            const std::filesystem::path folder = minimal_kernel_folder(architecture);
            options.kernel_file = folder / kMinimalKernel;
            options.kernel_modules = folder / "lib/modules";
        }
        options.initramfs = request_.initramfs;
        options.initramfs_file = request_.initramfs_file;
        options.command_line = request_.command_line;
        options.root = request_.root;
        options.krun = request_.krun;
        options.proof = request_.proof;
        if (request_.root == BundleRootKind::erofs || request_.krun == KrunSupport::yes)
            options.own_init = own_init_program();
        options.disk = request.disk;
        options.unused_blocks = request.unused_blocks;
        options.edits = request.edits;
        options.mode = request.mode;
        options.access = run_.access();
        options.time = request.image.created;
        return options;
    }

    void open_container() {
        const ConvertRequest& request = run_.request;
        refuse_words_of_disks(request.from, request.access);
        refuse_edits_of_container(request.edits);
        if (request_.kernel == KernelOrigin::guest)
            fail(ErrorKind::usage, "a container image is started by vm2oci's init and brings no kernel that has what "
                                   "this needs; take vm2oci's own, or name a kernel's file");
        if (request_.initramfs != InitramfsChoice::automatic)
            fail(ErrorKind::usage, "a container image's program is started by vm2oci's own initramfs");
        if (request.disk.format == DiskOutputFormat::keep)
            fail(ErrorKind::usage, "a container image has no disk that could be kept", HintKind::disk_format);
        run_.machine.verifier = container_->image.verifier;
        run_.machine.architecture = container_->image.config->platform.architecture;
        image_options_ = {output_.layer(), output_.options(), request_.instancetype, request_.preference};
    }

    ContainerBundleOptions container_options() const {
        const ConvertRequest& request = run_.request;
        ContainerBundleOptions options;
        options.kernel = request_.kernel.value_or(KernelOrigin::minimal);
        options.kernel_file = options.kernel == KernelOrigin::file
                                  ? request_.kernel_file
                                  : minimal_kernel_folder(run_.machine.architecture) / kMinimalKernel;
        options.own_init = own_init_program();
        options.command_line = request_.command_line.value_or("");
        options.root = request_.root;
        options.krun = request_.krun;
        options.proof = request_.proof;
        options.disk = request.disk;
        options.program.environment = request.image.environment;
        options.program.hostname = request.edits.hostname;
        options.agent = request.edits.agents.empty() ? AgentInside::no : AgentInside::yes;
        options.time = request.image.created;
        return options;
    }

    ConvertRun& run_;
    const BundleRequest& request_;
    ImageOutput output_;
    std::optional<SeedFiles> seed_;
    std::optional<ContainerSource> container_; // none: the source is a machine
    BundleOptions options_;
    BundleImageOptions image_options_;
    BundleResult made_;
    std::vector<StoredLayer> layers_;
};

} // namespace

std::unique_ptr<ConvertShape> make_bundle_shape(ConvertRun& run, const BundleRequest& request) {
    return std::make_unique<BundleShape>(run, request);
}

} // namespace vm2oci
