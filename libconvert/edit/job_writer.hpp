// Changes that are collected, to be made by vm2oci's appliance all at once.
#pragma once

#include "formats/appliance/job.hpp"
#include "formats/base/fd.hpp"
#include "formats/base/progress.hpp"
#include "formats/tree/file_system_editor.hpp"
#include "libconvert/guest/appliance_machine.hpp"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace vm2oci {

inline constexpr std::uint64_t kJobSector = 512; // a disk of the machine has whole ones

// The job and its disk while they grow. Contents go to a scratch file at once.
class JobWriter {
  public:
    JobWriter(std::int64_t time, const std::filesystem::path& scratch_folder);

    // Both give an index; Error{limit} beyond kMaxJobDisks and kMaxJobVolumes.
    std::uint32_t add_disk(ApplianceVolume disk);
    // A file system on one of the disks. `place`: where the guest mounts it.
    std::uint32_t add_volume(std::uint32_t disk, std::string type, std::string options, std::string place);
    void add_step(JobStep step) { job_.steps.push_back(std::move(step)); }
    // Error{io} when the content has another size.
    void add_content(JobStep& step, std::uint64_t size, const FileContent& content);

    // Has the job done. Error of the kind that the answer has, with the path of the step; use it once.
    void run(const ApplianceMachine& machine, const OperationContext& operation);

  private:
    std::string describe(const ApplianceAnswer& answer) const;

    UniqueFd disk_;
    std::uint64_t end_; // of what the disk holds so far
    ApplianceJob job_;
    std::vector<ApplianceVolume> disks_;
    std::vector<std::string> places_; // of the job's volumes
};

// One volume's part of a job. finish() has nothing to do: the job does all of them together.
class JobEditor final : public FileSystemEditor {
  public:
    // `writer` outlives the editor.
    JobEditor(JobWriter& writer, std::uint32_t volume) : writer_(writer), volume_(volume) {}

    void write_file(std::string_view path, std::uint64_t size, const FileContent& content,
                    const FileAttributes& attributes) override;
    void append_file(std::string_view path, std::string_view content) override;
    void make_folder(std::string_view path, const FileAttributes& attributes) override;
    void make_symlink(std::string_view path, std::string_view target, const std::string& selinux_label) override;
    void remove(std::string_view path) override;
    void finish() override {}

  private:
    JobStep step(JobStepKind kind, std::string_view path) const;

    JobWriter& writer_;
    std::uint32_t volume_;
};

} // namespace vm2oci
