// Rows of a page for people.
#pragma once

#include <sstream>
#include <string>

namespace vm2oci::test {

// The value of a row; "" if there is none. Of several with one name the values, one a line.
inline std::string row_of_page(const std::string& page, const std::string& name) {
    std::istringstream lines(page);
    std::string found;
    for (std::string line; std::getline(lines, line);)
        if (line.starts_with("  " + name + "  "))
            found += (found.empty() ? "" : "\n") + line.substr(line.find_first_not_of(' ', 2 + name.size()));
    return found;
}

} // namespace vm2oci::test
