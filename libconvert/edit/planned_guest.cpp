#include "libconvert/edit/planned_guest.hpp"

#include "formats/base/error.hpp"

#include <algorithm>

namespace vm2oci {

PlannedGuest::PlannedGuest(const Guest& guest, const EditPlan& plan)
    : guest_(guest), builder_(guest, MissingMounts::ignore) {
    builder_.repeat(plan);
}

std::optional<FileStatus> PlannedGuest::status(std::string_view path, FinalLink final_link) const {
    return builder_.status(path, final_link);
}

std::optional<std::vector<std::string>> PlannedGuest::list(std::string_view path) const {
    const auto folder = builder_.status(path);
    if (!folder || folder->type != FileType::directory)
        return std::nullopt;
    return builder_.list(path);
}

std::optional<std::string> PlannedGuest::read_file(std::string_view path, std::size_t limit) const {
    const auto canonical = builder_.resolve(path, FinalLink::follow);
    if (!canonical)
        return std::nullopt;
    if (builder_.leaves(*canonical))
        return guest_.read_file(*canonical, limit);
    auto text = builder_.read_text(*canonical);
    if (text && text->size() > limit)
        fail(ErrorKind::limit, "a file that was to be written is larger than what may be read");
    return text;
}

std::optional<std::string> PlannedGuest::read_range(std::string_view path, std::uint64_t offset,
                                                    std::size_t length) const {
    const auto canonical = builder_.resolve(path, FinalLink::follow);
    if (!canonical)
        return std::nullopt;
    if (builder_.leaves(*canonical))
        return guest_.read_range(*canonical, offset, length);
    const auto text = builder_.read_text(*canonical);
    return text ? std::optional(text->substr(std::min<std::uint64_t>(offset, text->size()), length)) : std::nullopt;
}

std::optional<std::string> PlannedGuest::read_link(std::string_view path) const {
    return builder_.read_link(path);
}

std::vector<ExtendedAttribute> PlannedGuest::attributes(std::string_view path) const {
    const auto canonical = builder_.resolve(path, FinalLink::keep);
    return canonical && builder_.leaves(*canonical) ? guest_.attributes(*canonical) : std::vector<ExtendedAttribute>();
}

void PlannedGuest::export_tree(const ExportOptions&, TreeSink&, const OperationContext&) const {
    fail(ErrorKind::unsupported, "a guest that is only planned has no tree");
}

OpenedGuest as_planned(const OpenedGuest& opened, const EditPlan& plan) {
    OpenedGuest planned;
    planned.disk = opened.disk;
    planned.layout = opened.layout;
    planned.windows = opened.windows;
    planned.guest = std::make_unique<PlannedGuest>(*opened.guest, plan);
    planned.fstab = parse_fstab(try_read_text(*planned.guest, "/etc/fstab").value_or(""));
    for (const FstabEntry& entry : planned.fstab)
        planned.fstab_volumes.push_back(find_volume(planned.layout, entry.device));
    return planned;
}

} // namespace vm2oci
