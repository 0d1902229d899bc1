#include "tools/flows/disk_shape.hpp"

#include "formats/block/slice.hpp"
#include "tools/flows/sbom.hpp"
#include "tools/flows/seed.hpp"

#include <numeric>
#include <utility>

namespace vm2oci {

DiskShape::DiskShape(ConvertRun& run, Boots boots)
    : run_(run), boots_(boots), seed_(wanted_seed_disk(run.request.edits)) {}

void DiskShape::open_source() {
    const ConvertRequest& request = run_.request;
    run_.open_machine();
    guest_ = std::make_unique<GuestSession>(run_.disks(), run_.access(), request.image.created, run_.operation);
    unchanged_ = guest_->view().device();
    for (const SourceDisk& disk : run_.machine.disks)
        sizes_.push_back(disk.opened.device->size());
}

DiskView DiskShape::disk_view(std::size_t disk) {
    if (disk_count() == 1)
        return guest_->view();
    DiskView view(run_.machine.disks[disk].opened);
    const std::uint64_t begin =
        std::accumulate(sizes_.begin(), sizes_.begin() + static_cast<std::ptrdiff_t>(disk), std::uint64_t{0});
    if (guest_->view().device() != unchanged_)
        view.change(std::make_shared<const SliceDevice>(guest_->view().device(), begin, sizes_[disk]));
    return view;
}

DiskOutput DiskShape::output_of(std::size_t disk) const {
    DiskOutput output = run_.request.disk;
    if (disk > 0)
        output.virtual_size.reset();
    return output;
}

void DiskShape::grow() {
    const ConvertRequest& request = run_.request;
    const std::optional<std::uint64_t> size = request.disk.virtual_size;
    // What is refused, is refused where the disk is written.
    if (!size || *size < sizes_.front() || request.mode != EditMode::apply || request.growth == GuestGrowth::leave ||
        request.disk.format == DiskOutputFormat::keep)
        return;
    for (std::string& remark : guest_->grow(*size))
        run_.remark(std::move(remark));
    sizes_.front() = *size;
}

void DiskShape::edit() {
    const ConvertRequest& request = run_.request;
    grow();
    if (!request.edits.empty() || request.mode == EditMode::plan_only)
        run_.result.edits = guest_->edit(request.edits, request.mode);
    else if (boots_ == Boots::yes && request.disk.format != DiskOutputFormat::keep)
        // A disk that is passed through is not looked into: that would cost more than copying it. `inspect` tells.
        run_.result.edits = guest_->look();
    for (const std::string& remark : run_.result.edits.remarks)
        run_.remark(remark);
}

void DiskShape::leave_out_unused() {
    if (run_.request.unused_blocks == UnusedBlocks::keep)
        return;
    for (std::string& remark : guest_->leave_out_unused()) {
        run_.operation.progress->note("sparsify: " + remark);
        run_.result.remarks.push_back(std::move(remark));
    }
}

void DiskShape::list_packages() {
    if (run_.sbom != nullptr)
        run_.sbom->content = make_sbom(guest_->guest(), run_.request.sbom);
}

std::optional<GuestSummary> DiskShape::summary() const {
    std::optional<GuestSummary> summary = run_.result.edits.guest;
    const EditRequest& edits = run_.request.edits;
    // The machine's name is the one that it gets, and no template has one.
    if (summary && !edits.hostname.empty())
        summary->machine = edits.hostname;
    else if (summary && !edits.sysprep.empty())
        summary->machine.clear();
    return summary;
}

BootSubject DiskShape::bootable(std::shared_ptr<const BlockDevice> file, const std::string& name,
                                std::optional<DiskFormat> format) const {
    DiskSource source;
    source.path = name;
    source.format = format;
    source.policy = run_.request.from.policy;
    BootSubject subject;
    subject.name = run_.request.destination_name;
    subject.disk = open_disk(std::move(file), source).device;
    subject.hardware = run_.machine.hardware;
    if (seed_)
        subject.seed = make_seed_disk(*seed_);
    return subject;
}

void add_seed_to_image(const SeedFiles& seed, ConvertRun& run, ImageOptions& image) {
    add_seed_annotations(seed, image.annotations);
    run.remark("warning: the cloud-init data stand in the image's annotations, where everybody who may pull the image "
               "reads them: keep passwords and private keys out of them");
}

} // namespace vm2oci
