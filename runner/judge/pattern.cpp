#include "runner/judge/pattern.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"

#include <re2/re2.h>

namespace vm2oci {

ConsolePattern::ConsolePattern(std::string text) : text_(std::move(text)) {
    RE2::Options options;
    options.set_log_errors(false);
    options.set_encoding(RE2::Options::EncodingLatin1); // a console's bytes need not be UTF-8
    auto expression = std::make_shared<RE2>(text_, options);
    if (!expression->ok())
        fail(ErrorKind::usage, quote_untrusted(text_) + " is not a regular expression: " + expression->error());
    expression_ = std::move(expression);
}

bool ConsolePattern::matches(std::string_view line) const {
    return RE2::PartialMatch(re2::StringPiece(line.data(), line.size()), *expression_);
}

} // namespace vm2oci
