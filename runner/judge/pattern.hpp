// A regular expression that the user gave (--ready, --expect, --fail), for lines that a guest wrote.
//
// RE2 matches in time linear in the line, whatever the expression and the line are.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace re2 {
class RE2;
}

namespace vm2oci {

class ConsolePattern {
  public:
    // Error{usage} when the text is no regular expression.
    explicit ConsolePattern(std::string text);

    const std::string& text() const { return text_; }
    // True if it matches anywhere in the line.
    bool matches(std::string_view line) const;

  private:
    std::string text_;
    std::shared_ptr<const re2::RE2> expression_;
};

} // namespace vm2oci
