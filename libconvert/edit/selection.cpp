#include "libconvert/edit/selection.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

namespace vm2oci {

std::vector<std::string> select_names(std::string_view list, const std::vector<std::string>& all,
                                      const std::vector<std::string>& defaults, std::string_view what) {
    if (list.empty() || list == "default")
        return defaults;
    if (list == "all")
        return all;
    if (list == "none")
        return {};
    const bool relative = list.front() == '+' || list.front() == '-';
    std::set<std::string> chosen;
    if (relative)
        chosen.insert(defaults.begin(), defaults.end());
    while (!list.empty()) {
        const std::size_t comma = std::min(list.find(','), list.size());
        std::string_view name = list.substr(0, comma);
        list.remove_prefix(std::min(comma + 1, list.size()));
        const bool is_signed = name.starts_with('+') || name.starts_with('-');
        const bool removes = name.starts_with('-');
        if (is_signed != relative)
            fail(ErrorKind::usage,
                 fmt::format("{}: either name what you want (a,b), or change the default set (+a,-b)", what));
        if (is_signed)
            name.remove_prefix(1);
        if (std::find(all.begin(), all.end(), name) == all.end())
            fail(ErrorKind::usage, fmt::format("among the {} there is no {}; all or none stand alone, and there are {}",
                                               what, quote_untrusted(name), fmt::join(all, ", ")));
        if (removes)
            chosen.erase(std::string(name));
        else
            chosen.insert(std::string(name));
    }
    std::vector<std::string> ordered;
    std::copy_if(all.begin(), all.end(), std::back_inserter(ordered),
                 [&](const std::string& name) { return chosen.contains(name); });
    return ordered;
}

} // namespace vm2oci
