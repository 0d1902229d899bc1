// `vm2oci check IMAGE`.
#include "tools/flows/check.hpp"

#include "formats/base/escape.hpp"
#include "libconvert/package/architecture.hpp"
#include "tools/documents/document.hpp"
#include "tools/vm2oci/command_table.hpp"
#include "tools/vm2oci/help.hpp"
#include "tools/vm2oci/image_words.hpp"
#include "tools/vm2oci/page.hpp"
#include "tools/vm2oci/registry_options.hpp"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <map>
#include <ostream>
#include <string>
#include <vector>

namespace vm2oci::cli {
namespace {

using Json = nlohmann::ordered_json;

struct CheckArguments {
    std::string image;
    std::vector<std::string> consumers;
    std::string architecture;
    bool verify = false;
    std::shared_ptr<RegistryArguments> registry;
};

std::vector<const Consumer*> named_consumers(const std::vector<std::string>& names) {
    std::vector<const Consumer*> named;
    named.reserve(names.size());
    for (const std::string& name : names)
        named.push_back(&find_consumer(name));
    return named;
}

Json to_json(const CheckResult& result, const std::string& image) {
    Json list = Json::array();
    for (const ConsumerVerdict& verdict : result.verdicts) {
        Json problems = Json::array();
        for (const Problem& problem : verdict.problems) {
            Json entry = {{"severity", problem.severity == ProblemSeverity::error ? "error" : "warning"},
                          {"rule", problem.rule},
                          {"text", problem.text}};
            if (!problem.remedy.empty())
                entry["remedy"] = problem.remedy;
            problems.push_back(std::move(entry));
        }
        list.push_back(
            {{"consumer", verdict.consumer->name}, {"works", verdict.works()}, {"problems", std::move(problems)}});
    }
    Json document = {{"image", image}, {"content", to_string(result.trust)}, {"consumers", std::move(list)}};
    for (const PartlyListedLayer& part : result.partly_listed)
        document["partly_listed"].push_back({{"layer", part.layer.text()}, {"last_listed", part.last_listed}});
    return document;
}

std::string line_of(const Problem& problem) {
    return problem.text + (problem.remedy.empty() ? "" : "; " + problem.remedy);
}

// What several consumers have to say in the same words is said once, at the end.
std::string to_text(const CheckResult& result) {
    const std::vector<ConsumerVerdict>& verdicts = result.verdicts;
    std::vector<std::string> notes; // in the order in which they come up
    std::map<std::string, unsigned> times;
    for (const ConsumerVerdict& verdict : verdicts)
        for (const Problem& problem : verdict.problems)
            if (problem.severity == ProblemSeverity::warning && ++times[line_of(problem)] == 2)
                notes.push_back(line_of(problem));
    Page page;
    for (const ConsumerVerdict& verdict : verdicts) {
        page.heading(std::string(verdict.consumer->description) + ": " + (verdict.works() ? "works" : "does not work"));
        for (const Problem& problem : verdict.problems)
            if (problem.severity == ProblemSeverity::error)
                page.row("error", line_of(problem));
            else if (times[line_of(problem)] == 1)
                page.row("note", line_of(problem));
    }
    if (!notes.empty())
        page.heading("For several of them");
    for (const std::string& note : notes)
        page.row("note", note);
    if (!result.partly_listed.empty())
        page.heading("Not looked at; --verify reads it all");
    for (const PartlyListedLayer& part : result.partly_listed)
        page.row("layer",
                 part.layer.text() + " from " + quote_untrusted(part.last_listed) + " on, but for its beginning");
    return page.text();
}

ExitCode check(const CheckArguments& arguments, Invocation& call) {
    CheckRequest request;
    request.consumers = named_consumers(arguments.consumers);
    request.image = parse_image_only(arguments.image, "check");
    if (!arguments.architecture.empty())
        request.architecture = parse_wanted_platform(arguments.architecture);
    if (arguments.verify)
        request.check = ContentCheck::whole;
    request.registry = arguments.registry->options();
    const CheckResult result = check_image(request, call.operation);
    if (call.json())
        call.out << document_text(to_json(result, arguments.image));
    else
        call.out << to_text(result);
    return result.all_work() ? ExitCode::done : ExitCode::verdict_no;
}

std::string consumer_names() {
    std::string names;
    for (const Consumer& consumer : consumers())
        names += (names.empty() ? "" : ", ") + std::string(consumer.name);
    return names;
}

} // namespace

void add_check_command(CommandTable& table) {
    const auto arguments = std::make_shared<CheckArguments>();
    CLI::App& command =
        table.add("check", "Tell whether an image would work in KubeVirt, CDI and others, and if not, why",
                  {{"vm2oci check oci:images:web01", "all consumers that are known; exit code 4 if one would not work"},
                   {"vm2oci check --for kubevirt,cdi docker://registry.example/vm/web01:1", "only those two"}},
                  [arguments](Invocation& call) { return check(*arguments, call); });
    command.add_option("IMAGE", arguments->image, "The image")->required();
    command
        .add_option("--for", arguments->consumers,
                    "Consumers, parted by commas: " + consumer_names() + " (default: all that the image is for)")
        ->option_text("NAME,...")
        ->delimiter(',')
        ->allow_extra_args(false);
    command.add_option("--arch", arguments->architecture, "Which image of an index to check")
        ->option_text("ARCH")
        ->group(group::source);
    command
        .add_flag("--verify", arguments->verify,
                  "Read the layers of a remote image whole, too, and hold them against their digests")
        ->group(group::source);
    arguments->registry = add_registry_options(command);
}

} // namespace vm2oci::cli
