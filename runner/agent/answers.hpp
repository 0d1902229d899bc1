// What the sessions with agents share: reading the answers of a guest that may say anything.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci {

// The member if it is a string, else "".
std::string text_member(const nlohmann::json& object, const char* key);
// The strings of a member that is a list: at most `limit` of them, each cut at `text_limit` bytes.
std::vector<std::string> text_list_member(const nlohmann::json& object, const char* key, std::size_t limit,
                                          std::size_t text_limit);
// What is no base64 is skipped; at most `limit` bytes.
std::string bytes_of_base64(std::string_view text, std::size_t limit);

} // namespace vm2oci
