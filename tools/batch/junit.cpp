#include "tools/batch/junit.hpp"

#include "runner/report/markup.hpp"

#include <fmt/format.h>

namespace vm2oci {
namespace {

std::string test_case(const ItemResult& item) {
    std::string text = fmt::format("  <testcase classname=\"vm2oci.batch\" name=\"{}\" time=\"{:.3f}\"",
                                   markup_text(item.name), item.seconds);
    const std::string message = markup_text(item.message);
    switch (item.state) {
    case ItemState::done:
    case ItemState::unchanged:
        return text + fmt::format(">\n    <system-out>{}: {} {}</system-out>\n  </testcase>\n", to_string(item.state),
                                  markup_text(item.destination), item.digest);
    case ItemState::rejected:
        return text +
               fmt::format(">\n    <failure type=\"rejected\" message=\"{0}\">{0}</failure>\n  </testcase>\n", message);
    case ItemState::failed:
    case ItemState::refused:
        return text + fmt::format(">\n    <error type=\"{0}\" message=\"{1}\">{1}</error>\n  </testcase>\n",
                                  to_string(item.state), message);
    case ItemState::waiting:
    case ItemState::running:
    case ItemState::left_out:
        break;
    }
    return text + ">\n    <skipped/>\n  </testcase>\n";
}

} // namespace

std::string batch_junit(const BatchResult& result) {
    const std::size_t skipped =
        result.count(ItemState::left_out) + result.count(ItemState::waiting) + result.count(ItemState::running);
    std::string text = fmt::format(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
        "<testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\" time=\"{:.3f}\">\n",
        markup_text(result.list), result.items.size(), result.count(ItemState::rejected),
        result.count(ItemState::failed) + result.count(ItemState::refused), skipped, result.seconds);
    for (const ItemResult& item : result.items)
        text += test_case(item);
    return text + "</testsuite>\n";
}

} // namespace vm2oci
