#include "tools/batch/item.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

namespace vm2oci {
namespace {

constexpr std::array<std::pair<ItemState, std::string_view>, 8> kStates = {{{ItemState::waiting, "waiting"},
                                                                            {ItemState::running, "running"},
                                                                            {ItemState::done, "done"},
                                                                            {ItemState::unchanged, "unchanged"},
                                                                            {ItemState::failed, "failed"},
                                                                            {ItemState::refused, "refused"},
                                                                            {ItemState::rejected, "rejected"},
                                                                            {ItemState::left_out, "left-out"}}};

} // namespace

std::string_view to_string(ItemState state) {
    return std::find_if(kStates.begin(), kStates.end(), [&](const auto& row) { return row.first == state; })->second;
}

ItemState parse_item_state(std::string_view word) {
    const auto* found =
        std::find_if(kStates.begin(), kStates.end(), [&](const auto& row) { return row.second == word; });
    if (found == kStates.end())
        fail(ErrorKind::corrupt, quote_untrusted(word) + " is no state of a machine in a batch");
    return found->first;
}

std::size_t BatchResult::count(ItemState state) const {
    return static_cast<std::size_t>(
        std::count_if(items.begin(), items.end(), [&](const ItemResult& item) { return item.state == state; }));
}

bool BatchResult::all_good() const {
    return std::all_of(items.begin(), items.end(), [](const ItemResult& item) { return is_good(item.state); });
}

int exit_code_of(const BatchResult& result) {
    constexpr std::array kOrder = {1, 4, 3, 2};
    for (const int code : kOrder)
        for (const ItemResult& item : result.items) {
            const bool is_other = item.exit_code > 4 || item.exit_code < 0; // a signal ended it
            if (!is_good(item.state) && (item.exit_code == code || (code == 1 && is_other)))
                return code;
        }
    return result.all_good() ? 0 : 1;
}

std::string format_duration(double seconds) {
    if (seconds < 60)
        return fmt::format("{:.1f} s", seconds);
    const auto whole = std::llround(seconds);
    return whole < 3600 ? fmt::format("{}:{:02} min", whole / 60, whole % 60)
                        : fmt::format("{}:{:02} h", whole / 3600, whole % 3600 / 60);
}

} // namespace vm2oci
