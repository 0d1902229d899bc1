// What Virtlet is given: a qcow2 for a web server, and what to apply in the cluster.
#include "formats/base/error.hpp"
#include "tools/flows/disk_shape.hpp"

#include <utility>

namespace vm2oci {
namespace {

namespace fs = std::filesystem;

class VirtletShape final : public DiskShape {
  public:
    VirtletShape(ConvertRun& run, const VirtletRequest& request) : DiskShape(run, Boots::yes), request_(request) {}

    void open_source() override {
        DiskShape::open_source();
        only_disk(run_.machine);
    }
    void add_seed() override {
        if (seed())
            fail(ErrorKind::usage, "Virtlet gives each machine a disk for cloud-init by itself; put the data inside "
                                   "the guest, or among the pod's annotations");
    }
    void write() override {
        MachineFacts facts;
        facts.hardware = run_.machine.hardware;
        const OpenedGuest& opened = guest().guest();
        if (opened.guest || opened.windows)
            facts.guest = inspect_guest(opened, run_.operation);
        if (facts.guest) {
            facts.name = facts.guest->os.hostname;
            facts.architecture = facts.guest->os.architecture;
        }
        guest().close();
        facts.disks.resize(1);
        facts.disks.front().size = run_.request.disk.virtual_size.value_or(guest().view().device()->size());
        const RunnableMachine machine = make_runnable(facts, request_.wishes.machine);

        const fs::path folder = std::get<DiskReference>(run_.request.destination).path;
        run_.outputs.add_folder(folder);
        const std::string disk_name = machine.name + ".qcow2";
        const std::string document_name = machine.name + ".yaml";
        const OutputFile& disk = run_.outputs.add_file(fs::canonical(folder) / disk_name);
        Outputs::Document& document = run_.outputs.add_document(fs::canonical(folder) / document_name);
        document.content = request_.wishes.target->write(machine);
        const DiskReport report = write_disk_file(guest().view(), output_of(0), disk.fd(), run_.operation);
        VirtletResult made;
        made.files = {{disk_name, report.file_size, "the disk, for a web server"},
                      {document_name, document.content->size(), "what names it in the cluster, and a pod"}};
        for (const std::string& remark : machine.remarks)
            run_.remark(remark);
        run_.result.made = std::move(made);
    }
    BootSubject written() override { fail(ErrorKind::usage, "Virtlet's files are not booted before they appear"); }

  private:
    const VirtletRequest& request_;
};

} // namespace

std::unique_ptr<ConvertShape> make_virtlet_shape(ConvertRun& run, const VirtletRequest& request) {
    return std::make_unique<VirtletShape>(run, request);
}

} // namespace vm2oci
