// `vm2oci batch LIST`.
#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/base/fd.hpp"
#include "formats/base/outputs.hpp"
#include "formats/base/size.hpp"
#include "formats/base/version.hpp"
#include "tools/batch/document.hpp"
#include "tools/batch/junit.hpp"
#include "tools/batch/page.hpp"
#include "tools/batch/run.hpp"
#include "tools/documents/document.hpp"
#include "tools/vm2oci/batch_cluster.hpp"
#include "tools/vm2oci/batch_destination.hpp"
#include "tools/vm2oci/batch_display.hpp"
#include "tools/vm2oci/batch_list.hpp"
#include "tools/vm2oci/batch_process.hpp"
#include "tools/vm2oci/command_table.hpp"
#include "tools/vm2oci/help.hpp"
#include "tools/vm2oci/option_values.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <iterator>
#include <map>

namespace vm2oci::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kListLimit = 4 * MiB;    // tens of thousands of machines
constexpr std::size_t kResultLimit = 64 * MiB; // the same, with a pod's log around it

// Of a pod besides its conversion: this program, which waits for it, and page cache that counts as the pod's.
constexpr std::uint64_t kPodMemory = 256 * MiB;

// Between looks at what runs: small disks take a few hundredths of a second.

struct BatchArguments {
    std::vector<std::string> lists;
    std::string state;
    std::optional<std::size_t> jobs;
    std::string memory;
    std::optional<std::size_t> index;
    std::optional<std::size_t> of;
    bool keep_going = false;
    bool dry_run = false;
    bool gather = false;
    std::string junit;
    std::string report;
    std::string digest_file;
    std::string destination_file;
    std::string target;
    ClusterWishes cluster;
};

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

const std::string& the_list(const BatchArguments& arguments) {
    if (arguments.lists.size() != 1)
        fail(ErrorKind::usage, "a batch has one list; several are results for --gather");
    return arguments.lists[0];
}

// An Indexed Job of Kubernetes says which pod this is.
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

fs::path state_folder(const BatchArguments& arguments) {
    if (!arguments.state.empty())
        return arguments.state;
    if (the_list(arguments) == "-")
        fail(ErrorKind::usage, "a list from standard input needs --state, a folder for what is remembered");
    return the_list(arguments) + ".state";
}

BatchBudget budget_for(const BatchArguments& arguments, const Invocation& call, std::size_t items) {
    BatchBudget budget;
    budget.all = available_budget();
    if (call.global.threads != 0)
        budget.all.processors = call.global.threads;
    if (!arguments.memory.empty())
        budget.all.memory = parse_size(arguments.memory);
    budget.jobs = std::max<std::size_t>(1, std::min(items, arguments.jobs.value_or(budget.all.processors)));
    budget.threads = std::max(1U, budget.all.processors / static_cast<unsigned>(budget.jobs));
    // Who asks for more at once than there are processors gets it.
    budget.all.processors = std::max(budget.all.processors, static_cast<unsigned>(budget.jobs));
    return budget;
}

// What is written besides: opened before work begins, so that a path that cannot be had stops the command in time.
class Reports {
  public:
    Reports(const BatchArguments& arguments, const OperationContext& operation) : outputs_(operation) {
        const auto add = [&](const std::string& path) { return path.empty() ? nullptr : &outputs_.add_document(path); };
        junit_ = add(arguments.junit);
        page_ = add(arguments.report);
        digest_ = add(arguments.digest_file);
        destination_ = add(arguments.destination_file);
    }

    void write(const BatchResult& result) {
        if (junit_ != nullptr)
            junit_->content = batch_junit(result);
        if (page_ != nullptr)
            page_->content = batch_page(result);
        if (result.all_good() && !result.items.empty()) {
            constexpr std::string_view kScheme = "docker://";
            const ItemResult& only = result.items.front();
            if (digest_ != nullptr)
                digest_->content = only.digest;
            if (destination_ != nullptr)
                destination_->content =
                    only.destination.starts_with(kScheme) ? only.destination.substr(kScheme.size()) : only.destination;
        }
        outputs_.write();
        outputs_.commit();
    }

