#include "libconvert/edit/plan.hpp"

#include "formats/base/escape.hpp"
#include "formats/base/size.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace vm2oci {
namespace {

std::string attributes_text(const FileAttributes& attributes) {
    std::string text;
    if (attributes.permissions)
        text += fmt::format(", mode {:04o}", *attributes.permissions);
    if (attributes.uid || attributes.gid)
        text += fmt::format(", owner {}:{}", attributes.uid.value_or(0), attributes.gid.value_or(0));
    return text;
}

std::string edit_text(const Edit& edit) {
    std::string path = escape_untrusted(edit.path);
    switch (edit.kind) {
    case EditKind::write_file:
        return fmt::format("write    {} ({}{})", path, format_size(edit.size), attributes_text(edit.attributes));
    case EditKind::append_file:
        return fmt::format("append   {} ({})", path, format_size(edit.size));
    case EditKind::make_folder:
        return fmt::format("mkdir    {}", path);
    case EditKind::make_symlink:
        return fmt::format("symlink  {} -> {}", path, escape_untrusted(edit.link_target));
    case EditKind::remove:
        return fmt::format("remove   {}", path);
    }
    return path;
}

} // namespace

std::string_view to_string(EditKind kind) {
    switch (kind) {
    case EditKind::write_file:
        return "write";
    case EditKind::append_file:
        return "append";
    case EditKind::make_folder:
        return "mkdir";
    case EditKind::make_symlink:
        return "symlink";
    case EditKind::remove:
        return "remove";
    }
    return "?";
}

std::string to_text(const EditPlan& plan) {
    std::string text;
    for (const Edit& edit : plan.edits)
        text += fmt::format("{}\n           {}: {}\n", edit_text(edit), edit.operation, edit.reason);
    for (const EditFinding& finding : plan.findings)
        text += fmt::format("found    {}: {}\n", finding.operation, finding.text);
    return text;
}

nlohmann::ordered_json to_json(const EditPlan& plan) {
    nlohmann::ordered_json edits = nlohmann::ordered_json::array();
    for (const Edit& edit : plan.edits) {
        nlohmann::ordered_json item = {{"action", to_string(edit.kind)}, {"path", escape_untrusted(edit.path)}};
        if (edit.kind == EditKind::write_file || edit.kind == EditKind::append_file)
            item["size"] = edit.size;
        if (edit.kind == EditKind::make_symlink)
            item["target"] = escape_untrusted(edit.link_target);
        if (edit.attributes.permissions)
            item["mode"] = fmt::format("{:04o}", *edit.attributes.permissions);
        if (edit.attributes.uid)
            item["uid"] = *edit.attributes.uid;
        if (edit.attributes.gid)
            item["gid"] = *edit.attributes.gid;
        if (!edit.attributes.selinux_label.empty())
            item["selinux_label"] = escape_untrusted(edit.attributes.selinux_label);
        item["operation"] = edit.operation;
        item["reason"] = edit.reason;
        edits.push_back(std::move(item));
    }
    nlohmann::ordered_json findings = nlohmann::ordered_json::array();
    for (const EditFinding& finding : plan.findings)
        findings.push_back({{"operation", finding.operation}, {"text", finding.text}});
    return {{"changed", std::move(edits)}, {"found", std::move(findings)}};
}

} // namespace vm2oci
