// Pages for people: headings with aligned names and values.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace vm2oci::cli {

class Page {
  public:
    // Later rows stand under this heading. Values must be safe to print already (escape_untrusted()).
    void heading(std::string text);
    void row(std::string name, std::string value);
    // A row only if there is something to say.
    void row_unless_empty(std::string name, std::string value);
    // One line as wide as it wants, under the heading.
    void line(std::string text);

    std::string text() const;

  private:
    enum class Kind { heading, row, line };
    struct Line {
        Kind kind;
        std::string name;
        std::string value;
    };
    std::vector<Line> lines_;
};

} // namespace vm2oci::cli
