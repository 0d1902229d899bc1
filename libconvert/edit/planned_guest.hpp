// The guest as it will be once a plan is carried out, for what only reads guests.
#pragma once

#include "libconvert/edit/plan_builder.hpp"
#include "libconvert/guest/open_guest.hpp"

namespace vm2oci {

// The guest outlives it, and is not changed. A file that an edit takes from the host cannot be read, and one that is
// only added to shows what it held before.
class PlannedGuest final : public Guest {
  public:
    PlannedGuest(const Guest& guest, const EditPlan& plan);

    std::optional<FileStatus> status(std::string_view path, FinalLink final_link) const override;
    std::optional<std::vector<std::string>> list(std::string_view path) const override;
    std::optional<std::string> read_file(std::string_view path, std::size_t limit) const override;
    std::optional<std::string> read_range(std::string_view path, std::uint64_t offset,
                                          std::size_t length) const override;
    std::optional<std::string> read_link(std::string_view path) const override;
    std::vector<ExtendedAttribute> attributes(std::string_view path) const override;
    // Error{unsupported}: a tree is made of what was written.
    void export_tree(const ExportOptions& options, TreeSink& sink, const OperationContext& operation) const override;
    std::vector<GuestMount> mounts() const override { return guest_.mounts(); }
    std::vector<MissingMount> missing_mounts() const override { return guest_.missing_mounts(); }

  private:
    const Guest& guest_;
    PlanBuilder builder_;
};

// `opened` with such a guest, and with the volumes that its fstab then names. There is a guest, and it outlives this.
OpenedGuest as_planned(const OpenedGuest& opened, const EditPlan& plan);

} // namespace vm2oci
