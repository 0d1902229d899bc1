#include "formats/base/error.hpp"
#include "formats/oci/stored_blob.hpp"
#include "libconvert/source/content_verifier.hpp"
#include "libconvert/source/image_content.hpp"
#include "tools/flows/disk_shape.hpp"
#include "tools/flows/seed.hpp"

#include <fmt/format.h>

#include <filesystem>

namespace vm2oci {
namespace {

namespace fs = std::filesystem;

class PlainDiskShape final : public DiskShape {
  public:
    explicit PlainDiskShape(ConvertRun& run)
        : DiskShape(run, Boots::yes, Disks::one), destination_(std::get<DiskReference>(run.request.destination).path),
          is_device_(fs::is_block_file(destination_)) {}

    void open_outputs() override {
        if (is_device_ && run_.request.boot_test)
            fail(ErrorKind::usage, destination_.string() + " is a block device, and what is written to one cannot be " +
                                       "held back; write to a file first");
        if (seed())
            made_.seed_disk = add_seed_beside(*seed(), destination_, run_.outputs);
        if (!is_device_)
            file_ = &run_.outputs.add_file(destination_);
    }
    void write() override {
        guest().close();
        if (is_device_) {
            run_.machine.verify(run_.operation); // what is written to a device cannot be held back
            made_.disk = write_block_device(guest().view(), run_.request.disk, destination_, run_.operation);
        } else {
            made_.disk = write_disk_file(guest().view(), run_.request.disk, file_->fd(), run_.operation);
        }
        run_.result.made = made_;
    }
    BootSubject written() override {
        return bootable(duplicate_range(file_->fd(), 0, file_size(file_->fd())), run_.request.destination_name,
                        made_.disk.format);
    }

  private:
    fs::path destination_;
    bool is_device_; // which is written in place
    OutputFile* file_ = nullptr;
    PlainDiskResult made_;
};

// A bundle whose parts are wanted as files.
class UnpackedBundleShape final : public ConvertShape {
  public:
    UnpackedBundleShape(ConvertRun& run, std::unique_ptr<ImageSource> images, ImageContent image)
        : run_(run), images_(std::move(images)), image_(std::move(image)) {}

    void open_source() override { verify_content(*images_, image_, run_.operation); }
    void edit() override {}
    void list_packages() override {}
    void write() override {
        run_.result.made = unpack_bundle(*images_, image_, std::get<DiskReference>(run_.request.destination).path,
                                         run_.outputs, run_.operation);
    }
    BootSubject written() override { fail(ErrorKind::usage, "a bundle that is taken apart is not booted"); }

  private:
    ConvertRun& run_;
    std::unique_ptr<ImageSource> images_;
    ImageContent image_;
};

void check_bundle_folder(const std::string& destination) {
    const std::string extension = fs::path(destination).extension().string();
    if (extension == ".qcow2" || extension == ".img" || extension == ".raw")
        fail(ErrorKind::usage, fmt::format("the source is a bundle: write qcow2:{0} or raw:{0} for its disk alone, or "
                                           "name a folder for all its files",
                                           destination));
}

} // namespace

std::unique_ptr<ConvertShape> make_plain_disk_shape(ConvertRun& run, const PlainDiskRequest& request) {
    const DiskReference& destination = std::get<DiskReference>(run.request.destination);
    const auto* reference = std::get_if<ImageReference>(&run.request.source);
    if (reference != nullptr && !destination.format) {
        auto images = open_image_source(*reference, run.operation, run.request.from.registry);
        ImageContent image = read_image(*images, run.request.architecture);
        if (parse_bundle(image.parsed_manifest.annotations)) {
            check_bundle_folder(destination.path);
            if (!request.not_for_bundles.empty())
                fail(ErrorKind::usage, request.not_for_bundles);
            return std::make_unique<UnpackedBundleShape>(run, std::move(images), std::move(image));
        }
    }
    if (!request.not_for_disks.empty())
        fail(ErrorKind::usage, request.not_for_disks);
    return std::make_unique<PlainDiskShape>(run);
}

} // namespace vm2oci
