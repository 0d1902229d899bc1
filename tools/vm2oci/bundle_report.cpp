#include "formats/base/size.hpp"
#include "tools/vm2oci/convert_report.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <ostream>

namespace vm2oci::cli {
namespace {

using Json = nlohmann::ordered_json;

Json files_json(const std::vector<UnpackedFile>& files) {
    Json json = Json::array();
    for (const UnpackedFile& file : files)
        json.push_back({{"name", file.name}, {"size", file.size}, {"purpose", file.purpose}});
    return json;
}

std::string files_text(const std::vector<UnpackedFile>& files) {
    std::string text;
    for (const UnpackedFile& file : files)
        text += fmt::format("  {:<28} {} ({})\n", file.name, file.purpose, format_size(file.size));
    return text;
}

} // namespace

Json made_to_json(const BundleResult& result, const ConvertRequest& request) {
    const auto& [bundle, image] = result;
    const BundleDescription& description = bundle.description;
    Json kernel = {{"path", description.kernel},
                   {"origin", to_string(description.kernel_origin)},
                   {"size", bundle.kernel.image.size()}};
    if (!description.kernel_release.empty())
        kernel["release"] = description.kernel_release;
    Json json = {{"destination", request.destination_name},
                 {"digest", image.manifest.digest.text()},
                 {"media_type", image.manifest.media_type},
                 {"size", image.manifest.size},
                 {"layers", {layer_to_json(image.disk_layer), layer_to_json(image.boot_layer)}},
                 {"kernel", std::move(kernel)}};
    if (description.initramfs)
        json["initramfs"] = {{"path", *description.initramfs}, {"size", bundle.kernel.initramfs->size()}};
    json["command_line"] = description.command_line;
    json["root"] = {{"path", description.root},
                    {"format", to_string(description.root_format)},
                    {"file_system", bundle.root_disk.type},
                    {"from", bundle.root_disk.origin},
                    {"joined", bundle.root_disk.shape == RootShape::joined},
                    {"virtual_size", bundle.root->virtual_size},
                    {"file_size", bundle.root->bytes->size()}};
    if (description.verity)
        json["root"]["verity"] = {{"root_hash", description.verity->hash},
                                  {"superblock_at", description.verity->superblock_at}};
    return json;
}

void print_made(const BundleResult& result, const ConvertRequest& request, std::ostream& out) {
    const auto& [bundle, image] = result;
    const BundleDescription& description = bundle.description;
    out << fmt::format("{}\n  image   {}\n", request.destination_name, image.manifest.digest.text());
    for (const StoredLayer& layer : {image.disk_layer, image.boot_layer})
        out << fmt::format("  layer   {} ({})\n", layer.descriptor.digest.text(), format_size(layer.descriptor.size));
    out << fmt::format("  kernel  {}, {}{}, {}\n", description.kernel, to_string(description.kernel_origin),
                       description.kernel_release.empty() ? "" : " " + description.kernel_release,
                       format_size(bundle.kernel.image.size()));
    if (description.initramfs)
        out << fmt::format("  initrd  {}, {}\n", *description.initramfs, format_size(bundle.kernel.initramfs->size()));
    out << fmt::format("  root    {}, {} from {}{}, {} of data in {}\n", description.root, bundle.root_disk.type,
                       bundle.root_disk.shape == RootShape::joined ? "joined " : "", bundle.root_disk.origin,
                       format_size(bundle.root->allocated_size), format_size(bundle.root->virtual_size));
    if (description.verity)
        out << fmt::format("  verity  {}, its superblock at {}\n", description.verity->hash,
                           description.verity->superblock_at);
    out << "  told    " << description.command_line << '\n';
    for (const std::string& remark : bundle.remarks)
        out << "  note    " << remark << '\n';
}

Json made_to_json(const UnpackedBundle& bundle, const ConvertRequest& request) {
    return {{"destination", request.destination_name},
            {"command_line", bundle.description.command_line},
            {"files", files_json(bundle.files)}};
}

void print_made(const UnpackedBundle& bundle, const ConvertRequest& request, std::ostream& out) {
    out << request.destination_name << '\n' << files_text(bundle.files);
}

Json made_to_json(const KataReport& report, const ConvertRequest& request) {
    Json json = {
        {"destination", request.destination_name}, {"files", files_json(report.files)}, {"drop_in", report.drop_in}};
    if (report.verity)
        json["verity"] = {{"root_hash", to_hex(report.verity->hash)}, {"salt", to_hex(report.verity->salt)}};
    return json;
}

Json made_to_json(const VirtletResult& made, const ConvertRequest& request) {
    return {{"destination", request.destination_name}, {"files", files_json(made.files)}};
}

void print_made(const VirtletResult& made, const ConvertRequest& request, std::ostream& out) {
    out << request.destination_name << '\n' << files_text(made.files);
}

void print_made(const KataReport& report, const ConvertRequest& request, std::ostream& out) {
    out << request.destination_name << '\n' << files_text(report.files);
    for (const std::string& remark : report.remarks)
        out << "  note    " << remark << '\n';
    out << '\n' << report.drop_in;
}

} // namespace vm2oci::cli
