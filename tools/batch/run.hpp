// Running a batch: as many conversions at once as one budget allows, each in a process of its own, so that one that
// goes wrong takes no other with it.
#pragma once

#include "formats/base/progress.hpp"
#include "tools/batch/item.hpp"
#include "tools/batch/state.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace vm2oci {

struct ItemEnd {
    int exit_code = 0; // 128 and the signal's number if one ended it
    std::string document;
    std::string message; // its last word to people
    double processor_seconds = 0;
};

struct ItemProgress {
    std::string phase; // "package"; empty: it has said nothing yet
    std::uint64_t bytes = 0;
    std::uint64_t total_bytes = 0; // 0: not known
};

// A conversion under way. Dropped, it is killed.
class RunningItem {
  public:
    virtual ~RunningItem() = default;
    // Nothing as long as it runs.
    virtual std::optional<ItemEnd> poll() = 0;
    // Readable, or hung up, when poll() may see something new.
    virtual int descriptor() const = 0;
    virtual ItemProgress progress() const = 0;
};

// What a batch stands on; tests put others in their places.
struct BatchEngine {
    std::function<std::unique_ptr<RunningItem>(const BatchItem&, const ItemFiles&, unsigned threads)> start;
    // The item's image is there, made now or by an earlier run.
    std::function<void(const BatchItem&, const ItemFiles&)> made;
    // The digest of what is at the item's destination; nullopt: nothing is. For an item whose destination is no image
    // something else that says that it is there.
    std::function<std::optional<std::string>(const BatchItem&)> published;
    // Until something may have happened to one of the descriptors, a fraction of a second at most.
    std::function<void(const std::vector<int>& descriptors)> wait;
    std::function<double()> seconds; // since any moment
};

struct BatchBudget {
    BatchCost all;        // of what runs at once
    std::size_t jobs = 1; // at once
    unsigned threads = 1; // of each
};

enum class AfterFailure {
    stop,    // nothing more is begun
    keep_on, // with the others
};

struct BatchRequest {
    std::string list; // its name
    BatchShare share;
    std::size_t list_size = 0;    // machines of the whole list, all shares
    std::vector<BatchItem> items; // of the share
    BatchBudget budget;
    AfterFailure after_failure = AfterFailure::stop;
    std::string program; // the version of what converts
};

// What happens, in order. Called between polls, and once at the end.
class BatchWatcher {
  public:
    virtual ~BatchWatcher() = default;
    virtual void changed(const ItemResult& item) = 0;
    virtual void running(const std::vector<std::pair<const BatchItem*, ItemProgress>>& items) = 0;
};

// An item larger than the budget runs alone. Error{cancelled} when the user stops it: what runs is killed then, and
// goes on from its beginning the next time. A failure of one item is its result and no Error.
BatchResult run_batch(const BatchRequest& request, BatchState& state, const BatchEngine& engine, BatchWatcher& watcher,
                      const OperationContext& operation);

// Which of them an earlier run has made: what run_batch() would not do again.
bool is_made(const BatchItem& item, const BatchState& state, const BatchEngine& engine, const std::string& program,
             ItemResult& result);

// What this machine, or the container that this process is in, has for a batch.
BatchCost available_budget();

} // namespace vm2oci
