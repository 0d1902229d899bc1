// Small things about text and files that the programs inside a guest share. Nothing here throws but std::bad_alloc.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci::guest {

// The first `limit` bytes of a file; nullopt when it cannot be read.
std::optional<std::string> read_text(const std::string& path, std::size_t limit = 256ull * 1024);

// The names in a folder, sorted, without "." and ".."; empty when there is none.
std::vector<std::string> list_folder(const std::string& path);

std::string_view trim(std::string_view text);
std::vector<std::string_view> split_lines(std::string_view text); // without empty lines
std::vector<std::string_view> split_words(std::string_view text); // at spaces and tabs
std::string first_word(std::string_view text);

// A JSON string with its quotes. Bytes that are not UTF-8 become U+FFFD.
std::string json_quote(std::string_view text);
std::string json_list(const std::vector<std::string>& texts);

std::string base64(std::string_view bytes);

} // namespace vm2oci::guest
