#include "formats/base/error.hpp"
#include "tools/flows/disk_shape.hpp"
#include "tools/flows/image_output.hpp"

#include <utility>

namespace vm2oci {
namespace {

class PodmanMachineShape final : public DiskShape {
  public:
    explicit PodmanMachineShape(ConvertRun& run) : DiskShape(run, Boots::yes), output_(run) {}

    void open_outputs() override { output_.open(); }
    void open_source() override {
        DiskShape::open_source();
        only_disk(run_.machine);
        image_ = output_.options();
        layer_ = output_.layer();
    }
    void edit() override {
        DiskShape::edit();
        const std::optional<GuestSummary> guest = summary();
        if (guest && !guest->os.architecture.empty() && run_.request.architecture.empty() &&
            run_.machine.architecture.empty())
            image_.architecture = guest->os.architecture;
    }
    void add_seed() override {
        if (seed())
            fail(ErrorKind::usage,
                 "podman's machines are set up by Ignition; put data for cloud-init inside the guest");
    }
    void write() override {
        guest().close();
        // By the guest and not by the destination, so that the index is the same wherever it is written.
        const std::optional<GuestSummary> named = summary();
        const std::string name = dns_label(named ? named->machine : "", "disk");
        output_.write([&](ImageDestination& destination) {
            made_.image = write_podman_machine(make_disk_image(guest().view(), run_.request.disk, run_.operation), name,
                                               layer_, image_, destination, run_.operation);
            return made_.image.index;
        });
        run_.result.made = made_;
    }
    BootSubject written() override {
        fail(ErrorKind::usage, "a disk for podman machine is booted when it is published");
    }
    void publish() override { output_.publish(); }
    void remember_layers() override { output_.remember_layers({made_.image.layer}); }

  private:
    ImageOutput output_;
    LayerOptions layer_;
    ImageOptions image_;
    PodmanMachineResult made_;
};

} // namespace

std::unique_ptr<ConvertShape> make_podman_machine_shape(ConvertRun& run) {
    return std::make_unique<PodmanMachineShape>(run);
}

} // namespace vm2oci
