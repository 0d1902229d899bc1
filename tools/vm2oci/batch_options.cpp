#include "tools/vm2oci/batch_options.hpp"

#include "formats/base/error.hpp"
#include "formats/base/fd.hpp"
#include "formats/base/size.hpp"
#include "tools/vm2oci/help.hpp"
#include "tools/vm2oci/option_values.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <iterator>

namespace vm2oci::cli {

void add_batch_options(CLI::App& command, BatchArguments& arguments) {
    command.add_option("LIST", arguments.lists, "Lines \"SOURCE DEST [OPTIONS]\" or YAML; - is standard input")
        ->required();
    const auto text = [&](const char* name, std::string& value, const char* value_name, const char* description) {
        return command.add_option(name, value, description)->option_text(value_name);
    };
    command.add_flag("-n,--dry-run", arguments.dry_run, "Say what would be converted, and with what, and leave")
        ->group(group::output);
    command.add_flag("-k,--keep-going", arguments.keep_going, "Go on with the others when one fails")
        ->group(group::output);
    command.add_option("-j,--jobs", arguments.jobs, "How many at once (default: one for each processor)")
        ->option_text("N")
        ->check(CLI::Range(1, 1024))
        ->group(group::output);
    text("--memory", arguments.memory, "SIZE", "What all of them may take (default: what is available)")
        ->check(size_value())
        ->group(group::output);
    text("--state", arguments.state, "DIR", "Where is remembered what was made (default: LIST.state)")
        ->group(group::output);
    text("--junit", arguments.junit, "FILE", "Write a JUnit file, one test case for each machine")
        ->group(group::output);
    text("--report", arguments.report, "FILE", "Write a page (HTML) with sizes, times and verdicts")
        ->group(group::output);
    text("--digest-file", arguments.digest_file, "FILE", "Of a share of one machine: write its digest")
        ->group(group::output);
    text("--destination-file", arguments.destination_file, "FILE",
         "Of a share of one machine: write where its image is, without docker://")
        ->group(group::output);
    command.add_option("--index", arguments.index, "Convert only this share, from 0 (default: $JOB_COMPLETION_INDEX)")
        ->option_text("N")
        ->group(group::output);
    command.add_option("--of", arguments.of, "Of so many shares")
        ->option_text("M")
        ->check(CLI::Range(1, 1000000))
        ->group(group::output);
    command.add_flag("--gather", arguments.gather, "LIST… are results of shares (--json): one summary of all")
        ->group(group::output);
    text("--for", arguments.target, "NAME", "Print what runs the batch in a cluster: kubernetes, tekton or argo")
        ->check(CLI::IsMember({"kubernetes", "tekton", "argo"}))
        ->group(group::output);
    text("--image", arguments.cluster.image, "IMAGE", "With --for: the container image of vm2oci")
        ->group(group::output);
    text("--disks-claim", arguments.cluster.disks_claim, "NAME",
         "With --for: the volume claim with the disks, at /disks (default: disks)")
        ->group(group::output);
    text("--registry-secret", arguments.cluster.registry_secret, "NAME",
         "With --for: the Secret with the registry's login (default: registry)")
        ->group(group::output);
    text("--state-claim", arguments.cluster.state_claim, "NAME",
         "With --for: a volume claim for what is remembered between runs (default: nothing is)")
        ->group(group::output);
    text("--name", arguments.cluster.name, "NAME", "With --for: what the objects are called (default: vm2oci-batch)")
        ->group(group::output);
}

const std::string& the_list(const BatchArguments& arguments) {
    if (arguments.lists.size() != 1)
        fail(ErrorKind::usage, "a batch has one list; several are results for --gather");
    return arguments.lists[0];
}

std::string read_list(const std::string& path, std::size_t limit) {
    if (path == "-") {
        std::string text{std::istreambuf_iterator<char>(std::cin), {}};
        if (text.size() > limit)
            fail(ErrorKind::limit, "the list is larger than " + format_size(limit));
        return text;
    }
    auto text = read_file(path, limit);
    if (!text)
        fail(ErrorKind::not_found, path + ": no such file");
    return *std::move(text);
}

BatchShare share_of(const BatchArguments& arguments) {
    if (!arguments.of) {
        if (arguments.index)
            fail(ErrorKind::usage, "--index needs --of, the number of shares");
        return {};
    }
    BatchShare share{arguments.index.value_or(0), *arguments.of};
    if (!arguments.index) {
        const char* variable = std::getenv("JOB_COMPLETION_INDEX");
        const std::string text = variable == nullptr ? "" : variable;
        if (text.empty() || text.size() > 9 || text.find_first_not_of("0123456789") != std::string::npos)
            fail(ErrorKind::usage, "--of needs --index, or JOB_COMPLETION_INDEX in the environment");
        share.index = std::stoul(text);
    }
    if (share.index >= share.of)
        fail(ErrorKind::usage, fmt::format("there is no share {} of {}: the first is 0", share.index, share.of));
    return share;
}

std::filesystem::path state_folder(const BatchArguments& arguments) {
    if (!arguments.state.empty())
        return arguments.state;
    if (the_list(arguments) == "-")
        fail(ErrorKind::usage, "a list from standard input needs --state, a folder for what is remembered");
    return the_list(arguments) + ".state";
}

BatchBudget budget_for(const BatchArguments& arguments, unsigned threads, std::size_t items) {
    BatchBudget budget;
    budget.all = available_budget();
    if (threads != 0)
        budget.all.processors = threads;
    if (!arguments.memory.empty())
        budget.all.memory = parse_size(arguments.memory);
    budget.jobs = std::max<std::size_t>(1, std::min(items, arguments.jobs.value_or(budget.all.processors)));
    budget.threads = std::max(1U, budget.all.processors / static_cast<unsigned>(budget.jobs));
    // Who asks for more at once than there are processors gets it.
    budget.all.processors = std::max(budget.all.processors, static_cast<unsigned>(budget.jobs));
    return budget;
}

} // namespace vm2oci::cli
