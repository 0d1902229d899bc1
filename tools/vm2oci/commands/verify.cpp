// `vm2oci verify IMAGE`.
#include "formats/oci/verify.hpp"

#include "formats/base/escape.hpp"
#include "formats/base/size.hpp"
#include "formats/oci/layout_index.hpp"
#include "tools/documents/document.hpp"
#include "tools/flows/open_source.hpp"
#include "tools/vm2oci/command_table.hpp"
#include "tools/vm2oci/image_words.hpp"
#include "tools/vm2oci/page.hpp"
#include "tools/vm2oci/registry_options.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <ostream>

namespace vm2oci::cli {
namespace {

using Json = nlohmann::ordered_json;

Json to_json(const VerifyReport& report, const std::string& image) {
    const auto list = [](const std::vector<VerifyFinding>& lines, const char* what) {
        Json array = Json::array();
        for (const VerifyFinding& line : lines)
            array.push_back({{"where", line.where}, {what, line.problem}});
        return array;
    };
    Json images = Json::array();
    for (const Descriptor& one : report.images) {
        const auto tag = one.annotations.find(kRefNameAnnotation);
        images.push_back(
            {{"digest", one.digest.text()}, {"tag", tag == one.annotations.end() ? Json(nullptr) : Json(tag->second)}});
    }
    return {{"image", image},
            {"digest", report.images.front().digest.text()},
            {"images", std::move(images)},
            {"whole", report.findings.empty() && report.unjudged.empty()},
            {"manifests", report.manifests},
            {"blobs", report.blobs},
            {"stored_bytes", report.stored_bytes},
            {"content_bytes", report.content_bytes},
            {"findings", list(report.findings, "problem")},
            {"unjudged", list(report.unjudged, "reason")},
            {"remarks", list(report.remarks, "remark")}};
}

std::string verdict_of(const VerifyReport& report) {
    const auto count = [](std::size_t number, const char* one, const char* many) {
        return fmt::format("{} {}", number, number == 1 ? one : many);
    };
    if (!report.findings.empty())
        return "broken: " + count(report.findings.size(), "mismatch", "mismatches");
    if (!report.unjudged.empty())
        return count(report.unjudged.size(), "document", "documents") + " cannot be judged; the rest is whole";
    return report.remarks.empty() ? "whole" : "whole, as far as it can be told";
}

ExitCode exit_code_of(const VerifyReport& report) {
    if (!report.findings.empty())
        return ExitCode::verdict_no;
    return report.unjudged.empty() ? ExitCode::done : ExitCode::refused;
}

void print(const VerifyReport& report, const std::string& image, std::ostream& out) {
    Page page;
    page.heading(image);
    for (const Descriptor& one : report.images) {
        const auto tag = one.annotations.find(kRefNameAnnotation);
        page.row("digest", one.digest.text() + (report.images.size() == 1 || tag == one.annotations.end()
                                                    ? std::string()
                                                    : " " + escape_untrusted(tag->second)));
    }
    page.row("checked", fmt::format("{} manifests, {} blobs, {} stored, {} of content", report.manifests, report.blobs,
                                    format_size(report.stored_bytes), format_size(report.content_bytes)));
    for (const VerifyFinding& finding : report.findings)
        page.row("mismatch", finding.where + ": " + finding.problem);
    for (const VerifyFinding& line : report.unjudged)
        page.row("not judged", line.where + ": " + line.problem);
    for (const VerifyFinding& line : report.remarks)
        page.row("remark", line.where + ": " + line.problem);
    page.row("verdict", verdict_of(report));
    out << page.text();
}

} // namespace

void add_verify_command(CommandTable& table) {
    struct Arguments {
        std::string image;
        std::shared_ptr<RegistryArguments> registry;
    };
    const auto arguments = std::make_shared<Arguments>();
    CLI::App& command = table.add(
        "verify", "Recompute every digest, size and diff_id of an image, and list all that do not match",
        {{"vm2oci verify oci:images:web01", "exit code 0: the image is whole; 4: it is not; 3: it cannot be told"},
         {"vm2oci verify oci:images", "every image in a layout"}},
        [arguments](Invocation& call) {
            const ImageReference reference = parse_image_only(arguments->image, "verify");
            const auto source = open_image_source(reference, call.operation, arguments->registry->options());
            const VerifyReport report = verify_image(*source, call.operation);
            if (call.json())
                call.out << document_text(to_json(report, arguments->image));
            else
                print(report, arguments->image, call.out);
            return exit_code_of(report);
        });
    command.add_option("IMAGE", arguments->image, "The image")->required();
    arguments->registry = add_registry_options(command);
}

} // namespace vm2oci::cli
