#include "formats/base/error.hpp"
#include "formats/oci/select.hpp"
#include "formats/oci/stored_blob.hpp"
#include "libconvert/source/content_verifier.hpp"
#include "libconvert/source/image_content.hpp"
#include "tools/flows/disk_shape.hpp"
#include "tools/flows/seed.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <vector>

namespace vm2oci {
namespace {

namespace fs = std::filesystem;

// "web01-disk2.qcow2" of "web01.qcow2", as further images have it in their tags.
fs::path path_of_disk(const fs::path& first, std::size_t number) {
    return first.parent_path() / fmt::format("{}-disk{}{}", first.stem().string(), number, first.extension().string());
}

class PlainDiskShape final : public DiskShape {
  public:
    explicit PlainDiskShape(ConvertRun& run)
        : DiskShape(run, Boots::yes), destination_(std::get<DiskReference>(run.request.destination).path),
          is_device_(fs::is_block_file(destination_)) {}

    void open_outputs() override {
        if (is_device_ && run_.request.boot_test)
            fail(ErrorKind::usage, destination_.string() + " is a block device, and what is written to one cannot be " +
                                       "held back; write to a file first");
        if (seed())
            made_.seed_disk = add_seed_beside(*seed(), destination_, run_.outputs);
        if (!is_device_)
            files_.push_back(&run_.outputs.add_file(destination_));
    }
    void open_source() override {
        DiskShape::open_source();
        if (is_device_)
            only_disk(run_.machine);
        if (run_.request.mode != EditMode::apply)
            return;
        for (std::size_t i = 1; i < disk_count(); ++i) {
            const fs::path path = path_of_disk(destination_, i + 1);
            files_.push_back(&run_.outputs.add_file(path));
            made_.further_disks.push_back({run_.machine.disks[i].name, path, {}});
        }
    }
    void write() override {
        guest().close();
        if (is_device_) {
            run_.machine.verify(run_.operation); // what is written to a device cannot be held back
            made_.disk = write_block_device(disk_view(0), output_of(0), destination_, run_.operation);
        } else {
            for (std::size_t i = 0; i < disk_count(); ++i)
                report(i) = write_disk_file(disk_view(i), output_of(i), files_[i]->fd(), run_.operation);
        }
        run_.result.made = made_;
    }
    BootSubject written() override {
        BootSubject subject = written_disk(0);
        for (std::size_t i = 1; i < disk_count(); ++i)
            subject.further_disks.push_back(written_disk(i).disk);
        return subject;
    }

  private:
    DiskReport& report(std::size_t disk) { return disk == 0 ? made_.disk : made_.further_disks[disk - 1].report; }

    BootSubject written_disk(std::size_t disk) {
        const int file = files_[disk]->fd();
        return bootable(duplicate_range(file, 0, file_size(file)), run_.request.destination_name, report(disk).format);
    }

    fs::path destination_;
    bool is_device_;                 // which is written in place
    std::vector<OutputFile*> files_; // one a disk
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
        require_architecture(image.config ? image.config->platform.architecture : "", run.request.architecture);
        if (parse_bundle(image.parsed_manifest.annotations)) {
            check_bundle_folder(destination.path);
            require_no_words_of_disks(run.request.from, "a bundle is taken apart as it is");
            if (!run.request.access.keys.empty() || !run.request.access.root.empty())
                fail(ErrorKind::usage, "a bundle is taken apart as it is: no guest in it is looked at, so neither a "
                                       "key nor a partition can be said");
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
