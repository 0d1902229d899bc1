#include "libconvert/edit/job_writer.hpp"

#include "formats/base/checked.hpp"
#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/block/file_device.hpp"
#include "libconvert/edit/apply_edit.hpp"

#include <fmt/format.h>

#include <utility>

namespace vm2oci {
namespace {

class JobDiskSink final : public ByteSink {
  public:
    JobDiskSink(int fd, std::uint64_t offset) : fd_(fd), offset_(offset) {}
    void write(std::span<const std::byte> bytes) override {
        write_exactly_at(fd_, offset_, bytes);
        offset_ += bytes.size();
    }
    std::uint64_t offset() const { return offset_; }

  private:
    int fd_;
    std::uint64_t offset_;
};

} // namespace

JobWriter::JobWriter(std::int64_t time, const std::filesystem::path& scratch_folder)
    : disk_(scratch_file(scratch_folder)), end_(kJobContentAlignment) {
    job_.time = time;
}

std::uint32_t JobWriter::add_disk(ApplianceVolume disk) {
    if (disks_.size() == kMaxJobDisks)
        fail(ErrorKind::limit, fmt::format("vm2oci's appliance changes at most {} volumes at once", kMaxJobDisks));
    disks_.push_back(std::move(disk));
    return static_cast<std::uint32_t>(disks_.size() - 1);
}

std::uint32_t JobWriter::add_volume(std::uint32_t disk, std::string type, std::string options, std::string place) {
    if (job_.volumes.size() == kMaxJobVolumes)
        fail(ErrorKind::limit,
             fmt::format("vm2oci's appliance changes at most {} file systems at once", kMaxJobVolumes));
    job_.volumes.push_back({disk, std::move(type), std::move(options), disks_[disk].device->size()});
    places_.push_back(std::move(place));
    return static_cast<std::uint32_t>(job_.volumes.size() - 1);
}

void JobWriter::add_content(JobStep& step, std::uint64_t size, const FileContent& content) {
    step.content_offset = end_;
    step.content_size = size;
    JobDiskSink sink(disk_.get(), end_);
    content.copy_to(sink);
    if (sink.offset() - end_ != size)
        fail(ErrorKind::io, "a file changed while it was copied into the guest; try again");
    end_ = align_up(sink.offset(), kJobContentAlignment);
}

std::string JobWriter::describe(const ApplianceAnswer& answer) const {
    if (!answer.step || *answer.step >= job_.steps.size())
        return answer.text;
    const JobStep& step = job_.steps[*answer.step];
    const std::string& place = places_[step.volume];
    const std::string path = step.path.empty() ? place : (place == "/" ? "" : place) + "/" + step.path;
    return fmt::format("changing {} in the guest: {}", quote_untrusted(path), answer.text);
}

void JobWriter::run(const ApplianceMachine& machine, const OperationContext& operation) {
    const std::string list = encode_job(job_);
    if (list.size() > kMaxJobSize)
        fail(ErrorKind::limit, "the changes are more than vm2oci's appliance takes at once");
    write_exactly_at(disk_.get(), end_, as_bytes(list));
    write_exactly_at(disk_.get(), 0, as_bytes(encode_job_header({end_, list.size()})));
    // The last byte of the last sector, so that the disk is as long as the machine wants it.
    const std::uint64_t size = align_up(end_ + list.size(), kJobSector) + kJobSector;
    write_exactly_at(disk_.get(), size - 1, std::vector<std::byte>(1));
    const auto disk = std::make_shared<FileDevice>(std::move(disk_), "the appliance's job");
    const ApplianceAnswer answer = machine.run(disk, disks_, operation);
    if (answer.kind == AnswerKind::failed)
        fail(answer.error, "vm2oci's appliance: " + describe(answer));
}

JobStep JobEditor::step(JobStepKind kind, std::string_view path) const {
    JobStep step;
    step.kind = kind;
    step.volume = volume_;
    step.path = path;
    return step;
}

void JobEditor::write_file(std::string_view path, std::uint64_t size, const FileContent& content,
                           const FileAttributes& attributes) {
    JobStep wanted = step(JobStepKind::write_file, path);
    wanted.attributes = attributes;
    writer_.add_content(wanted, size, content);
    writer_.add_step(std::move(wanted));
}

void JobEditor::append_file(std::string_view path, std::string_view content) {
    JobStep wanted = step(JobStepKind::append_file, path);
    writer_.add_content(wanted, content.size(), TextContent(content));
    writer_.add_step(std::move(wanted));
}

void JobEditor::make_folder(std::string_view path, const FileAttributes& attributes) {
    JobStep wanted = step(JobStepKind::make_folder, path);
    wanted.attributes = attributes;
    writer_.add_step(std::move(wanted));
}

void JobEditor::make_symlink(std::string_view path, std::string_view target, const std::string& selinux_label) {
    JobStep wanted = step(JobStepKind::make_symlink, path);
    wanted.link_target = target;
    wanted.attributes.selinux_label = selinux_label;
    writer_.add_step(std::move(wanted));
}

void JobEditor::remove(std::string_view path) {
    writer_.add_step(step(JobStepKind::remove, path));
}

} // namespace vm2oci
