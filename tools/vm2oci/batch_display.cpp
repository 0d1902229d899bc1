#include "tools/vm2oci/batch_display.hpp"

#include "formats/base/escape.hpp"
#include "formats/base/size.hpp"
#include "tools/batch/document.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <ostream>

namespace vm2oci::cli {
namespace {

using namespace std::chrono_literals;

// A table moves four times a second; a log gets a line every half minute, so that a job without output is not killed.
constexpr auto kTableInterval = 250ms;
constexpr auto kPlainInterval = 30s;
constexpr auto kJsonInterval = 2s;

std::string progress_text(const ItemProgress& progress) {
    if (progress.phase.empty())
        return "begins";
    std::string text = escape_untrusted(progress.phase);
    if (progress.total_bytes != 0)
        text += fmt::format(" {} of {} ({} %)", format_size(progress.bytes), format_size(progress.total_bytes),
                            progress.bytes * 100 / progress.total_bytes);
    else if (progress.bytes != 0)
        text += " " + format_size(progress.bytes);
    return text;
}

} // namespace

std::string item_line(const ItemResult& item) {
    std::string line = fmt::format("{:<20} {:<9}", item.name, to_string(item.state));
    if (!is_good(item.state))
        return line + (item.message.empty() ? "" : " " + item.message);
    if (item.stored_size != 0)
        line += fmt::format(" {} → {}", format_size(item.allocated_size), format_size(item.stored_size));
    if (item.state == ItemState::done)
        line += fmt::format("  {}", format_duration(item.seconds));
    if (!item.booted.empty())
        line += "  " + item.booted;
    return line;
}

BatchDisplay::BatchDisplay(std::ostream& err, ProgressMode mode, Verbosity verbosity, std::size_t machines)
    : err_(err), mode_(resolve_mode(mode, verbosity, err)), machines_(machines) {}

BatchDisplay::~BatchDisplay() {
    clear_table();
}

void BatchDisplay::clear_table() {
    if (table_lines_ != 0)
        err_ << fmt::format("\x1b[{}A\x1b[J", table_lines_) << std::flush;
    table_lines_ = 0;
}

void BatchDisplay::changed(const ItemResult& item) {
    const bool is_end = item.state != ItemState::running && item.state != ItemState::waiting;
    ended_ += is_end ? 1 : 0;
    if (mode_ == ProgressMode::json)
        err_ << item_to_json(item).dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) << std::endl;
    else if (mode_ == ProgressMode::bar && is_end) {
        clear_table();
        err_ << item_line(item) << std::endl;
    } else if (mode_ == ProgressMode::plain)
        err_ << fmt::format("[{}/{}] {}", ended_, machines_, item_line(item)) << std::endl;
}

void BatchDisplay::running(const std::vector<std::pair<const BatchItem*, ItemProgress>>& items) {
    const auto now = Clock::now();
    const auto interval = mode_ == ProgressMode::bar     ? Clock::duration(kTableInterval)
                          : mode_ == ProgressMode::plain ? Clock::duration(kPlainInterval)
                                                         : Clock::duration(kJsonInterval);
    if (last_ == Clock::time_point())
        last_ = now;
    if (mode_ == ProgressMode::none || now - last_ < interval)
        return;
    last_ = now;
    clear_table();
    const std::size_t columns = terminal_columns();
    // The cursor goes back to the table's first line, and does not leave the screen; one line is the sum, one its own.
    const std::size_t rows = std::max<std::size_t>(terminal_rows(), 3) - 2;
    for (const auto& [item, progress] : items) {
        if (mode_ == ProgressMode::json) {
            err_ << nlohmann::ordered_json{{"name", item->name},
                                           {"state", to_string(ItemState::running)},
                                           {"phase", progress.phase},
                                           {"bytes", progress.bytes},
                                           {"total_bytes", progress.total_bytes}}
                        .dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace)
                 << std::endl;
            continue;
        }
        const std::string line = fmt::format("{:<20} {}", item->name, progress_text(progress));
        if (mode_ == ProgressMode::plain) {
            err_ << fmt::format("[{}/{}] {}", ended_, machines_, line) << std::endl;
            continue;
        }
        if (table_lines_ < rows) {
            err_ << line.substr(0, columns - 1) << '\n'; // names and phases are ASCII
            ++table_lines_;
        }
    }
    if (mode_ == ProgressMode::bar && !items.empty()) {
        err_ << fmt::format("{} of {}", ended_, machines_);
        if (items.size() > rows)
            err_ << fmt::format(", and {} more run", items.size() - rows);
        err_ << std::endl;
        ++table_lines_;
    }
}

} // namespace vm2oci::cli
