// Collects edits and shows the guest as it will be once they are made, so that planners can follow one another.
#pragma once

#include "libconvert/edit/plan.hpp"
#include "libconvert/guest/guest.hpp"

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci {

inline constexpr std::size_t kConfigurationFileLimit =
    4ull * 1024 * 1024; // grub.cfg of hundreds of kernels stays below

enum class MissingMounts {
    refuse, // finish() throws if anything was changed or looked for below a mount point that is not mounted
    ignore, // the guest's own table of them is what the plan puts right
};

// Paths resolve inside the guest's root as the guest would (guest.hpp). Reading never throws for what the guest holds:
// a path that loops or leads through a file is not there. Changing throws Error{unsafe} for such paths and for targets
// that are neither regular files nor absent; the message names the path. Not thread-safe.
class PlanBuilder final {
  public:
    // `guest` outlives the builder.
    explicit PlanBuilder(const Guest& guest, MissingMounts missing = MissingMounts::refuse);

    std::optional<FileStatus> status(std::string_view path, FinalLink final_link = FinalLink::follow) const;
    bool exists(std::string_view path) const { return status(path).has_value(); }
    // Names in byte order; empty when there is no such folder.
    std::vector<std::string> list(std::string_view path) const;
    // A regular file of at most kConfigurationFileLimit bytes.
    std::optional<std::string> read_text(std::string_view path) const;
    std::optional<std::string> read_link(std::string_view path) const;
    // Absolute patterns with * and ? in any part, as a shell expands them; what matches, in byte order.
    std::vector<std::string> glob(std::string_view pattern) const;
    // The path without symbolic links, the last part included or not; parts that do not exist are kept as they are.
    // nullopt: it loops, or leads through something that is no folder.
    std::optional<std::string> resolve(std::string_view path, FinalLink final_link) const;
    const Guest& guest() const { return guest_; }

    // What is recorded from here on belongs to this operation.
    void begin(std::string operation) { operation_ = std::move(operation); }
    // Folders that are missing on the way are made. A write of what is there already, with nothing to change in its
    // attributes, is no edit.
    void write(std::string_view path, std::string content, std::string reason, FileAttributes attributes = {});
    void write_host_file(std::string_view path, const std::filesystem::path& source, std::uint64_t size,
                         std::string reason, FileAttributes attributes);
    // `content` goes behind what the guest's regular file holds. Error{not_found}: there is none.
    void append(std::string_view path, std::string content, std::string reason);
    // No edit when the folder is there.
    void make_folder(std::string_view path, std::string reason, FileAttributes attributes = {});
    // What is there before, a file or another link, is replaced; a folder is Error{unsafe}.
    void make_symlink(std::string_view path, std::string target, std::string reason);
    // No edit when there is nothing. A folder that holds a mount point is left, and found.
    void remove(std::string_view path, std::string reason);
    // Everything that the folder holds.
    void remove_content(std::string_view folder, const std::string& reason);
    // The file stays, with nothing in it.
    void empty_file(std::string_view path, std::string reason);
    void found(std::string text);

    // Takes over the edits of a plan that was made for the same guest, findings left out.
    void repeat(const EditPlan& plan);
    // Nothing was recorded for what this canonical path leads to.
    bool leaves(const std::string& canonical) const { return planned(canonical) == nullptr && !hidden(canonical); }

    bool changed() const { return !plan_.edits.empty(); }
    const EditPlan& plan() const { return plan_; }
    // What is made has the label that the guest's SELinux policy wants. Error{unsupported} if an edit, or a pattern
    // that was expanded, lies below something that the guest mounts and that is not mounted here; what the guest does
    // without is a finding, as long as nothing is changed below it.
    EditPlan finish() &&;

  private:
    // A path that the plan touches. `edit` is the write that made its content.
    struct Planned {
        std::optional<FileStatus> status; // none: removed
        std::string link_target;
        std::optional<std::size_t> edit;
        bool fresh = false; // nothing of the guest shows below it
    };

    // A missing mount, and by which operations something was looked for below it.
    struct Gap {
        MissingMount mount;
        std::string canonical; // its mount point
        std::string looked_for_by{};
    };

    // A folder of the guest that it shows a second time: what is wanted below `canonical` is done below `source`.
    struct Bind {
        std::string canonical; // its mount point
        std::string source;    // canonical, too
    };

    // True: the paths below `mount` lead to what it shows. False: it has to stay a gap.
    bool follow_bind(const MissingMount& mount, const std::string& canonical);
    // The missing mount below which a canonical path lies; null: none.
    const Gap* gap_above(const std::string& canonical) const;
    void look(std::string_view path, FinalLink final_link) const;
    void look_by_pattern(const std::vector<std::string>& pattern) const;
    void refuse_gaps();
    const Planned* planned(const std::string& canonical) const;
    bool hidden(const std::string& canonical) const;
    std::optional<FileStatus> status_at(const std::string& canonical) const;
    std::optional<std::string> link_at(const std::string& canonical) const;
    std::string resolve_for_change(std::string_view path, FinalLink final_link) const;
    std::string prepare_write(std::string_view path, const std::string& reason);
    void make_parents(const std::string& canonical, const std::string& reason);
    Edit& add(EditKind kind, const std::string& canonical, std::string reason);
    void record_write(const std::string& canonical, Edit edit);

    const Guest& guest_;
    std::string operation_;
    EditPlan plan_;
    mutable std::vector<Gap> gaps_; // filled in by what only looks, too
    std::vector<Bind> binds_;
    std::map<std::string, Planned> planned_; // by canonical path
};

} // namespace vm2oci
