// XML from untrusted files (pugixml, which loads no entity and reads no DTD).
#pragma once

#include <pugixml.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci {

inline constexpr std::size_t kMaxXmlDepth = 256; // real ones have ten levels
inline constexpr std::size_t kMaxXmlNodes = 200'000;

// Error{unsafe}: a document type, whose entities nobody may expand. Error{corrupt}: no well-formed XML. Error{limit}.
// `name` is what to call it in messages.
void parse_xml(std::string_view text, std::string_view name, pugi::xml_document& document);

// Names without their prefix, which every writer chooses as it likes.
std::string_view local_name(const pugi::xml_node& node);

pugi::xml_node child_of(const pugi::xml_node& node, std::string_view name);
std::vector<pugi::xml_node> children_of(const pugi::xml_node& node, std::string_view name);

// The text of an attribute or of the first such child, without white space around it; "" if there is none.
// Error{corrupt} if two attributes have the name and say different things.
std::string attribute_of(const pugi::xml_node& node, std::string_view name);
bool has_attribute(const pugi::xml_node& node, std::string_view name);
std::string text_of(const pugi::xml_node& node);
std::string child_text(const pugi::xml_node& node, std::string_view name);

} // namespace vm2oci
