#include "libconvert/edit/yaml.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"

#include <fmt/format.h>
#include <yaml.h>

#include <set>

namespace vm2oci {

struct YamlValue::Document {
    mutable yaml_document_t document{}; // libyaml's accessors take it without const
    bool loaded = false;

    Document() = default;
    Document(const Document&) = delete;
    Document& operator=(const Document&) = delete;
    ~Document() {
        if (loaded)
            yaml_document_delete(&document);
    }
    const yaml_node_t* node(int index) const { return yaml_document_get_node(&document, index); }
};

namespace {

struct Parser {
    yaml_parser_t parser{};
    explicit Parser(std::string_view text) {
        if (yaml_parser_initialize(&parser) == 0)
            fail(ErrorKind::io, "out of memory while reading YAML");
        yaml_parser_set_input_string(&parser, reinterpret_cast<const unsigned char*>(text.data()), text.size());
    }
    Parser(const Parser&) = delete;
    Parser& operator=(const Parser&) = delete;
    ~Parser() { yaml_parser_delete(&parser); }

    [[noreturn]] void complain() const {
        fail(ErrorKind::corrupt,
             fmt::format("line {}, column {}: {}", parser.problem_mark.line + 1, parser.problem_mark.column + 1,
                         parser.problem == nullptr ? "not YAML" : parser.problem));
    }
};

std::string scalar_text(const yaml_node_t& node) {
    return {reinterpret_cast<const char*>(node.data.scalar.value), node.data.scalar.length};
}

// Every node of the document stands in one array: checking them all needs no recursion.
void refuse_double_keys(yaml_document_t& document) {
    for (const yaml_node_t* node = document.nodes.start; node != document.nodes.top; ++node) {
        if (node->type != YAML_MAPPING_NODE)
            continue;
        std::set<std::string> keys;
        for (const yaml_node_pair_t* pair = node->data.mapping.pairs.start; pair != node->data.mapping.pairs.top;
             ++pair) {
            const yaml_node_t* key = yaml_document_get_node(&document, pair->key);
            if (key == nullptr || key->type != YAML_SCALAR_NODE)
                continue;
            const std::string text = scalar_text(*key);
            if (text != "<<" && !keys.insert(text).second)
                fail(ErrorKind::corrupt,
                     fmt::format("line {}, column {}: the key {} is there twice", key->start_mark.line + 1,
                                 key->start_mark.column + 1, quote_untrusted(text)));
        }
    }
}

} // namespace

YamlValue parse_yaml(std::string_view text) {
    if (text.size() > kYamlSizeLimit)
        fail(ErrorKind::limit, "YAML of more than 4 MiB");
    const auto document = std::make_shared<YamlValue::Document>();
    Parser parser(text);
    if (yaml_parser_load(&parser.parser, &document->document) == 0)
        parser.complain();
    document->loaded = true;
    if (yaml_document_get_root_node(&document->document) == nullptr)
        return {document, 0};
    refuse_double_keys(document->document);
    YamlValue::Document second;
    if (yaml_parser_load(&parser.parser, &second.document) == 0)
        parser.complain();
    second.loaded = true;
    if (const yaml_node_t* extra = yaml_document_get_root_node(&second.document))
        fail(ErrorKind::corrupt, fmt::format("line {}: a second document begins", extra->start_mark.line + 1));
    return {document, 1};
}

std::optional<YamlValue> try_parse_yaml(std::string_view text) {
    try {
        return parse_yaml(text);
    } catch (const Error&) {
        return std::nullopt;
    }
}

YamlKind YamlValue::kind() const {
    const yaml_node_t* node = document_->node(index_);
    if (node == nullptr || node->type == YAML_NO_NODE)
        return YamlKind::null;
    if (node->type == YAML_SEQUENCE_NODE)
        return YamlKind::sequence;
    if (node->type == YAML_MAPPING_NODE)
        return YamlKind::mapping;
    const std::string text = scalar_text(*node);
    const bool plain = node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    return plain && (text.empty() || text == "~" || text == "null") ? YamlKind::null : YamlKind::scalar;
}

std::string YamlValue::text() const {
    const yaml_node_t* node = document_->node(index_);
    return node != nullptr && node->type == YAML_SCALAR_NODE ? scalar_text(*node) : std::string();
}

std::size_t YamlValue::line() const {
    const yaml_node_t* node = document_->node(index_);
    return node == nullptr ? 1 : node->start_mark.line + 1;
}

std::vector<YamlValue> YamlValue::items() const {
    std::vector<YamlValue> values;
    const yaml_node_t* node = document_->node(index_);
    if (node != nullptr && node->type == YAML_SEQUENCE_NODE)
        for (const int* item = node->data.sequence.items.start; item != node->data.sequence.items.top; ++item)
            values.push_back({document_, *item});
    return values;
}

std::vector<std::pair<YamlValue, YamlValue>> YamlValue::members() const {
    std::vector<std::pair<YamlValue, YamlValue>> values;
    const yaml_node_t* node = document_->node(index_);
    if (node != nullptr && node->type == YAML_MAPPING_NODE)
        for (const yaml_node_pair_t* pair = node->data.mapping.pairs.start; pair != node->data.mapping.pairs.top;
             ++pair)
            values.push_back({{document_, pair->key}, {document_, pair->value}});
    return values;
}

std::optional<YamlValue> YamlValue::get(std::string_view key) const {
    std::optional<YamlValue> found;
    for (const auto& [name, value] : members())
        if (name.text() == key)
            found = value;
    return found;
}

} // namespace vm2oci
