#include "tools/vm2oci/rootfs_report.hpp"

#include "formats/base/escape.hpp"
#include "formats/base/size.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <ostream>

namespace vm2oci::cli {
namespace {

using Json = nlohmann::ordered_json;

Json paths_to_json(const ReportedPaths& paths) {
    Json first = Json::array();
    for (const std::string& path : paths.first)
        first.push_back(escape_untrusted(path));
    return {{"count", paths.count}, {"first", first}};
}

Json to_json(const RootfsImage& image, const std::string& destination) {
    Json layers = Json::array();
    for (const StoredLayer& layer : image.layers)
        layers.push_back({{"digest", layer.descriptor.digest.text()},
                          {"diff_id", layer.diff_id.text()},
                          {"media_type", layer.descriptor.media_type},
                          {"size", layer.descriptor.size},
                          {"content_size", layer.content_size}});
    return {{"destination", destination},
            {"digest", image.manifest.digest.text()},
            {"media_type", image.manifest.media_type},
            {"size", image.manifest.size},
            {"layers", layers},
            {"files",
             {{"entries", image.report.entries},
              {"sockets_left_out", paths_to_json(image.report.sockets)},
              {"devices_left_out", paths_to_json(image.report.devices)},
              {"set_id", paths_to_json(image.report.set_id)}}},
            {"remarks", image.remarks}};
}

} // namespace

void print_rootfs(const RootfsImage& image, const std::string& destination, const Json& edits, Invocation& call) {
    if (call.json()) {
        Json json = to_json(image, destination);
        json["edits"] = edits;
        call.out << json.dump(2) << '\n';
        return;
    }
    call.out << fmt::format("{}\n  image   {}\n", destination, image.manifest.digest.text());
    for (const StoredLayer& layer : image.layers)
        call.out << fmt::format("  layer   {} ({})\n", layer.descriptor.digest.text(),
                                format_size(layer.descriptor.size));
    call.out << fmt::format("  files   {}\n", image.report.entries);
    for (const std::string& remark : image.remarks)
        call.out << "  note    " << remark << '\n';
}

} // namespace vm2oci::cli
