#include "formats/appliance/answer.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <system_error>

namespace vm2oci {
namespace {

constexpr std::size_t kMaxText = kMaxAnswerLine - 64; // what stands before it is shorter
constexpr std::array kAnswerErrors = {ErrorKind::io,     ErrorKind::corrupt, ErrorKind::unsupported,
                                      ErrorKind::unsafe, ErrorKind::limit,   ErrorKind::external};

[[noreturn]] void refuse_answer() {
    fail(ErrorKind::corrupt, "the appliance said something that is no answer of it");
}

std::uint32_t parse_step(std::string_view word) {
    std::uint32_t step = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), step);
    if (word.empty() || error != std::errc() || end != word.data() + word.size())
        refuse_answer();
    return step;
}

std::string_view take_answer_word(std::string_view& rest) {
    const std::size_t end = rest.find(' ');
    if (end == std::string_view::npos)
        refuse_answer();
    const std::string_view word = rest.substr(0, end);
    rest.remove_prefix(end + 1);
    return word;
}

ApplianceAnswer parse_answer(std::string_view line) {
    ApplianceAnswer answer;
    if (line == "done") {
        answer.kind = AnswerKind::done;
        return answer;
    }
    const std::string_view word = take_answer_word(line);
    if (word == "step") {
        answer.step = parse_step(line);
        return answer;
    }
    if (word != "failed")
        refuse_answer();
    answer.kind = AnswerKind::failed;
    if (const std::string_view step = take_answer_word(line); step != "-")
        answer.step = parse_step(step);
    const std::string_view kind = take_answer_word(line);
    const auto* known = std::find_if(kAnswerErrors.begin(), kAnswerErrors.end(),
                                     [&](ErrorKind candidate) { return to_string(candidate) == kind; });
    if (known == kAnswerErrors.end())
        refuse_answer();
    answer.error = *known;
    answer.text = line;
    return answer;
}

} // namespace

std::string encode_answer(const ApplianceAnswer& answer) {
    if (answer.kind == AnswerKind::done)
        return "done\n";
    if (answer.kind == AnswerKind::step)
        return "step " + std::to_string(answer.step.value_or(0)) + "\n";
    const bool is_known = std::find(kAnswerErrors.begin(), kAnswerErrors.end(), answer.error) != kAnswerErrors.end();
    std::string text = answer.text.substr(0, kMaxText);
    std::replace_if(
        text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, ' ');
    return "failed " + (answer.step ? std::to_string(*answer.step) : "-") + " " +
           std::string(to_string(is_known ? answer.error : ErrorKind::external)) + " " + text + "\n";
}

std::vector<ApplianceAnswer> AnswerParser::feed(std::string_view bytes) {
    std::vector<ApplianceAnswer> answers;
    while (!bytes.empty()) {
        const std::size_t end = bytes.find('\n');
        line_ += bytes.substr(0, std::min(end, kMaxAnswerLine + 1));
        if (line_.size() > kMaxAnswerLine)
            refuse_answer();
        if (end == std::string_view::npos)
            return answers;
        answers.push_back(parse_answer(line_));
        line_.clear();
        bytes.remove_prefix(end + 1);
    }
    return answers;
}

} // namespace vm2oci
