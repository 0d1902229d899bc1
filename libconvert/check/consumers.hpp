// The rules of those who run our images, as pure functions over facts. Each rule names where it comes from.
#pragma once

#include "libconvert/check/image_facts.hpp"

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci {

enum class ProblemSeverity {
    error,   // it does not work there
    warning, // it works, under a condition that the text names
};

struct Problem {
    ProblemSeverity severity = ProblemSeverity::error;
    std::string rule;   // a stable word for programs: "one-file-in-disk"
    std::string text;   // what is wrong, with the consumer's own words where it has some
    std::string remedy; // what to do; may be empty
};

struct Consumer {
    std::string_view name;        // for --for
    std::string_view description; // for people
    std::vector<Problem> (*check)(const ImageFacts& facts);
    // Whether the image is meant for it; what is not is judged only when the consumer is named.
    bool (*concerns)(const ImageFacts& facts);
};

// All that we know, in the order in which they are reported.
std::span<const Consumer> consumers();

// Error{usage} for a name that is none, listing those that are.
const Consumer& find_consumer(std::string_view name);

} // namespace vm2oci
