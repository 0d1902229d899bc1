// The texts of tools/help, as the build reads them.
#pragma once

#include <span>
#include <string_view>

namespace vm2oci::cli {

struct TopicText {
    std::string_view name;
    std::string_view text;
};

std::span<const TopicText> topic_texts();

} // namespace vm2oci::cli
