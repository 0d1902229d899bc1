#include "tools/vm2oci/page.hpp"

#include <algorithm>

namespace vm2oci::cli {

void Page::heading(std::string text) {
    lines_.push_back({Kind::heading, std::move(text), {}});
}

void Page::row(std::string name, std::string value) {
    lines_.push_back({Kind::row, std::move(name), std::move(value)});
}

void Page::row_unless_empty(std::string name, std::string value) {
    if (!value.empty())
        row(std::move(name), std::move(value));
}

void Page::line(std::string text) {
    lines_.push_back({Kind::line, std::move(text), {}});
}

std::string Page::text() const {
    std::size_t width = 0;
    for (const Line& line : lines_)
        if (line.kind == Kind::row)
            width = std::max(width, line.name.size());
    std::string out;
    for (const Line& line : lines_) {
        if (line.kind == Kind::heading)
            out += (out.empty() ? "" : "\n") + line.name + "\n";
        else if (line.kind == Kind::line)
            out += "  " + line.name + "\n";
        else
            out += "  " + line.name + std::string(width + 2 - line.name.size(), ' ') + line.value + "\n";
    }
    return out;
}

} // namespace vm2oci::cli
