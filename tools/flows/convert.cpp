#include "formats/base/error.hpp"
#include "formats/block/joined.hpp"
#include "formats/oci/select.hpp"
#include "tools/flows/convert_run.hpp"

#include <utility>

namespace vm2oci {
namespace {

template <class... Cases>
struct Overloaded : Cases... {
    using Cases::operator()...;
};
template <class... Cases>
Overloaded(Cases...) -> Overloaded<Cases...>; // clang finds it by itself from version 17 on

std::unique_ptr<ConvertShape> make_shape(ConvertRun& run) {
    return std::visit(Overloaded{
                          [&](const ContainerDiskRequest& request) { return make_container_disk_shape(run, request); },
                          [&](const RootfsRequest& request) { return make_rootfs_shape(run, request); },
                          [&](const BundleRequest& request) { return make_bundle_shape(run, request); },
                          [&](const VmRequest& request) { return make_vm_shape(run, request); },
                          [&](const PodmanMachineRequest&) { return make_podman_machine_shape(run); },
                          [&](const KataRequest& request) { return make_kata_shape(run, request); },
                          [&](const VirtletRequest& request) { return make_virtlet_shape(run, request); },
                          [&](const PlainDiskRequest& request) { return make_plain_disk_shape(run, request); },
                      },
                      run.request.shape);
}

// Before work begins, so that a path that cannot be written stops the command in time.
void open_side_outputs(ConvertRun& run) {
    const ConvertRequest& request = run.request;
    if (!request.sbom.empty())
        run.sbom = &run.outputs.add_document(request.sbom);
    if (!request.manifest.empty())
        run.manifest = &run.outputs.add_document(request.manifest);
    if (!request.digest_file.empty())
        run.digest = &run.outputs.add_document(request.digest_file);
    if (request.boot_test)
        run.report_files.emplace(run.reports, request.boot_test->junit, request.boot_test->report_folder);
}

// What runs the image that was written; it appears with it.
void write_manifest(ConvertRun& run, ConvertShape& shape) {
    if (run.manifest == nullptr)
        return;
    Manifest manifest = make_image_manifest(shape.written_image(), std::get<ImageReference>(run.request.destination),
                                            run.request.manifest_wishes, run.request.access, run.operation);
    for (std::string& remark : manifest.machine.remarks)
        run.remark("manifest: " + std::move(remark));
    run.manifest->content = std::move(manifest.text);
}

// Whether what was written may appear. The report does, whatever it says.
bool comes_up(ConvertRun& run, ConvertShape& shape) {
    if (!run.request.boot_test)
        return true;
    run.result.boot = run.engine.boot_machine(shape.written(), *run.request.boot_test);
    run.report_files->fill(*run.result.boot);
    if (!run.result.is_published())
        run.reports.commit();
    require_verdict(*run.result.boot);
    return run.result.is_published();
}

// Everything appears, the image last.
void appear(ConvertRun& run, ConvertShape& shape) {
    run.outputs.write();
    run.reports.commit([&] { run.outputs.commit([&] { shape.publish(); }); });
}

} // namespace

bool makes_image(const ShapeRequest& shape) {
    return !std::holds_alternative<PlainDiskRequest>(shape) && !std::holds_alternative<KataRequest>(shape) &&
           !std::holds_alternative<VirtletRequest>(shape);
}

ImageInStore ConvertShape::written_image() {
    fail(ErrorKind::usage, "a manifest names an image, and what is written is none");
}

void ConvertRun::open_machine() {
    machine = engine.open_machine(request.source, request.from, request.architecture, operation);
    // An image that is made takes the name of another; what is no image has none.
    if (!makes_image(request.shape))
        require_architecture(machine.architecture, request.architecture);
    for (const std::string& text : machine.remarks)
        remark(text);
    if (machine.hardware)
        for (const std::string& text : machine.hardware->remarks)
            remark("the machine's description: " + text);
}

DiskView ConvertRun::disks() const {
    if (machine.disks.size() == 1)
        return machine.boot_disk().opened;
    std::vector<std::shared_ptr<const BlockDevice>> devices;
    devices.reserve(machine.disks.size());
    for (const SourceDisk& disk : machine.disks)
        devices.push_back(disk.opened.device);
    return DiskView(std::make_shared<const JoinedDevice>(devices));
}

GuestAccess ConvertRun::access() const {
    GuestAccess access = request.access;
    if (machine.disks.size() > 1)
        for (const SourceDisk& disk : machine.disks)
            access.disk_sizes.push_back(disk.opened.device->size());
    return access;
}

void ConvertRun::remark(std::string text) {
    operation.progress->note(text);
    result.remarks.push_back(std::move(text));
}

ConvertResult convert(const ConvertRequest& request, const ConvertEngine& engine, const OperationContext& operation) {
    ConvertRun run{request, engine, operation};
    run.result.mode = request.mode;
    const bool writes = request.mode == EditMode::apply;
    if (writes)
        open_side_outputs(run);
    const std::unique_ptr<ConvertShape> shape = make_shape(run);
    if (writes)
        shape->open_outputs();
    shape->open_source();
    shape->edit();
    if (!writes)
        return std::move(run.result);
    shape->add_seed();
    shape->leave_out_unused();
    shape->list_packages();
    shape->write();
    run.machine.verify(operation);
    write_manifest(run, *shape);
    if (run.digest != nullptr)
        run.digest->content = run.image.value().digest.text();
    if (comes_up(run, *shape)) {
        appear(run, *shape);
        shape->remember_layers();
    }
    return std::move(run.result);
}

} // namespace vm2oci
