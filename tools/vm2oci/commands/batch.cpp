// `vm2oci batch LIST`.
#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/base/size.hpp"
#include "formats/base/version.hpp"
#include "tools/batch/document.hpp"
#include "tools/batch/run.hpp"
#include "tools/documents/document.hpp"
#include "tools/vm2oci/batch_cluster.hpp"
#include "tools/vm2oci/batch_destination.hpp"
#include "tools/vm2oci/batch_display.hpp"
#include "tools/vm2oci/batch_list.hpp"
#include "tools/vm2oci/batch_options.hpp"
#include "tools/vm2oci/batch_process.hpp"
#include "tools/vm2oci/batch_reports.hpp"
#include "tools/vm2oci/command_table.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <chrono>
#include <filesystem>
#include <iterator>
#include <map>

namespace vm2oci::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kListLimit = 4 * MiB;    // tens of thousands of machines
constexpr std::size_t kResultLimit = 64 * MiB; // the same, with a pod's log around it

// Of a pod besides its conversion: this program, which waits for it, and page cache that counts as the pod's.
constexpr std::uint64_t kPodMemory = 256 * MiB;

ExitCode tell(BatchReports& reports, const BatchResult& result, Invocation& call) {
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
                         budget_for(arguments, call.global.threads, planned.size()),
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
    BatchReports reports(arguments, call.operation);
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
    BatchReports reports(arguments, call.operation);
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
    add_batch_options(command, *arguments);
}

} // namespace vm2oci::cli
