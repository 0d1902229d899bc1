// What tests of edits ask of plans.
#pragma once

#include "formats/base/error.hpp"
#include "libconvert/edit/plan_edits.hpp"
#include "libconvert/edit/planners.hpp"
#include "tests/support/memory_guest.hpp"

#include <algorithm>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci::test {

inline const Edit* edit_at(const EditPlan& plan, std::string_view path) {
    const auto found =
        std::find_if(plan.edits.begin(), plan.edits.end(), [&](const Edit& each) { return each.path == path; });
    return found == plan.edits.end() ? nullptr : &*found;
}

// What the plan writes there; "-" when it writes nothing, so that a failed comparison shows it.
inline std::string written(const EditPlan& plan, std::string_view path) {
    const Edit* edit = edit_at(plan, path);
    return edit == nullptr || edit->kind != EditKind::write_file ? "-" : edit->content;
}

inline bool removes(const EditPlan& plan, std::string_view path) {
    return std::any_of(plan.edits.begin(), plan.edits.end(),
                       [&](const Edit& each) { return each.kind == EditKind::remove && each.path == path; });
}

// The target of the link that the plan makes there; "-": it makes none.
inline std::string linked(const EditPlan& plan, std::string_view path) {
    for (const Edit& each : plan.edits)
        if (each.kind == EditKind::make_symlink && each.path == path)
            return each.link_target;
    return "-";
}

inline bool tells(const EditPlan& plan, std::string_view text) {
    return std::any_of(plan.findings.begin(), plan.findings.end(),
                       [&](const EditFinding& each) { return each.text.find(text) != std::string::npos; });
}

inline EditPlan plan_fix(const MemoryGuest& guest, std::string_view list, const std::vector<DiskVolume>& volumes = {}) {
    EditRequest request;
    request.fixes = select_fixes(list);
    return plan_edits(guest, volumes, request);
}

inline EditPlan plan_sysprep_of(const MemoryGuest& guest, std::string_view list) {
    EditRequest request;
    request.sysprep = select_sysprep(list);
    return plan_edits(guest, {}, request);
}

// The sentence of what is refused, and whether it is of this kind.
inline std::string refused(ErrorKind kind, const std::function<void()>& body) {
    try {
        body();
    } catch (const Error& error) {
        return (error.kind() == kind ? "" : "of another kind: ") + std::string(error.what());
    }
    return "nothing was refused";
}

inline MemoryGuest with_systemd_alone() {
    MemoryGuest guest;
    guest.file("/usr/lib/systemd/systemd", "").symlink("/sbin/init", "/usr/lib/systemd/systemd");
    return guest;
}

} // namespace vm2oci::test
