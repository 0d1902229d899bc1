// A conversion on its way: what its steps share, and what each shape does in them.
#pragma once

#include "formats/base/outputs.hpp"
#include "formats/block/disk_view.hpp"
#include "tools/flows/convert.hpp"

#include <memory>
#include <optional>
#include <string>

namespace vm2oci {

struct ConvertRun {
    const ConvertRequest& request;
    const ConvertEngine& engine;
    const OperationContext& operation;
    Outputs reports{operation}; // of the boot test
    Outputs outputs{operation}; // everything else
    std::optional<ReportFiles> report_files{};
    Outputs::Document* sbom = nullptr;     // null: not asked for
    Outputs::Document* manifest = nullptr; // the same
    Outputs::Document* digest = nullptr;   // the same
    std::optional<Descriptor> image{};     // that was written, not published yet
    SourceMachine machine{};
    ConvertResult result{};

    // The source; what is to be said of how it is read is told.
    void open_machine();
    // All disks of the machine, one behind another, as GuestAccess has them; of one disk, that.
    DiskView disks() const;
    // What the request says, with the sizes of those disks.
    GuestAccess access() const;
    // Told at once, and in the result.
    void remark(std::string text);
};

// The steps of a conversion in which shapes differ, in the order in which they are called.
class ConvertShape {
  public:
    virtual ~ConvertShape() = default;
    // Opens what is written, so that a name that cannot be had stops the command in time.
    virtual void open_outputs() {}
    virtual void open_source() = 0;
    virtual void edit() = 0;
    virtual void add_seed() {}
    virtual void leave_out_unused() {}
    // Before the long part, so that a guest without packages stops the command in time.
    virtual void list_packages() = 0;
    // Everything, complete and invisible.
    virtual void write() = 0;
    // What was written, as a disk that boots. Error{usage}: nothing can be booted before it appears.
    virtual BootSubject written() = 0;
    // The image that was written, not published yet. Error{usage}: it is none.
    virtual ImageInStore written_image();
    // The last step of the transaction.
    virtual void publish() {}
    virtual void remember_layers() {}
};

std::unique_ptr<ConvertShape> make_container_disk_shape(ConvertRun& run, const ContainerDiskRequest& request);
std::unique_ptr<ConvertShape> make_rootfs_shape(ConvertRun& run, const RootfsRequest& request);
std::unique_ptr<ConvertShape> make_bundle_shape(ConvertRun& run, const BundleRequest& request);
std::unique_ptr<ConvertShape> make_podman_machine_shape(ConvertRun& run);
std::unique_ptr<ConvertShape> make_vm_shape(ConvertRun& run, const VmRequest& request);
std::unique_ptr<ConvertShape> make_kata_shape(ConvertRun& run, const KataRequest& request);
std::unique_ptr<ConvertShape> make_virtlet_shape(ConvertRun& run, const VirtletRequest& request);
std::unique_ptr<ConvertShape> make_plain_disk_shape(ConvertRun& run, const PlainDiskRequest& request);

} // namespace vm2oci
