// JSON at the border: untrusted text in, canonical text out. Include in .cpp files only.
#pragma once

#include "formats/oci/descriptor.hpp"

#include <nlohmann/json.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci {

inline constexpr std::size_t kMaxManifestBytes = 4ull * 1024 * 1024; // what registries agree to take
inline constexpr int kMaxJsonDepth = 64;                             // OCI documents need less than ten

// Error{corrupt} for text that is not JSON, repeats a key in one object or nests too deeply; Error{limit} above
// kMaxManifestBytes. `what` names the document in messages ("the manifest").
nlohmann::json parse_untrusted_json(std::string_view text, std::string_view what);

// One text for one value: no white space; keys in the order that the image-spec writes them (schemaVersion, mediaType,
// …), those that it does not know behind them by name.
std::string canonical_json(const nlohmann::json& value);

// Typed access with messages that name the field. All throw Error{corrupt} if a field is there with another type; the
// required_ ones also if it is absent. null counts as absent, as Go's decoder has it.
const nlohmann::json* find_field(const nlohmann::json& object, const char* name);
std::string required_string(const nlohmann::json& object, const char* name, std::string_view what);
std::string optional_string(const nlohmann::json& object, const char* name, std::string_view what);
std::uint64_t required_unsigned(const nlohmann::json& object, const char* name, std::string_view what);
std::vector<std::string> optional_strings(const nlohmann::json& object, const char* name, std::string_view what);
Annotations optional_string_map(const nlohmann::json& object, const char* name, std::string_view what);

Descriptor descriptor_from_json(const nlohmann::json& value, std::string_view what);
nlohmann::json to_json_value(const Descriptor& descriptor);

} // namespace vm2oci
