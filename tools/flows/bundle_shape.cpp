#include "formats/base/error.hpp"
#include "formats/base/shared_files.hpp"
#include "tools/flows/disk_shape.hpp"
#include "tools/flows/image_output.hpp"
#include "tools/flows/minimal_kernel.hpp"
#include "tools/flows/sbom.hpp"
#include "tools/flows/seed.hpp"

#include <fmt/format.h>

#include <utility>

namespace vm2oci {
namespace {

std::filesystem::path own_init() {
    auto path = find_shared_file(shared_file::agent);
    if (!path)
        fail(ErrorKind::not_found,
             fmt::format("this bundle needs share/vm2oci/{}, which is not installed beside this program; build and "
                         "install all of vm2oci",
                         shared_file::agent));
    return *std::move(path);
}

class BundleShape final : public ConvertShape {
  public:
    BundleShape(ConvertRun& run, const BundleRequest& request)
        : run_(run), request_(request), output_(run), seed_(wanted_seed_disk(run.request.edits)) {}

    void open_outputs() override { output_.open(); }
    void open_source() override {
        const ConvertRequest& request = run_.request;
        run_.open_machine();
        image_options_ = {output_.layer(), output_.options(), request_.instancetype, request_.preference};
        options_ = bundle_options(image_options_.image.architecture);
        if (request.architecture.empty())
            image_options_.image.architecture.clear(); // the guest's own
    }
    void edit() override {
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
    void keep_frame_index() override { output_.keep_frame_index(layers_); }

  private:
    BundleOptions bundle_options(const std::string& architecture) const {
        const ConvertRequest& request = run_.request;
        BundleOptions options;
        options.kernel = request_.kernel;
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
            options.own_init = own_init();
        options.disk = request.disk;
        options.unused_blocks = request.unused_blocks;
        options.edits = request.edits;
        options.mode = request.mode;
        options.access = run_.access();
        options.time = request.image.created;
        return options;
    }

    ConvertRun& run_;
    const BundleRequest& request_;
    ImageOutput output_;
    std::optional<SeedFiles> seed_;
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
