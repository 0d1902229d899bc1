// What vm2oci's appliance says on its port, line by line: how far it is, and how it ended.
//
//   step N                  step N of the job is next; also said again while a long one goes on
//   failed N KIND TEXT      at step N; "-" instead of N: not at a step. KIND: a word of ErrorKind
//   done                    all steps are carried out and on the disks
//
// The machine that says it has read a disk that may be anybody's: what it says is bounded and parsed strictly, and its
// text is printed as untrusted.
#pragma once

#include "formats/base/error.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci {

inline constexpr std::size_t kMaxAnswerLine = 1024;

enum class AnswerKind { step, failed, done };

struct ApplianceAnswer {
    AnswerKind kind = AnswerKind::step;
    std::optional<std::uint32_t> step;     // of step always, of failed maybe
    ErrorKind error = ErrorKind::external; // failed: corrupt, unsupported, unsafe, limit, io or external
    std::string text;                      // failed: one line, untrusted
};

// One line with its end. Of a text what a line cannot hold becomes a space, and what is too long is cut.
std::string encode_answer(const ApplianceAnswer& answer);

class AnswerParser {
  public:
    // Adds what is complete to the result. Error{corrupt} for a line that is none of these, or too long.
    std::vector<ApplianceAnswer> feed(std::string_view bytes);

  private:
    std::string line_;
};

} // namespace vm2oci
