#include "libconvert/hardware/xml_text.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/base/size.hpp"
#include "libconvert/hardware/hardware.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace vm2oci {
namespace {

std::string_view without_prefix(std::string_view name) {
    const std::size_t colon = name.rfind(':');
    return colon == std::string_view::npos ? name : name.substr(colon + 1);
}

std::string trimmed(std::string_view text) {
    constexpr std::string_view blanks = " \t\r\n";
    const std::size_t begin = text.find_first_not_of(blanks);
    if (begin == std::string_view::npos)
        return "";
    return std::string(text.substr(begin, text.find_last_not_of(blanks) - begin + 1));
}

// The limits, and what may not be there, in document order.
class Inspector final : public pugi::xml_tree_walker {
  public:
    bool for_each(pugi::xml_node& node) override {
        has_doctype |= node.type() == pugi::node_doctype;
        too_large |= ++nodes_ > kMaxXmlNodes || static_cast<std::size_t>(depth()) > kMaxXmlDepth;
        return !has_doctype && !too_large;
    }
    bool has_doctype = false;
    bool too_large = false;

  private:
    std::size_t nodes_ = 0;
};

} // namespace

void parse_xml(std::string_view text, std::string_view name, pugi::xml_document& document) {
    if (text.size() > kMaxDescriptionBytes)
        fail(ErrorKind::limit, fmt::format("{} has {}, and the limit is {}", name, format_size(text.size()),
                                           format_size(kMaxDescriptionBytes)));
    // pugixml takes a NUL for the end, and whatever stands behind it would go unseen.
    const bool is_wide = text.starts_with("\xff\xfe") || text.starts_with("\xfe\xff");
    if (!is_wide && text.find('\0') != std::string_view::npos)
        fail(ErrorKind::corrupt, fmt::format("{} holds a NUL, and no text may", name));
    const pugi::xml_parse_result result =
        document.load_buffer(text.data(), text.size(), pugi::parse_default | pugi::parse_doctype, pugi::encoding_auto);
    Inspector inspector;
    document.traverse(inspector);
    if (inspector.has_doctype)
        fail(ErrorKind::unsafe,
             fmt::format("{} has a document type, whose entities may be anything; none is read", name));
    if (inspector.too_large)
        fail(ErrorKind::limit,
             fmt::format("{} has more than {} elements, or more than {} levels", name, kMaxXmlNodes, kMaxXmlDepth));
    if (!result)
        fail(ErrorKind::corrupt, fmt::format("{} is no well-formed XML: {}", name, result.description()));
}

std::string_view local_name(const pugi::xml_node& node) {
    return without_prefix(node.name());
}

pugi::xml_node child_of(const pugi::xml_node& node, std::string_view name) {
    for (const pugi::xml_node& child : node.children())
        if (local_name(child) == name)
            return child;
    return {};
}

std::vector<pugi::xml_node> children_of(const pugi::xml_node& node, std::string_view name) {
    std::vector<pugi::xml_node> found;
    for (const pugi::xml_node& child : node.children())
        if (local_name(child) == name)
            found.push_back(child);
    return found;
}

std::string attribute_of(const pugi::xml_node& node, std::string_view name) {
    std::string value;
    bool is_found = false;
    for (const pugi::xml_attribute& attribute : node.attributes()) {
        if (without_prefix(attribute.name()) != name || std::string_view(attribute.name()).starts_with("xmlns"))
            continue;
        if (is_found && value != trimmed(attribute.value()))
            fail(ErrorKind::corrupt,
                 fmt::format("an element {} says {} twice, and differently", quote_untrusted(node.name()), name));
        is_found = true;
        value = trimmed(attribute.value());
    }
    return value;
}

bool has_attribute(const pugi::xml_node& node, std::string_view name) {
    return std::ranges::any_of(node.attributes(), [&](const pugi::xml_attribute& attribute) {
        return without_prefix(attribute.name()) == name && !std::string_view(attribute.name()).starts_with("xmlns");
    });
}

std::string text_of(const pugi::xml_node& node) {
    std::string text;
    for (const pugi::xml_node& child : node.children())
        if (child.type() == pugi::node_pcdata || child.type() == pugi::node_cdata)
            text += child.value();
    return trimmed(text);
}

std::string child_text(const pugi::xml_node& node, std::string_view name) {
    return text_of(child_of(node, name));
}

} // namespace vm2oci
