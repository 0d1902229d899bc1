// What `vm2oci help TOPIC` shows, and the manual's pages of section 7: one text for both, tools/help/TOPIC.md.
//
// The texts are Markdown of few forms: "# Title: summary" once, "## Heading", paragraphs, "- " items, code indented by
// four, `code` within lines.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci::cli {

struct Topic {
    std::string_view name; // "registries"
    std::string summary;   // of its title
};

std::vector<Topic> topics();

// The page of a topic, or of an error's code; nullopt: there is neither of that name.
std::optional<std::string> topic_page(std::string_view name);

// The same page of a topic as a source of man(1); nullopt: there is none of that name.
std::optional<std::string> topic_manual(std::string_view name);

} // namespace vm2oci::cli