  private:
    Outputs outputs_;
    Outputs::Document* junit_ = nullptr;
    Outputs::Document* page_ = nullptr;
    Outputs::Document* digest_ = nullptr;
    Outputs::Document* destination_ = nullptr;
};

ExitCode tell(Reports& reports, const BatchResult& result, Invocation& call) {
    reports.write(result);
    if (call.json()) {
        call.out << batch_result_text(result);
    } else {
        for (const ItemResult& item : result.items)
            call.out << item_line(item) << '\n';
        call.out << fmt::format("{} of {} machines are there: {} made in {}, {} unchanged\n",
                                result.count(ItemState::done) + result.count(ItemState::unchanged), result.items.size(),
                                result.count(ItemState::done), format_duration(result.seconds),
                                result.count(ItemState::unchanged));
    }
    return static_cast<ExitCode>(exit_code_of(result));
}

ExitCode show_plan(const BatchRequest& request, const BatchState* state, const BatchEngine& engine, Invocation& call) {
    nlohmann::ordered_json items = nlohmann::ordered_json::array();
    std::size_t to_make = 0;
    for (const BatchItem& item : request.items) {
        ItemResult made;
        const bool is_there = state != nullptr && is_made(item, *state, engine, request.program, made);
        to_make += is_there ? 0 : 1;
        const std::string_view plan = is_there ? "unchanged" : item.inputs ? "convert" : "convert-always";
        items.push_back({{"number", item.number},
                         {"name", item.name},
                         {"source", item.source},
                         {"destination", item.destination},
                         {"plan", plan},
                         {"processors", item.cost.processors},
                         {"memory", item.cost.memory}});
        if (!call.json())
            call.out << fmt::format("{:<20} {:<14} {} → {}\n", item.name, plan, item.source, item.destination);
    }
    const BatchBudget& budget = request.budget;
    if (call.json())
        call.out << document_text({{"list", request.list},
                                   {"at_once", budget.jobs},
                                   {"processors", budget.all.processors},
                                   {"memory", budget.all.memory},
                                   {"machines", std::move(items)}});
    else
        call.out << fmt::format(
            "{} of {} machines to convert, {} at once with {} thread(s) each, within {} of memory\n", to_make,
            request.items.size(), budget.jobs, budget.threads, format_size(budget.all.memory));
    return ExitCode::done;
}

std::string own_path() {
    std::error_code error;
    const fs::path path = fs::read_symlink("/proc/self/exe", error);
    if (error)
        fail(ErrorKind::external, "this program's own file cannot be found: /proc is not there");
    return path.string();
}

ExitCode run_list(const BatchArguments& arguments, Invocation& call) {
    const BatchShare share = share_of(arguments);
    const std::string& list = the_list(arguments);
    std::vector<PlannedConversion> planned =
        plan_conversions(parse_batch_list(read_list(list, kListLimit), find_files));
    const std::size_t list_size = planned.size();
    std::erase_if(planned,
                  [&](const PlannedConversion& each) { return (each.item.number - 1) % share.of != share.index; });
    if (planned.size() == 1)
        planned.front().item.frame_kind.clear(); // nothing else is like it
    std::map<std::size_t, const PlannedConversion*> by_number;
    BatchRequest request{list == "-" ? "standard input" : fs::path(list).filename().string(),
                         share,
                         list_size,
                         {},
                         budget_for(arguments, call, planned.size()),
                         arguments.keep_going ? AfterFailure::keep_on : AfterFailure::stop,
                         std::string(version())};
    for (const PlannedConversion& each : planned) {
        by_number[each.item.number] = &each;
        request.items.push_back(each.item);
    }
    const ConversionProgram program{own_path(), call.global.scratch_folder};
    const auto start = std::chrono::steady_clock::now();
    BatchEngine engine;
    LookAlikes look_alikes;
    engine.start = [&](const BatchItem& item, const ItemFiles& files, unsigned threads) {
        return start_conversion(program, item, files, threads, look_alikes);
    };
    engine.made = [&](const BatchItem& item, const ItemFiles& files) { remember_look(item, files, look_alikes); };
    engine.published = [&](const BatchItem& item) { return published_at(*by_number.at(item.number), call.operation); };
    engine.wait = wait_for_conversions;
    engine.seconds = [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(); };
    const fs::path folder = state_folder(arguments);
    if (arguments.dry_run) {
        std::optional<BatchState> state;
        if (fs::is_directory(folder))
            state.emplace(folder);
        return show_plan(request, state ? &*state : nullptr, engine, call);
    }
    Reports reports(arguments, call.operation);
    if ((!arguments.digest_file.empty() || !arguments.destination_file.empty()) && request.items.size() != 1)
        fail(ErrorKind::usage, fmt::format("--digest-file and --destination-file are for one machine, and here are {}",
                                           request.items.size()));
    BatchState state(folder);
    BatchResult result;
    {
        BatchDisplay display(call.err, call.global.progress, call.global.verbosity, request.items.size());
        result = run_batch(request, state, engine, display, call.operation);
    }
    return tell(reports, result, call);
}

