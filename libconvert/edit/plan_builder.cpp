#include "libconvert/edit/plan_builder.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "libconvert/edit/file_contexts.hpp"
#include "libconvert/guest/fstab.hpp"

#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>
#include <deque>

namespace vm2oci {
namespace {

constexpr std::size_t kResolvedPartLimit = 4096; // Linux PATH_MAX: no path of a guest has more parts

std::vector<std::string> parts_of(std::string_view path) {
    std::vector<std::string> parts;
    while (!path.empty()) {
        const std::size_t slash = path.find('/');
        if (slash != 0)
            parts.emplace_back(path.substr(0, slash));
        path.remove_prefix(slash == std::string_view::npos ? path.size() : slash + 1);
    }
    return parts;
}

std::string parent_of(const std::string& canonical) {
    const std::size_t slash = canonical.rfind('/');
    return slash == 0 || slash == std::string::npos ? "/" : canonical.substr(0, slash);
}

std::string child_of(const std::string& folder, const std::string& name) {
    return folder == "/" ? "/" + name : folder + "/" + name;
}

bool is_below(const std::string& path, const std::string& folder) {
    return folder == "/" ? path.size() > 1 : path.size() > folder.size() && path.starts_with(folder + "/");
}

// Absence for everything that the guest's own files are to blame for.
template <class Read>
auto tolerate(Read&& read) -> decltype(read()) {
    try {
        return read();
    } catch (const Error& error) {
        if (error.kind() == ErrorKind::cancelled || error.kind() == ErrorKind::io)
            throw;
        return {};
    }
}

FileStatus new_status(FileType type, const FileAttributes& attributes, std::uint32_t default_permissions) {
    FileStatus status;
    status.type = type;
    status.permissions = attributes.permissions.value_or(default_permissions);
    status.uid = attributes.uid.value_or(0);
    status.gid = attributes.gid.value_or(0);
    return status;
}

bool changes(const FileAttributes& wanted, const FileStatus& present) {
    return wanted.permissions.value_or(present.permissions) != present.permissions ||
           wanted.uid.value_or(present.uid) != present.uid || wanted.gid.value_or(present.gid) != present.gid;
}

} // namespace

PlanBuilder::PlanBuilder(const Guest& guest, MissingMounts missing) : guest_(guest) {
    if (missing == MissingMounts::ignore)
        return;
    const auto canonical_of = [&](const MissingMount& mount) {
        return resolve(mount.mount_point, FinalLink::follow).value_or(normalise_path(mount.mount_point));
    };
    std::vector<MissingMount> all = guest.missing_mounts();
    const auto bound = std::stable_partition(all.begin(), all.end(),
                                             [](const MissingMount& mount) { return mount.bound_from.empty(); });
    for (auto mount = all.begin(); mount != bound; ++mount) {
        std::string canonical = canonical_of(*mount);
        gaps_.push_back({std::move(*mount), std::move(canonical)});
    }
    for (auto mount = bound; mount != all.end(); ++mount) {
        std::string canonical = canonical_of(*mount);
        if (!follow_bind(*mount, canonical))
            gaps_.push_back({std::move(*mount), std::move(canonical)});
    }
}

bool PlanBuilder::follow_bind(const MissingMount& mount, const std::string& canonical) {
    const std::optional<std::string> source = resolve(mount.bound_from, FinalLink::follow);
    if (!source)
        return false;
    const std::optional<FileStatus> status = status_at(*source);
    const bool is_there = gap_above(*source) != nullptr || (status && status->type == FileType::directory);
    // What is mounted below either of the two is not seen below the other.
    const auto hides = [&](const std::string& point) { return is_below(point, canonical) || is_below(point, *source); };
    const std::vector<GuestMount> mounts = guest_.mounts();
    if (!is_there || hides(canonical) ||
        std::any_of(mounts.begin(), mounts.end(), [&](const GuestMount& each) { return hides(each.mount_point); }) ||
        std::any_of(gaps_.begin(), gaps_.end(), [&](const Gap& each) { return hides(each.canonical); }) ||
        std::any_of(binds_.begin(), binds_.end(), [&](const Bind& each) { return hides(each.canonical); }))
        return false;
    binds_.push_back({canonical, *source});
    return true;
}

const PlanBuilder::Gap* PlanBuilder::gap_above(const std::string& canonical) const {
    const Gap* deepest = nullptr;
    for (const Gap& gap : gaps_)
        if ((canonical == gap.canonical || is_below(canonical, gap.canonical)) &&
            (deepest == nullptr || gap.canonical.size() > deepest->canonical.size()))
            deepest = &gap;
    if (deepest != nullptr)
        for (const GuestMount& mount : guest_.mounts())
            if (mount.mount_point.size() >= deepest->canonical.size() &&
                (canonical == mount.mount_point || is_below(canonical, mount.mount_point)))
                return nullptr;
    return deepest;
}

void PlanBuilder::look(std::string_view path, FinalLink final_link) const {
    if (gaps_.empty())
        return;
    const std::optional<std::string> canonical = resolve(path, final_link);
    if (const Gap* gap = canonical ? gap_above(*canonical) : nullptr)
        if (gap->looked_for_by.empty())
            gaps_[static_cast<std::size_t>(gap - gaps_.data())].looked_for_by = operation_;
}

void PlanBuilder::refuse_gaps() {
    const auto refuse = [](const Gap& gap, const std::string& what) {
        fail(ErrorKind::unsupported,
             fmt::format("{} below {}, which the guest mounts from {} and which is not mounted here: {}", what,
                         quote_untrusted(gap.mount.mount_point), quote_untrusted(gap.mount.device),
                         escape_untrusted(gap.mount.reason)));
    };
    for (const Edit& edit : plan_.edits)
        if (const Gap* gap = gap_above(edit.path))
            refuse(*gap, fmt::format("{} ({}) would be changed", quote_untrusted(edit.path), edit.operation));
    for (const Gap& gap : gaps_) {
        // What a bind mount shows lies in the guest, whether it boots without that or not.
        if (!gap.looked_for_by.empty() && (gap.mount.need == MountNeed::required || !gap.mount.bound_from.empty()))
            refuse(gap, fmt::format("{} has to look", gap.looked_for_by));
        if (!plan_.edits.empty())
            plan_.findings.push_back(
                {gap.looked_for_by.empty() ? "mounts" : gap.looked_for_by,
                 fmt::format("nothing was looked at or changed below {}, which is not mounted "
                             "here: {} ({})",
                             escape_untrusted(gap.mount.mount_point), escape_untrusted(gap.mount.reason),
                             escape_untrusted(gap.mount.device))});
    }
}

const PlanBuilder::Planned* PlanBuilder::planned(const std::string& canonical) const {
    const auto found = planned_.find(canonical);
    return found == planned_.end() ? nullptr : &found->second;
}

bool PlanBuilder::hidden(const std::string& canonical) const {
    for (std::string folder = canonical; folder != "/";) {
        folder = parent_of(folder);
        const Planned* above = planned(folder);
        if (above != nullptr && above->fresh)
            return true;
    }
    return false;
}

std::optional<FileStatus> PlanBuilder::status_at(const std::string& canonical) const {
    if (const Planned* here = planned(canonical))
        return here->status;
    if (hidden(canonical))
        return std::nullopt;
    return tolerate([&] { return guest_.status(canonical, FinalLink::keep); });
}

std::optional<std::string> PlanBuilder::link_at(const std::string& canonical) const {
    if (const Planned* here = planned(canonical))
        return here->link_target;
    return tolerate([&] { return guest_.read_link(canonical); });
}

std::optional<std::string> PlanBuilder::resolve(std::string_view path, FinalLink final_link) const {
    std::deque<std::string> pending;
    for (std::string& part : parts_of(path))
        pending.push_back(std::move(part));
    std::string current = "/";
    unsigned links = 0;
    std::size_t steps = 0;
    while (!pending.empty()) {
        if (++steps > kResolvedPartLimit)
            return std::nullopt;
        const std::string part = std::move(pending.front());
        pending.pop_front();
        if (part == ".")
            continue;
        if (part == "..") {
            current = parent_of(current);
            continue;
        }
        const std::string next = child_of(current, part);
        const std::optional<FileStatus> status = status_at(next);
        if (status && status->type == FileType::symlink && (!pending.empty() || final_link == FinalLink::follow)) {
            if (++links > kLinkLimit)
                return std::nullopt;
            const std::optional<std::string> target = link_at(next);
            if (!target || target->empty())
                return std::nullopt;
            if (target->front() == '/')
                current = "/";
            const std::vector<std::string> target_parts = parts_of(*target);
            pending.insert(pending.begin(), target_parts.begin(), target_parts.end());
            continue;
        }
        if (status && status->type != FileType::directory && !pending.empty())
            return std::nullopt;
        const auto bind =
            std::find_if(binds_.begin(), binds_.end(), [&](const Bind& each) { return each.canonical == next; });
        current = bind == binds_.end() ? next : bind->source;
    }
    return current;
}

std::optional<FileStatus> PlanBuilder::status(std::string_view path, FinalLink final_link) const {
    look(path, final_link);
    const std::optional<std::string> canonical = resolve(path, final_link);
    return canonical ? status_at(*canonical) : std::nullopt;
}

std::vector<std::string> PlanBuilder::list(std::string_view path) const {
    look(path, FinalLink::follow);
    const std::optional<std::string> folder = resolve(path, FinalLink::follow);
    const std::optional<FileStatus> status = folder ? status_at(*folder) : std::nullopt;
    if (!status || status->type != FileType::directory)
        return {};
    std::vector<std::string> names; // in byte order; a folder may have a hundred thousand, and few are planned
    const Planned* here = planned(*folder);
    if (!hidden(*folder) && (here == nullptr || !here->fresh))
        if (auto present = tolerate([&] { return guest_.list(*folder); }))
            names = std::move(*present);
    for (auto entry = planned_.upper_bound(*folder); entry != planned_.end(); ++entry) {
        if (parent_of(entry->first) != *folder || entry->first == "/")
            continue;
        const std::string name = entry->first.substr(entry->first.rfind('/') + 1);
        const auto at = std::lower_bound(names.begin(), names.end(), name);
        const bool is_there = at != names.end() && *at == name;
        if (entry->second.status && !is_there)
            names.insert(at, name);
        else if (!entry->second.status && is_there)
            names.erase(at);
    }
    return names;
}

std::optional<std::string> PlanBuilder::read_text(std::string_view path) const {
    look(path, FinalLink::follow);
    const std::optional<std::string> canonical = resolve(path, FinalLink::follow);
    const std::optional<FileStatus> status = canonical ? status_at(*canonical) : std::nullopt;
    if (!status || status->type != FileType::regular)
        return std::nullopt;
    const Planned* here = planned(*canonical);
    if (here != nullptr && here->edit) {
        const Edit& edit = plan_.edits[*here->edit];
        return edit.host_file ? std::nullopt : std::optional(edit.content);
    }
    return tolerate([&] { return guest_.read_file(*canonical, kConfigurationFileLimit); });
}

std::optional<std::string> PlanBuilder::read_link(std::string_view path) const {
    look(path, FinalLink::keep);
    const std::optional<std::string> canonical = resolve(path, FinalLink::keep);
    const std::optional<FileStatus> status = canonical ? status_at(*canonical) : std::nullopt;
    if (!status || status->type != FileType::symlink)
        return std::nullopt;
    return link_at(*canonical);
}

// A mount point may be made at boot: what matches there is not found by names.
void PlanBuilder::look_by_pattern(const std::vector<std::string>& pattern) const {
    for (Gap& gap : gaps_) {
        const std::vector<std::string> point = parts_of(gap.canonical);
        if (gap.looked_for_by.empty() && point.size() <= pattern.size() &&
            std::equal(point.begin(), point.end(), pattern.begin(),
                       [](const std::string& name, const std::string& part) {
                           return fnmatch(part.c_str(), name.c_str(), FNM_PERIOD) == 0;
                       }))
            gap.looked_for_by = operation_;
    }
}

std::vector<std::string> PlanBuilder::glob(std::string_view pattern) const {
    std::vector<std::string> matches = {"/"};
    const std::vector<std::string> parts = parts_of(pattern);
    look_by_pattern(parts);
    for (const std::string& part : parts) {
        std::vector<std::string> next;
        for (const std::string& folder : matches) {
            if (part.find_first_of("*?[") == std::string::npos) {
                look(child_of(folder, part), FinalLink::keep);
                if (status(child_of(folder, part), FinalLink::keep))
                    next.push_back(child_of(folder, part));
                continue;
            }
            for (const std::string& name : list(folder))
                if (fnmatch(part.c_str(), name.c_str(), FNM_PERIOD) == 0)
                    next.push_back(child_of(folder, name));
        }
        matches = std::move(next);
    }
    return matches;
}

std::string PlanBuilder::resolve_for_change(std::string_view path, FinalLink final_link) const {
    if (path.find('\0') != std::string_view::npos)
        fail(ErrorKind::usage, "a path in the guest holds a zero byte");
    std::optional<std::string> canonical = resolve(path, final_link);
    if (!canonical)
        fail(ErrorKind::unsafe, fmt::format("cannot change {} in the guest: its symbolic links loop, or it leads "
                                            "through something that is no folder",
                                            quote_untrusted(path)));
    return *canonical;
}

void PlanBuilder::make_parents(const std::string& canonical, const std::string& reason) {
    std::vector<std::string> missing;
    for (std::string folder = parent_of(canonical); folder != "/"; folder = parent_of(folder)) {
        const std::optional<FileStatus> status = status_at(folder);
        if (status && status->type == FileType::directory)
            break;
        if (status)
            fail(ErrorKind::unsafe, fmt::format("cannot change {} in the guest: {} is a {}", quote_untrusted(canonical),
                                                quote_untrusted(folder), to_string(status->type)));
        missing.push_back(folder);
    }
    for (auto folder = missing.rbegin(); folder != missing.rend(); ++folder) {
        add(EditKind::make_folder, *folder, reason).attributes.permissions = 0755;
        planned_[*folder] = {new_status(FileType::directory, {}, 0755), {}, std::nullopt, true};
    }
}

Edit& PlanBuilder::add(EditKind kind, const std::string& canonical, std::string reason) {
    Edit edit;
    edit.kind = kind;
    edit.path = canonical;
    edit.operation = operation_;
    edit.reason = std::move(reason);
    plan_.edits.push_back(std::move(edit));
    return plan_.edits.back();
}

std::string PlanBuilder::prepare_write(std::string_view path, const std::string& reason) {
    std::string canonical = resolve_for_change(path, FinalLink::follow);
    const std::optional<FileStatus> present = status_at(canonical);
    if (canonical == "/" || (present && present->type != FileType::regular))
        fail(ErrorKind::unsafe,
             fmt::format("cannot write {} in the guest: it is a {}, and only regular files are written",
                         quote_untrusted(canonical), canonical == "/" ? "directory" : to_string(present->type)));
    make_parents(canonical, reason);
    return canonical;
}

void PlanBuilder::record_write(const std::string& canonical, Edit edit) {
    const std::optional<FileStatus> present = status_at(canonical);
    FileStatus status = present ? *present : new_status(FileType::regular, edit.attributes, 0644);
    status.permissions = edit.attributes.permissions.value_or(status.permissions);
    status.uid = edit.attributes.uid.value_or(status.uid);
    status.gid = edit.attributes.gid.value_or(status.gid);
    status.size = edit.size;
    const Planned* before = planned(canonical);
    std::size_t index = plan_.edits.size();
    if (before != nullptr && before->edit && plan_.edits[*before->edit].kind == EditKind::write_file) {
        index = *before->edit;
        Edit& first = plan_.edits[index];
        if (first.operation != edit.operation)
            first.operation += ", " + edit.operation;
        if (first.reason.find(edit.reason) == std::string::npos)
            first.reason += "; " + edit.reason;
        first.content = std::move(edit.content);
        first.host_file = std::move(edit.host_file);
        first.size = edit.size;
        if (edit.attributes.permissions)
            first.attributes.permissions = edit.attributes.permissions;
        if (edit.attributes.uid)
            first.attributes.uid = edit.attributes.uid;
        if (edit.attributes.gid)
            first.attributes.gid = edit.attributes.gid;
    } else {
        plan_.edits.push_back(std::move(edit));
    }
    planned_[canonical] = {status, {}, index, true};
}

void PlanBuilder::write(std::string_view path, std::string content, std::string reason, FileAttributes attributes) {
    const std::string canonical = prepare_write(path, reason);
    const std::optional<FileStatus> present = status_at(canonical);
    if (present && !changes(attributes, *present) && read_text(canonical) == content)
        return;
    Edit edit;
    edit.path = canonical;
    edit.size = content.size();
    edit.content = std::move(content);
    edit.attributes = std::move(attributes);
    edit.operation = operation_;
    edit.reason = std::move(reason);
    record_write(canonical, std::move(edit));
}

void PlanBuilder::write_host_file(std::string_view path, const std::filesystem::path& source, std::uint64_t size,
                                  std::string reason, FileAttributes attributes) {
    const std::string canonical = prepare_write(path, reason);
    Edit edit;
    edit.path = canonical;
    edit.host_file = source;
    edit.size = size;
    edit.attributes = std::move(attributes);
    edit.operation = operation_;
    edit.reason = std::move(reason);
    record_write(canonical, std::move(edit));
}

void PlanBuilder::append(std::string_view path, std::string content, std::string reason) {
    const std::string canonical = prepare_write(path, reason);
    std::optional<FileStatus> present = status_at(canonical);
    if (!present)
        fail(ErrorKind::not_found, fmt::format("the guest has no file {}", quote_untrusted(canonical)));
    present->size += content.size();
    Edit& edit = add(EditKind::append_file, canonical, std::move(reason));
    edit.size = content.size();
    edit.content = std::move(content);
    planned_[canonical] = {present, {}, std::nullopt, true};
}

void PlanBuilder::make_folder(std::string_view path, std::string reason, FileAttributes attributes) {
    const std::string canonical = resolve_for_change(path, FinalLink::follow);
    const std::optional<FileStatus> present = status_at(canonical);
    if (canonical == "/" || (present && present->type == FileType::directory))
        return;
    if (present)
        fail(ErrorKind::unsafe, fmt::format("cannot make the folder {} in the guest: a {} is there",
                                            quote_untrusted(canonical), to_string(present->type)));
    make_parents(canonical, reason);
    const FileStatus status = new_status(FileType::directory, attributes, 0755);
    add(EditKind::make_folder, canonical, std::move(reason)).attributes = std::move(attributes);
    planned_[canonical] = {status, {}, std::nullopt, true};
}

void PlanBuilder::make_symlink(std::string_view path, std::string target, std::string reason) {
    const std::string canonical = resolve_for_change(path, FinalLink::keep);
    const std::optional<FileStatus> present = status_at(canonical);
    if (present && present->type == FileType::symlink && link_at(canonical) == target)
        return;
    if (canonical == "/" || (present && present->type == FileType::directory))
        fail(ErrorKind::unsafe,
             fmt::format("cannot put a symbolic link at {} in the guest: it is a folder", quote_untrusted(canonical)));
    if (present)
        remove(canonical, reason);
    make_parents(canonical, reason);
    Edit& edit = add(EditKind::make_symlink, canonical, std::move(reason));
    edit.link_target = target;
    planned_[canonical] = {new_status(FileType::symlink, {}, 0777), std::move(target), std::nullopt, true};
}

void PlanBuilder::remove(std::string_view path, std::string reason) {
    look(path, FinalLink::keep);
    const std::optional<std::string> canonical = resolve(path, FinalLink::keep);
    if (!canonical || *canonical == "/" || !status_at(*canonical))
        return;
    for (const Gap& gap : gaps_)
        if (is_below(gap.canonical, *canonical))
            return found(fmt::format("{} is left, since the guest mounts {} below it", escape_untrusted(*canonical),
                                     escape_untrusted(gap.canonical)));
    for (const Bind& bind : binds_)
        if (bind.source == *canonical || is_below(bind.canonical, *canonical))
            return found(fmt::format("{} is left, since the guest shows it or something in it in two places",
                                     escape_untrusted(*canonical)));
    for (const GuestMount& mount : guest_.mounts())
        if (mount.mount_point == *canonical || is_below(mount.mount_point, *canonical))
            return found(
                fmt::format("{} is left, since a file system is mounted there or below", escape_untrusted(*canonical)));
    add(EditKind::remove, *canonical, std::move(reason));
    for (auto entry = planned_.upper_bound(*canonical); entry != planned_.end();)
        entry = is_below(entry->first, *canonical) ? planned_.erase(entry) : std::next(entry);
    planned_[*canonical] = {std::nullopt, {}, std::nullopt, true};
}

void PlanBuilder::remove_content(std::string_view folder, const std::string& reason) {
    const std::optional<std::string> canonical = resolve(folder, FinalLink::follow);
    if (!canonical)
        return;
    for (const std::string& name : list(*canonical))
        remove(child_of(*canonical, name), reason);
}

void PlanBuilder::empty_file(std::string_view path, std::string reason) {
    look(path, FinalLink::follow);
    const std::optional<std::string> canonical = resolve(path, FinalLink::follow);
    const std::optional<FileStatus> present = canonical ? status_at(*canonical) : std::nullopt;
    if (present && present->type == FileType::regular && present->size != 0)
        write(*canonical, {}, std::move(reason));
}

void PlanBuilder::repeat(const EditPlan& plan) {
    for (const Edit& edit : plan.edits) {
        begin(edit.operation);
        switch (edit.kind) {
        case EditKind::write_file:
            if (edit.host_file)
                write_host_file(edit.path, *edit.host_file, edit.size, edit.reason, edit.attributes);
            else
                write(edit.path, edit.content, edit.reason, edit.attributes);
            break;
        case EditKind::append_file:
            append(edit.path, edit.content, edit.reason);
            break;
        case EditKind::make_folder:
            make_folder(edit.path, edit.reason, edit.attributes);
            break;
        case EditKind::make_symlink:
            make_symlink(edit.path, edit.link_target, edit.reason);
            break;
        case EditKind::remove:
            remove(edit.path, edit.reason);
            break;
        }
    }
}

void PlanBuilder::found(std::string text) {
    plan_.findings.push_back({operation_, std::move(text)});
}

EditPlan PlanBuilder::finish() && {
    refuse_gaps();
    label_new_files(plan_, guest_);
    return std::move(plan_);
}

} // namespace vm2oci
