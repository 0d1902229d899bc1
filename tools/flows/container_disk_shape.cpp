#include "formats/base/escape.hpp"
#include "formats/oci/written_image.hpp"
#include "libconvert/source/image_content.hpp"
#include "tools/flows/disk_shape.hpp"
#include "tools/flows/image_output.hpp"

#include <fmt/format.h>

namespace vm2oci {
namespace {

class ContainerDiskShape final : public DiskShape {
  public:
    ContainerDiskShape(ConvertRun& run, const ContainerDiskRequest& request)
        : DiskShape(run, Boots::yes), request_(request), output_(run) {}

    void open_outputs() override { output_.open(); }
    void open_source() override {
        DiskShape::open_source();
        options_.layer = output_.layer();
        options_.image = output_.options();
        options_.file_name = request_.file_name;
        options_.instancetype = request_.instancetype;
        options_.preference = request_.preference;
    }
    void edit() override {
        DiskShape::edit();
        options_.guest = summary();
        if (options_.guest)
            compare_architectures(options_.guest->os.architecture);
    }
    void add_seed() override {
        if (seed())
            add_seed_to_image(*seed(), run_, options_.image);
    }
    void write() override {
        guest().close();
        output_.write([&](ImageDestination& destination) {
            report_ =
                write_container_disk_image(guest().view(), run_.request.disk, options_, destination, run_.operation);
            return report_.manifest;
        });
        run_.result.made = report_;
    }
    BootSubject written() override {
        image_.emplace(output_.destination(), output_.manifest());
        const DiskInImage found = find_disk(*image_, read_image(*image_, ""), run_.operation);
        return bootable(found.bytes, escape_untrusted(found.path), std::nullopt);
    }
    void publish() override { output_.publish(); }
    void keep_notes() override { output_.keep_notes({report_.layer}); }

  private:
    void compare_architectures(const std::string& guest) {
        std::string& image = options_.image.architecture;
        if (guest.empty() || image == guest)
            return;
        if (run_.request.architecture.empty() && run_.machine.architecture.empty())
            image = guest;
        else
            run_.remark(
                fmt::format("the image says {}, and the guest in it is for {}", image, escape_untrusted(guest)));
    }

    const ContainerDiskRequest& request_;
    ImageOutput output_;
    ContainerDiskOptions options_;
    ImageReport report_;
    std::optional<WrittenImage> image_;
};

} // namespace

std::unique_ptr<ConvertShape> make_container_disk_shape(ConvertRun& run, const ContainerDiskRequest& request) {
    return std::make_unique<ContainerDiskShape>(run, request);
}

} // namespace vm2oci
