#include "tools/vm2oci/image_page.hpp"

#include "formats/base/escape.hpp"
#include "formats/base/size.hpp"
#include "tools/vm2oci/disk_page.hpp"
#include "tools/vm2oci/machine_page.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace vm2oci::cli {
namespace {

std::string joined(const std::vector<std::string>& texts) {
    return fmt::format("{}", fmt::join(escape_each(texts), " "));
}

const std::string& kind_of(const Descriptor& referrer) {
    return referrer.artifact_type.empty() ? referrer.media_type : referrer.artifact_type;
}

} // namespace

void describe_image(Page& page, const ImageFindings& findings) {
    const ImageContent& content = findings.content;
    page.row("digest", content.manifest.digest.text());
    if (content.top.digest != content.manifest.digest)
        page.row("index", content.top.digest.text());
    page.row("media type", escape_untrusted(content.manifest.media_type));
    if (content.config) {
        const ImageConfig& config = *content.config;
        page.row("platform", escape_untrusted(config.platform.os + "/" + config.platform.architecture));
        page.row_unless_empty("created", escape_untrusted(config.created));
        page.row_unless_empty("entrypoint", joined(config.entrypoint));
        page.row_unless_empty("command", joined(config.command));
        for (const std::string& variable : config.environment)
            page.row("variable", escape_untrusted(variable));
        for (const auto& [key, value] : config.labels)
            page.row("label", escape_untrusted(fmt::format("{}={}", key, value)));
    }
    for (const auto& [key, value] : content.parsed_manifest.annotations)
        page.row("annotation", escape_untrusted(fmt::format("{}={}", key, value)));
    for (const Descriptor& layer : content.parsed_manifest.layers)
        page.row("layer", fmt::format("{} ({}, {})", layer.digest.text(), format_size(layer.size),
                                      escape_untrusted(layer.media_type)));
    page.row("content", std::string(describe(findings.trust)) +
                            (findings.trust == ContentTrust::not_verified ? "; --verify reads it all" : ""));
    for (const Descriptor& referrer : findings.referrers)
        page.row("referrer", fmt::format("{} ({}, {})", referrer.digest.text(), format_size(referrer.size),
                                         escape_untrusted(kind_of(referrer))));
    if (findings.disk) {
        page.heading("/" + escape_untrusted(*findings.disk_path));
        describe_disk(page, *findings.disk);
        for (const DiskSeen& disk : findings.further_disks) {
            page.heading("/" + disk.name);
            describe_disk(page, disk.findings);
        }
        if (findings.hardware) {
            page.heading("Machine");
            describe_machine(page, *findings.hardware);
        }
        if (findings.guest)
            describe_guest(page, *findings.guest);
    } else {
        page.row("disk", findings.no_disk);
    }
}

} // namespace vm2oci::cli
