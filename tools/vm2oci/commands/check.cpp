// `vm2oci check IMAGE`.
#include "formats/base/error.hpp"
#include "libconvert/check/consumers.hpp"
#include "libconvert/package/architecture.hpp"
#include "tools/flows/open_source.hpp"
#include "tools/vm2oci/command_table.hpp"
#include "tools/vm2oci/help.hpp"
#include "tools/vm2oci/image_words.hpp"
#include "tools/vm2oci/page.hpp"
#include "tools/vm2oci/registry_options.hpp"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <ostream>

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

struct ConsumerVerdict {
    const Consumer* consumer;
    std::vector<Problem> problems;

    bool works() const {
        return std::none_of(problems.begin(), problems.end(),
                            [](const Problem& problem) { return problem.severity == ProblemSeverity::error; });
    }
};

std::vector<const Consumer*> named_consumers(const std::vector<std::string>& names) {
    std::vector<const Consumer*> named;
    for (const std::string& name : names)
        named.push_back(&find_consumer(name));
    return named;
}

std::vector<const Consumer*> concerned_consumers(const ImageFacts& facts) {
    std::vector<const Consumer*> concerned;
    for (const Consumer& consumer : consumers())
        if (consumer.concerns(facts))
            concerned.push_back(&consumer);
    return concerned;
}

Json to_json(const std::vector<ConsumerVerdict>& verdicts, const std::string& image, ContentTrust trust) {
    Json list = Json::array();
    for (const ConsumerVerdict& verdict : verdicts) {
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
    return {{"image", image}, {"content", to_string(trust)}, {"consumers", std::move(list)}};
}

std::string to_text(const std::vector<ConsumerVerdict>& verdicts) {
    Page page;
    for (const ConsumerVerdict& verdict : verdicts) {
        page.heading(std::string(verdict.consumer->description) + ": " + (verdict.works() ? "works" : "does not work"));
        for (const Problem& problem : verdict.problems)
            page.row(problem.severity == ProblemSeverity::error ? "error" : "note",
                     problem.text + (problem.remedy.empty() ? "" : "; " + problem.remedy));
    }
    return page.text();
}

ExitCode check(const CheckArguments& arguments, Invocation& call) {
    const std::vector<const Consumer*> named = named_consumers(arguments.consumers);
    const ImageReference reference = parse_image_only(arguments.image, "check");
    const auto source = open_image_source(reference, call.operation, arguments.registry->options());
    const std::string architecture =
        arguments.architecture.empty() ? std::string() : parse_wanted_platform(arguments.architecture);
    const ImageFacts facts = gather_image_facts(*source, architecture, call.operation,
                                                arguments.verify ? LayerReading::whole : LayerReading::whole_if_local);
    if (facts.trust == ContentTrust::not_verified)
        call.operation.progress->note("the image's content is " + std::string(describe(facts.trust)));
    std::vector<ConsumerVerdict> verdicts;
    for (const Consumer* consumer : named.empty() ? concerned_consumers(facts) : named)
        verdicts.push_back({consumer, consumer->check(facts)});
    if (call.json())
        call.out << to_json(verdicts, arguments.image, facts.trust).dump(2) << '\n';
    else
        call.out << to_text(verdicts);
    const bool all_work =
        std::all_of(verdicts.begin(), verdicts.end(), [](const ConsumerVerdict& verdict) { return verdict.works(); });
    return all_work ? ExitCode::done : ExitCode::verdict_no;
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
