#include "tools/batch/page.hpp"

#include "formats/base/size.hpp"
#include "runner/report/markup.hpp"
#include "runner/report/style.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace vm2oci {
namespace {

constexpr std::string_view kOwnStyle = R"css(
.sizes td.picture{min-width:12rem}
.sizes .track{height:.8rem;margin:.15rem 0}
.bar.data{opacity:.45}
.done,.unchanged{color:var(--good);background:var(--good-bg)}
.refused,.rejected{color:var(--bad);background:var(--bad-bg)}
.left-out{color:var(--soft);background:var(--code)}
.numbers{display:flex;flex-wrap:wrap;gap:.5rem 2rem;margin:0;padding:0;list-style:none}
.numbers b{font-size:1.5rem;display:block;line-height:1.2}
.scroll{overflow-x:auto}
)css";

std::size_t good_ones(const BatchResult& result) {
    return result.count(ItemState::done) + result.count(ItemState::unchanged);
}

std::string banner(const BatchResult& result) {
    const std::size_t good = good_ones(result);
    const std::string headline = result.all_good()
                                     ? fmt::format("All {} machines are there", result.items.size())
                                     : fmt::format("{} of {} machines are there", good, result.items.size());
    return fmt::format("<div class=\"verdict {}\" role=\"status\">\n<h1>{}</h1>\n<p>{} made now, {} made before and "
                       "unchanged, {} not</p>\n</div>\n",
                       result.all_good() ? "yes" : "no", headline, result.count(ItemState::done),
                       result.count(ItemState::unchanged), result.items.size() - good);
}

std::string totals(const BatchResult& result) {
    std::uint64_t virtual_size = 0;
    std::uint64_t allocated = 0;
    std::uint64_t stored = 0;
    double processor_seconds = 0;
    for (const ItemResult& item : result.items) {
        virtual_size += item.virtual_size;
        allocated += item.allocated_size;
        stored += item.stored_size;
        processor_seconds += item.processor_seconds;
    }
    std::string text = "<section>\n<h2>In all</h2>\n<ul class=\"numbers\">\n";
    const auto number = [&](const std::string& value, std::string_view what) {
        text += fmt::format("<li><b>{}</b>{}</li>\n", value, what);
    };
    number(format_size(virtual_size), "size of the disks");
    number(format_size(allocated), "with data");
    number(format_size(stored), "stored");
    if (allocated != 0 && stored != 0)
        number(fmt::format("{:.0f} %", 100.0 * static_cast<double>(stored) / static_cast<double>(allocated)),
               "of the data");
    number(format_duration(result.seconds), "by the clock");
    number(format_duration(processor_seconds), "of processors");
    return text + "</ul>\n</section>\n";
}

std::string state_mark(const ItemResult& item) {
    return fmt::format("<span class=\"state {0}\">{0}</span>", to_string(item.state));
}

std::string problems(const BatchResult& result) {
    std::string rows;
    for (const ItemResult& item : result.items)
        if (!is_good(item.state))
            rows += fmt::format("<tr><th scope=\"row\">{}</th><td class=\"narrow\">{}</td><td>{}</td></tr>\n",
                                markup_text(item.name), state_mark(item),
                                item.message.empty() ? "it was not begun, as another one failed before"
                                                     : markup_text(item.message));
    return rows.empty() ? "" : "<section>\n<h2>What went wrong</h2>\n<table>\n" + rows + "</table>\n</section>\n";
}

// Of the largest one, in percent; what there is of it can be seen.
double share_of(double value, double largest) {
    return largest <= 0 || value <= 0 ? 0 : std::max(100 * value / largest, 0.5);
}

std::string bar(double percent, std::string_view kind, std::string_view title) {
    return fmt::format("<div class=\"bar {}\" style=\"width:{:.1f}%\" title=\"{}\"></div>", kind, percent, title);
}

std::string machines(const BatchResult& result) {
    double largest = 0;
    double longest = 0;
    for (const ItemResult& item : result.items) {
        largest = std::max({largest, static_cast<double>(item.allocated_size), static_cast<double>(item.stored_size)});
        longest = std::max(longest, item.seconds);
    }
    std::string text = "<section>\n<h2>Machines</h2>\n<div class=\"scroll\"><table class=\"sizes\">\n"
                       "<tr><th scope=\"col\">machine</th><th scope=\"col\">state</th><th scope=\"col\">boots</th>"
                       "<th scope=\"col\">data, and what is stored of it</th><th scope=\"col\">time</th>"
                       "<th scope=\"col\">destination</th></tr>\n";
    for (const ItemResult& item : result.items) {
        const std::string sizes =
            item.stored_size == 0 && item.allocated_size == 0
                ? ""
                : fmt::format("{} → {}", format_size(item.allocated_size), format_size(item.stored_size));
        const std::string reused =
            item.reused_frames == 0
                ? ""
                : fmt::format(", {:.0f} % as in one that looks alike",
                              100.0 * static_cast<double>(item.reused_frames) / static_cast<double>(item.frames));
        text += fmt::format(
            "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td class=\"picture\"><div class=\"track\">{}{}</div>"
            "<span class=\"number\">{}</span></td><td class=\"picture\"><div class=\"track\">{}</div>"
            "<span class=\"number\">{}</span></td><td><code>{}</code>{}</td></tr>\n",
            markup_text(item.name), state_mark(item), markup_text(item.booted),
            bar(share_of(static_cast<double>(item.allocated_size), largest), "data", "with data"),
            bar(share_of(static_cast<double>(item.stored_size), largest), "", "stored"), sizes + reused,
            bar(share_of(item.seconds, longest), "", "time"), item.seconds > 0 ? format_duration(item.seconds) : "",
            markup_text(item.destination),
            item.digest.empty() ? "" : fmt::format("<br><code>{}</code>", markup_text(item.digest)));
    }
    return text + "</table></div>\n</section>\n";
}

} // namespace

std::string batch_page(const BatchResult& result) {
    const std::string list = markup_text(result.list);
    return fmt::format("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                       "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
                       "<title>{}: {} of {} machines</title>\n<style>{}{}</style>\n</head>\n<body>\n<header>\n"
                       "<p class=\"source\">{}{}</p>\n{}</header>\n<main>\n",
                       list, good_ones(result), result.items.size(), kReportStyle, kOwnStyle, list,
                       result.share.of > 1 ? fmt::format(", share {} of {}", result.share.index + 1, result.share.of)
                                           : "",
                       banner(result)) +
           problems(result) + totals(result) + machines(result) +
           "</main>\n<footer><p>vm2oci batch</p></footer>\n</body>\n</html>\n";
}

} // namespace vm2oci
