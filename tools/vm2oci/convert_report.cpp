#include "tools/vm2oci/convert_report.hpp"

#include "formats/base/escape.hpp"
#include "formats/base/size.hpp"
#include "tools/documents/document.hpp"
#include "tools/vm2oci/boot_test.hpp"
#include "tools/vm2oci/edit_options.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <ostream>

namespace vm2oci::cli {
namespace {

using Json = nlohmann::ordered_json;

Json to_json(const ReportedPaths& paths) {
    Json first = Json::array();
    for (const std::string& path : paths.first)
        first.push_back(escape_untrusted(path));
    return {{"count", paths.count}, {"first", first}};
}

// What the maker of a shape had to say.
struct RemarksOfShape {
    std::vector<std::string> operator()(const RootfsImage& image) const { return image.remarks; }
    std::vector<std::string> operator()(const BundleResult& result) const { return result.bundle.remarks; }
    std::vector<std::string> operator()(const KataReport& report) const { return report.remarks; }
    template <class Other>
    std::vector<std::string> operator()(const Other& /*made*/) const {
        return {};
    }
};

Json to_json(const ConvertRequest& request, const ConvertResult& result) {
    if (result.mode == EditMode::plan_only)
        return {{"source", request.source_name}, {"edits", edit_report_json(result.edits)}};
    Json json = std::visit([&](const auto& made) { return made_to_json(made, request); }, result.made);
    if (std::holds_alternative<UnpackedBundle>(result.made))
        return json;
    if (!result.is_published())
        json.erase("seed_disk");
    for (const FurtherImage& further : result.further_images) {
        Json image = made_to_json(further.report, request);
        image.erase("destination");
        image["source_disk"] = further.disk;
        image["tag"] = further.tag.empty() ? Json(nullptr) : Json(further.tag);
        json["further_images"].push_back(std::move(image));
    }
    json["edits"] = edit_report_json(result.edits);
    std::vector<std::string> remarks = result.remarks;
    const std::vector<std::string> more = std::visit(RemarksOfShape{}, result.made);
    remarks.insert(remarks.end(), more.begin(), more.end());
    json["remarks"] = remarks;
    add_boot_test_result(json, result.boot);
    return json;
}

} // namespace

Json made_to_json(const RootfsImage& image, const ConvertRequest& request) {
    Json layers = Json::array();
    for (const StoredLayer& layer : image.layers)
        layers.push_back(layer_to_json(layer));
    return {{"destination", request.destination_name},
            {"digest", image.manifest.digest.text()},
            {"media_type", image.manifest.media_type},
            {"size", image.manifest.size},
            {"layers", layers},
            {"files",
             {{"entries", image.report.entries},
              {"sockets_left_out", to_json(image.report.sockets)},
              {"devices_left_out", to_json(image.report.devices)},
              {"set_id", to_json(image.report.set_id)}}}};
}

Json made_to_json(const ImageReport& report, const ConvertRequest& request) {
    Json layer = layer_to_json(report.layer);
    layer["frames"] = report.layer.frames.size();
    layer["reused_frames"] = report.layer.reused_frames;
    return {{"destination", request.destination_name},
            {"digest", report.manifest.digest.text()},
            {"media_type", report.manifest.media_type},
            {"size", report.manifest.size},
            {"layer", std::move(layer)},
            {"disk",
             {{"path", report.disk_path},
              {"format", to_string(report.disk_format)},
              {"virtual_size", report.virtual_size},
              {"allocated_size", report.allocated_size}}}};
}

Json made_to_json(const PodmanMachineResult& result, const ConvertRequest& request) {
    Json layer = layer_to_json(result.image.layer);
    layer.erase("diff_id"); // artifacts have none
    layer["title"] = result.image.title;
    return {{"destination", request.destination_name},     {"digest", result.image.index.digest.text()},
            {"media_type", result.image.index.media_type}, {"size", result.image.index.size},
            {"disk_type", result.image.disk_type},         {"layer", std::move(layer)}};
}

void print_made(const PodmanMachineResult& result, const ConvertRequest& request, std::ostream& out) {
    const StoredLayer& layer = result.image.layer;
    out << fmt::format("{}\n  index   {}\n  disk    {} ({}, {} for {})\n", request.destination_name,
                       result.image.index.digest.text(), layer.descriptor.digest.text(),
                       format_size(layer.descriptor.size), result.image.title, result.image.disk_type);
}

Json made_to_json(const VmResult& result, const ConvertRequest& request) {
    Json disks = Json::array();
    for (const StoredLayer& disk : result.disks) {
        Json json = layer_to_json(disk);
        json.erase("diff_id"); // artifacts have none
        disks.push_back(std::move(json));
    }
    return {{"destination", request.destination_name},
            {"digest", result.manifest.digest.text()},
            {"media_type", result.manifest.media_type},
            {"size", result.manifest.size},
            {"machine", result.machine},
            {"disks", std::move(disks)}};
}

Json made_to_json(const PlainDiskResult& result, const ConvertRequest& request) {
    Json json = {{"destination", request.destination_name}, {"disk", disk_to_json(result.disk)}};
    if (!result.seed_disk.empty())
        json["seed_disk"] = result.seed_disk.string();
    for (const FurtherDiskFile& further : result.further_disks)
        json["further_disks"].push_back({{"source_disk", further.disk},
                                         {"destination", further.path.string()},
                                         {"disk", disk_to_json(further.report)}});
    return json;
}

Json made_to_json(const std::monostate& /*nothing*/, const ConvertRequest& /*request*/) {
    return Json::object();
}

void print_made(const RootfsImage& image, const ConvertRequest& request, std::ostream& out) {
    out << fmt::format("{}\n  image   {}\n", request.destination_name, image.manifest.digest.text());
    for (const StoredLayer& layer : image.layers)
        out << fmt::format("  layer   {} ({})\n", layer.descriptor.digest.text(), format_size(layer.descriptor.size));
    out << fmt::format("  files   {}\n", image.report.entries);
    for (const std::string& remark : image.remarks)
        out << "  note    " << remark << '\n';
}

void print_made(const VmResult& result, const ConvertRequest& request, std::ostream& out) {
    out << fmt::format("{}\n  image   {}\n  machine {}\n", request.destination_name, result.manifest.digest.text(),
                       result.machine);
    for (const StoredLayer& disk : result.disks)
        out << fmt::format("  disk    {} ({} of {})\n", disk.descriptor.digest.text(),
                           format_size(disk.descriptor.size), format_size(disk.content_size));
}

void print_made(const PlainDiskResult& result, const ConvertRequest& request, std::ostream& out) {
    out << fmt::format("{}\n  disk    {}, {} of data in {}\n", request.destination_name, to_string(result.disk.format),
                       format_size(result.disk.allocated_size), format_size(result.disk.virtual_size));
    for (const FurtherDiskFile& further : result.further_disks)
        out << fmt::format("  and     {} of {}: {}, {} of data in {}\n", further.path.string(), further.disk,
                           to_string(further.report.format), format_size(further.report.allocated_size),
                           format_size(further.report.virtual_size));
}

void print_made(const ImageReport& report, const ConvertRequest& request, std::ostream& out) {
    out << fmt::format("{}\n  image   {}\n  layer   {} ({})\n", request.destination_name, report.manifest.digest.text(),
                       report.layer.descriptor.digest.text(), format_size(report.layer.descriptor.size));
    if (request.reuse)
        out << fmt::format("  reused  {} of {} frames\n", report.layer.reused_frames, report.layer.frames.size());
    out << fmt::format("  disk    {}, {}, {} of data in {}\n", report.disk_path, to_string(report.disk_format),
                       format_size(report.allocated_size), format_size(report.virtual_size));
}

void print_made(const std::monostate& /*nothing*/, const ConvertRequest& /*request*/, std::ostream& /*out*/) {}

Json layer_to_json(const StoredLayer& layer) {
    return {{"digest", layer.descriptor.digest.text()},
            {"diff_id", layer.diff_id.text()},
            {"media_type", layer.descriptor.media_type},
            {"size", layer.descriptor.size},
            {"content_size", layer.content_size}};
}

Json disk_to_json(const DiskReport& report) {
    return {{"format", to_string(report.format)},
            {"file_size", report.file_size},
            {"virtual_size", report.virtual_size},
            {"allocated_size", report.allocated_size}};
}

ExitCode report_conversion(const ConvertRequest& request, const ConvertResult& result, Invocation& call) {
    if (call.json()) {
        call.out << document_text(to_json(request, result));
        return boot_test_exit_code(result.boot);
    }
    if (!std::holds_alternative<UnpackedBundle>(result.made))
        call.out << edit_report_text(result.edits, result.mode);
    if (print_boot_test_result(result.boot, call))
        std::visit([&](const auto& made) { print_made(made, request, call.out); }, result.made);
    for (const FurtherImage& further : result.further_images)
        if (result.is_published())
            call.out << fmt::format("  and     {} of {}: {}\n", further.tag.empty() ? "an image" : further.tag,
                                    further.disk, further.report.manifest.digest.text());
    return boot_test_exit_code(result.boot);
}

} // namespace vm2oci::cli
