// KubeVirt's machine artifact.
#include "formats/base/error.hpp"
#include "formats/oci/written_image.hpp"
#include "libconvert/package/vm_artifact.hpp"
#include "libconvert/source/image_content.hpp"
#include "tools/flows/disk_shape.hpp"
#include "tools/flows/image_output.hpp"

#include <optional>
#include <utility>
#include <vector>

namespace vm2oci {
namespace {

class VmShape final : public DiskShape {
  public:
    VmShape(ConvertRun& run, const VmRequest& request) : DiskShape(run, Boots::yes), request_(request), output_(run) {}

    void open_outputs() override { output_.open(); }
    void open_source() override {
        DiskShape::open_source();
        layer_ = output_.layer();
        image_ = output_.options();
        // Another artifact's VirtualMachine says all of it again, so that the same machine is the same artifact.
        if (run_.machine.hardware && run_.machine.hardware->source == vm_artifact::hardware_source)
            image_.annotations = run_.request.image.annotations;
    }
    void add_seed() override {
        if (seed())
            fail(ErrorKind::usage, "a machine artifact carries disks and no data for cloud-init; put them inside the "
                                   "guest");
    }
    void write() override {
        describe();
        guest().close();
        output_.write([&](ImageDestination& destination) {
            made_ = {};
            for (std::size_t i = 0; i < disk_count(); ++i)
                made_.disks.push_back(
                    write_machine_disk(raw_disk(i), machine_.disks[i].name, layer_, destination, run_.operation));
            made_.manifest = assemble_vm_artifact(virtual_machine_json(machine_), made_.disks, image_, destination);
            return made_.manifest;
        });
        made_.machine = machine_.name;
        for (const std::string& remark : machine_.remarks)
            run_.remark(remark);
        run_.result.made = made_;
    }
    BootSubject written() override {
        written_.emplace(output_.destination(), output_.manifest());
        const MachineInImage found = find_machine(*written_, read_image(*written_, ""), run_.operation);
        BootSubject subject = bootable(found.disks.front().bytes, found.disks.front().path, DiskFormat::raw);
        for (std::size_t i = 1; i < found.disks.size(); ++i)
            subject.further_disks.push_back(bootable(found.disks[i].bytes, found.disks[i].path, DiskFormat::raw).disk);
        return subject;
    }
    void publish() override { output_.publish(); }
    void remember_layers() override { output_.remember_layers(made_.disks); }

  private:
    // The machine, before the disks are written: what is read of the guest is still there.
    void describe() {
        MachineFacts facts;
        facts.form = RunnableForm::container_disk;
        facts.hardware = run_.machine.hardware;
        const OpenedGuest& opened = guest().guest();
        if (opened.guest || opened.windows)
            facts.guest = inspect_guest(opened, run_.operation);
        // The same wherever it is written, so that the artifact is.
        if (facts.guest)
            facts.name = facts.guest->os.hostname;
        // As containerDisks have it: what was asked for, the source image's, the guest's, this machine's.
        if (run_.request.architecture.empty() && run_.machine.architecture.empty() && facts.guest &&
            !facts.guest->os.architecture.empty())
            image_.architecture = facts.guest->os.architecture;
        facts.architecture = image_.architecture;
        for (std::size_t i = 0; i < disk_count(); ++i) {
            RunnableDisk disk;
            disk.size = raw_disk(i).bytes->size();
            facts.disks.push_back(std::move(disk));
        }
        machine_ = make_runnable(facts, request_.machine);
    }

    DiskImage raw_disk(std::size_t disk) {
        DiskOutput output = output_of(disk);
        output.format = DiskOutputFormat::raw;
        return make_disk_image(disk_view(disk), output, run_.operation);
    }

    const VmRequest& request_;
    ImageOutput output_;
    LayerOptions layer_;
    ImageOptions image_;
    RunnableMachine machine_;
    VmResult made_;
    std::optional<WrittenImage> written_;
};

} // namespace

std::unique_ptr<ConvertShape> make_vm_shape(ConvertRun& run, const VmRequest& request) {
    return std::make_unique<VmShape>(run, request);
}

} // namespace vm2oci
