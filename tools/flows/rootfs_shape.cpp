#include "formats/base/error.hpp"
#include "tools/flows/disk_shape.hpp"
#include "tools/flows/image_output.hpp"
#include "tools/flows/minimal_kernel.hpp"

namespace vm2oci {
namespace {

class RootfsShape final : public DiskShape {
  public:
    RootfsShape(ConvertRun& run, const RootfsRequest& request)
        : DiskShape(run, Boots::no), request_(request), output_(run) {
        options_.kernel_files = request.kernel_files;
        options_.layers = request.layers;
    }

    void open_outputs() override { output_.open(); }
    void open_source() override {
        DiskShape::open_source();
        options_.layer = output_.layer();
        options_.image = output_.options();
        if (run_.request.architecture.empty())
            options_.image.architecture.clear(); // the guest's own
    }
    void add_seed() override {
        if (seed())
            add_seed_to_image(*seed(), run_, options_.image);
    }
    void write() override {
        const OpenedGuest& opened = guest().guest();
        const GuestInfo info = identify_guest(opened);
        if (request_.runv)
            add_boot_files(*request_.runv, info);
        output_.write([&](ImageDestination& destination) {
            image_ = write_rootfs(opened, info, options_, destination, run_.operation);
            run_.operation.check_cancelled();
            return image_.manifest;
        });
        run_.result.made = image_;
    }
    BootSubject written() override { fail(ErrorKind::usage, "a container image has no kernel that could be booted"); }
    ImageInStore written_image() override { return output_.image(); }
    void publish() override { output_.publish(); }
    void remember_layers() override { output_.remember_layers(image_.layers); }

  private:
    // hyperhq/runv: cli/utils.go (getKernelFiles) looks for these names in a container's files first.
    void add_boot_files(const RunvRequest& runv, const GuestInfo& info) {
        const std::string& wanted = options_.image.architecture;
        const std::string architecture = wanted.empty() ? info.os.architecture : wanted;
        const BundleKernel kernel = read_kernel_file(
            runv.kernel, runv.kernel == KernelOrigin::minimal ? minimal_kernel_folder(architecture) / kMinimalKernel
                                                              : runv.kernel_file);
        require_kernel_for(kernel.image, architecture);
        options_.added = {{"boot/vmlinuz", kernel.image},
                          {"boot/initrd.img", read_initramfs_file(runv.initramfs_file)}};
    }

    const RootfsRequest& request_;
    ImageOutput output_;
    RootfsOptions options_;
    RootfsImage image_;
};

} // namespace

std::unique_ptr<ConvertShape> make_rootfs_shape(ConvertRun& run, const RootfsRequest& request) {
    return std::make_unique<RootfsShape>(run, request);
}

} // namespace vm2oci
