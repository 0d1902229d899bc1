#include "tools/batch/run.hpp"

#include "formats/base/error.hpp"
#include "tools/batch/document.hpp"

#include <algorithm>
#include <utility>

namespace vm2oci {
namespace {

struct Running {
    const BatchItem* item;
    std::size_t index; // of its result
    double began;
    UniqueFd lock;
    std::unique_ptr<RunningItem> process;
};

ItemState state_for(int exit_code) {
    switch (exit_code) {
    case 0:
        return ItemState::done;
    case 2:
    case 3:
        return ItemState::refused;
    case 4:
        return ItemState::rejected;
    default:
        return ItemState::failed;
    }
}

ItemResult waiting(const BatchItem& item) {
    ItemResult result;
    result.number = item.number;
    result.name = item.name;
    result.source = item.source;
    result.destination = item.destination;
    return result;
}

class Batch {
  public:
    Batch(const BatchRequest& request, BatchState& state, const BatchEngine& engine, BatchWatcher& watcher)
        : request_(request), state_(state), engine_(engine), watcher_(watcher) {
        result_.list = request.list;
        result_.share = request.share;
        result_.list_size = request.list_size;
        for (const BatchItem& item : request.items) {
            result_.items.push_back(waiting(item));
            waiting_.push_back(result_.items.size() - 1);
        }
    }

    BatchResult run(const OperationContext& operation) {
        const double began = engine_.seconds();
        while (!waiting_.empty() || !running_.empty()) {
            operation.check_cancelled();
            end_what_ended();
            begin_what_fits();
            tell_progress();
            if (!running_.empty())
                engine_.wait(descriptors());
        }
        result_.seconds = engine_.seconds() - began;
        return std::move(result_);
    }

  private:
    bool fits(const BatchItem& item) const {
        if (running_.empty())
            return true;
        if (running_.size() >= request_.budget.jobs)
            return false;
        BatchCost sum = item.cost;
        for (const Running& other : running_) {
            sum.processors += other.item->cost.processors;
            sum.memory += other.item->cost.memory;
            if (!item.exclusive.empty() && other.item->exclusive == item.exclusive)
                return false;
        }
        return sum.processors <= request_.budget.all.processors && sum.memory <= request_.budget.all.memory;
    }

    // In the list's order; a small one may overtake one that has to wait for room.
    void begin_what_fits() {
        if (stopped_)
            for (const std::size_t index : std::exchange(waiting_, {}))
                settle(index, ItemState::left_out);
        for (std::size_t at = 0; at < waiting_.size();) {
            const std::size_t index = waiting_[at];
            if (!fits(request_.items[index])) {
                ++at;
                continue;
            }
            waiting_.erase(waiting_.begin() + static_cast<std::ptrdiff_t>(at));
            begin(index);
            if (stopped_)
                return;
        }
    }

    void begin(std::size_t index) {
        const BatchItem& item = request_.items[index];
        ItemResult& result = result_.items[index];
        try {
            if (is_made(item, state_, engine_, request_.program, result)) {
                engine_.made(item, state_.files(item));
                watcher_.changed(result);
                return;
            }
            UniqueFd lock = state_.begin(item, batch_key(item, request_.program));
            auto process = engine_.start(item, state_.files(item), request_.budget.threads);
            running_.push_back({&item, index, engine_.seconds(), std::move(lock), std::move(process)});
            settle(index, ItemState::running);
        } catch (const Error& error) {
            if (error.kind() == ErrorKind::cancelled)
                throw;
            result.message = error.what();
            result.exit_code = 1;
            settle(index, ItemState::failed);
        }
    }

    void end_what_ended() {
        for (std::size_t at = 0; at < running_.size();) {
            Running& running = running_[at];
            const std::optional<ItemEnd> end = running.process->poll();
            if (!end) {
                ++at;
                continue;
            }
            ItemResult& result = result_.items[running.index];
            result.exit_code = end->exit_code;
            result.seconds = engine_.seconds() - running.began;
            result.processor_seconds = end->processor_seconds;
            if (end->exit_code != 0)
                result.message = end->message;
            read_conversion(end->document, result);
            result.state = state_for(end->exit_code);
            try {
                state_.end(*running.item, result);
                if (result.state == ItemState::done)
                    engine_.made(*running.item, state_.files(*running.item));
            } catch (const Error& error) {
                result.message = error.what();
                result.exit_code = 1;
                result.state = ItemState::failed;
            }
            const std::size_t index = running.index;
            running_.erase(running_.begin() + static_cast<std::ptrdiff_t>(at));
            settle(index, result.state);
        }
    }

    std::vector<int> descriptors() const {
        std::vector<int> all;
        all.reserve(running_.size());
        for (const Running& running : running_)
            all.push_back(running.process->descriptor());
        return all;
    }

    void settle(std::size_t index, ItemState state) {
        ItemResult& result = result_.items[index];
        result.state = state;
        watcher_.changed(result);
        const bool is_bad = state == ItemState::failed || state == ItemState::refused || state == ItemState::rejected;
        if (is_bad && request_.after_failure == AfterFailure::stop)
            stopped_ = true;
    }

    void tell_progress() {
        std::vector<std::pair<const BatchItem*, ItemProgress>> all;
        all.reserve(running_.size());
        for (const Running& running : running_)
            all.emplace_back(running.item, running.process->progress());
        watcher_.running(all);
    }

    const BatchRequest& request_;
    BatchState& state_;
    const BatchEngine& engine_;
    BatchWatcher& watcher_;
    BatchResult result_;
    std::vector<std::size_t> waiting_; // indices of items, in order
    std::vector<Running> running_;
    bool stopped_ = false;
};

} // namespace

bool is_made(const BatchItem& item, const BatchState& state, const BatchEngine& engine, const std::string& program,
             ItemResult& result) {
    const std::optional<std::string> key = batch_key(item, program);
    if (!key)
        return false;
    std::optional<ItemResult> before = state.made_before(item, *key);
    if (!before)
        return false;
    const std::optional<std::string> published = engine.published(item);
    if (!published || (item.is_image && *published != before->digest))
        return false;
    result = *std::move(before);
    return true;
}

BatchResult run_batch(const BatchRequest& request, BatchState& state, const BatchEngine& engine, BatchWatcher& watcher,
                      const OperationContext& operation) {
    return Batch(request, state, engine, watcher).run(operation);
}

} // namespace vm2oci
