#include "formats/base/escape.hpp"
#include "formats/oci/labels.hpp"
#include "formats/oci/written_image.hpp"
#include "libconvert/source/image_content.hpp"
#include "tools/flows/disk_shape.hpp"
#include "tools/flows/image_output.hpp"

#include <fmt/format.h>

#include <deque>
#include <string>
#include <vector>

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
        options_.form = request_.form;
        options_.instancetype = request_.instancetype;
        options_.preference = request_.preference;
        name_images();
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
            write_further(destination);
            report_ = write_container_disk_image(disk_view(0), output_of(0), numbered(options_, 0), destination,
                                                 run_.operation);
            return report_.manifest;
        });
        run_.result.made = report_;
    }
    BootSubject written() override {
        image_.emplace(output_.destination(), output_.manifest());
        const DiskInImage found = find_disk(*image_, read_image(*image_, ""), run_.operation);
        BootSubject subject = bootable(found.bytes, escape_untrusted(found.path), std::nullopt);
        for (const FurtherImage& further : run_.result.further_images) {
            further_.emplace_back(output_.destination(), further.report.manifest);
            const DiskInImage other = find_disk(further_.back(), read_image(further_.back(), ""), run_.operation);
            subject.further_disks.push_back(bootable(other.bytes, escape_untrusted(other.path), std::nullopt).disk);
        }
        return subject;
    }
    ImageInStore written_image() override {
        ImageInStore image = output_.image();
        for (const FurtherImage& further : run_.result.further_images) {
            auto source = std::make_shared<WrittenImage>(output_.destination(), further.report.manifest);
            ImageContent content = read_image(*source, "");
            image.further.emplace_back(std::move(source), std::move(content));
        }
        return image;
    }
    void publish() override {
        std::vector<TaggedImage> others;
        for (const FurtherImage& further : run_.result.further_images)
            others.push_back({further.tag, further.report.manifest});
        output_.publish(others);
    }
    void remember_layers() override {
        std::vector<StoredLayer> layers{report_.layer};
        for (const FurtherImage& further : run_.result.further_images)
            layers.push_back(further.report.layer);
        output_.remember_layers(layers);
    }

  private:
    // Which images belong together, in all of them.
    void name_images() {
        if (disk_count() == 1)
            return;
        const auto& destination = std::get<ImageReference>(run_.request.destination);
        std::string names;
        for (std::size_t i = 1; i < disk_count(); ++i) {
            tags_.push_back(tag_of_disk(destination, i + 1));
            names += tags_.back().empty() ? "" : " " + tags_.back();
        }
        const auto say = [&](std::string_view name, const std::string& value) {
            options_.image.labels.emplace(name, value);
            options_.image.annotations.emplace(name, value);
        };
        say(label::machine_disk_count, std::to_string(disk_count()));
        if (!names.empty())
            say(label::machine_further_images, names.substr(1));
    }

    // With the number of the disk, from 1.
    ContainerDiskOptions numbered(ContainerDiskOptions options, std::size_t disk) const {
        if (disk_count() == 1)
            return options;
        const std::string number = std::to_string(disk + 1);
        options.image.labels.emplace(label::machine_disk, number);
        options.image.annotations.emplace(label::machine_disk, number);
        return options;
    }

    void write_further(ImageDestination& destination) {
        run_.result.further_images.clear(); // of an attempt that was lost
        for (std::size_t i = 1; i < disk_count(); ++i) {
            ContainerDiskOptions options = numbered(options_, i);
            if (options.layer.earlier) // an earlier version is one of the first disk
                options.layer.earlier = std::make_shared<EarlierFrames>();
            run_.result.further_images.push_back(
                {run_.machine.disks[i].name, tags_[i - 1],
                 write_container_disk_image(disk_view(i), output_of(i), options, destination, run_.operation)});
        }
    }

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
    std::deque<WrittenImage> further_;
    std::vector<std::string> tags_; // of the disks behind the first
};

} // namespace

std::unique_ptr<ConvertShape> make_container_disk_shape(ConvertRun& run, const ContainerDiskRequest& request) {
    return std::make_unique<ContainerDiskShape>(run, request);
}

} // namespace vm2oci