// Documents, or logs that have them. What has none is of a share that did not end: gather() tells of its machines.
ExitCode gather_results(const BatchArguments& arguments, Invocation& call) {
    std::vector<BatchResult> shares;
    for (const std::string& path : arguments.lists) {
        std::vector<BatchResult> found = find_batch_results(read_list(path, kResultLimit));
        if (found.empty())
            call.err << "vm2oci: " << escape_untrusted(path) << ": no result of a batch is in it\n";
        std::move(found.begin(), found.end(), std::back_inserter(shares));
    }
    if (shares.empty())
        fail(ErrorKind::corrupt, "no result of a batch is in what is to be gathered");
    Reports reports(arguments, call.operation);
    return tell(reports, gather(shares), call);
}

ExitCode print_for_cluster(const BatchArguments& arguments, Invocation& call) {
    const std::string& list = the_list(arguments);
    const std::string text = read_list(list, kListLimit);
    const std::vector<BatchLine> lines =
        parse_batch_list(text, [&](const std::string& pattern) -> std::vector<std::string> {
            fail(ErrorKind::usage,
                 fmt::format("{} is a pattern, and the files are in the cluster: name each machine", pattern));
        });
    ClusterWishes wishes = arguments.cluster;
    wishes.memory = check_words(lines) + kPodMemory;
    wishes.list = text;
    for (const BatchLine& line : lines)
        wishes.names.push_back(line.name);
    wishes.at_once = arguments.jobs.value_or(std::min<std::size_t>(lines.size(), kClusterPods));
    wishes.after_failure = arguments.keep_going ? AfterFailure::keep_on : AfterFailure::stop;
    call.out << cluster_manifest(arguments.target, wishes);
    return ExitCode::done;
}

void add_options(CLI::App& command, BatchArguments& arguments) {
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

} // namespace

void add_batch_command(CommandTable& table) {
    const auto arguments = std::make_shared<BatchArguments>();
    CLI::App& command =
        table.add("batch", "Convert many machines: planned, resumable, here or in a cluster",
                  {{"vm2oci batch --dry-run machines.txt", "what would be done"},
                   {"vm2oci batch --keep-going --report batch.html machines.txt", "all of them, with a page about it"},
                   {"vm2oci batch --index 2 --of 8 machines.txt", "the third of eight shares"},
                   {"vm2oci batch --for kubernetes --image registry.example/vm2oci:1 machines.txt | kubectl apply -f -",
                    "each machine in a pod"},
                   {"vm2oci batch --gather --report batch.html share-*.json", "one summary of all shares"}},
                  [arguments](Invocation& call) {
                      if (arguments->gather)
                          return gather_results(*arguments, call);
                      if (!arguments->target.empty())
                          return print_for_cluster(*arguments, call);
                      return run_list(*arguments, call);
                  });
    add_options(command, *arguments);
}

} // namespace vm2oci::cli
