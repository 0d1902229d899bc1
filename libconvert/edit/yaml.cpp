#include "libconvert/edit/yaml.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"

#include <fmt/format.h>
#include <yaml.h>

#include <algorithm>
#include <map>
#include <set>
#include <vector>

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

namespace {

// A copy of nodes of one document into another: anchors become copies of nothing, since a node is copied once.
class NodeCopier {
  public:
    NodeCopier(const yaml_document_t& from, yaml_document_t& to) : from_(from), to_(to) {}

    // Without recursion: an untrusted document may be nested deep.
    int copy(int index) {
        const int root = shallow(index);
        while (!pending_.empty()) {
            const int next = pending_.back();
            pending_.pop_back();
            const yaml_node_t* node = node_at(next);
            const int target = copies_.at(next);
            if (node->type == YAML_SEQUENCE_NODE) {
                for (const int* item = node->data.sequence.items.start; item != node->data.sequence.items.top; ++item)
                    yaml_document_append_sequence_item(&to_, target, shallow(*item));
            } else if (node->type == YAML_MAPPING_NODE) {
                for (const yaml_node_pair_t* pair = node->data.mapping.pairs.start;
                     pair != node->data.mapping.pairs.top; ++pair)
                    yaml_document_append_mapping_pair(&to_, target, shallow(pair->key), shallow(pair->value));
            }
        }
        return root;
    }

    const yaml_node_t* node_at(int index) const {
        return yaml_document_get_node(const_cast<yaml_document_t*>(&from_), index);
    }

  private:
    int shallow(int index) {
        if (const auto found = copies_.find(index); found != copies_.end())
            return found->second;
        const yaml_node_t* node = node_at(index);
        int made = 0;
        if (node->type == YAML_SCALAR_NODE)
            made = yaml_document_add_scalar(&to_, node->tag, node->data.scalar.value,
                                            static_cast<int>(node->data.scalar.length), node->data.scalar.style);
        else if (node->type == YAML_SEQUENCE_NODE)
            made = yaml_document_add_sequence(&to_, node->tag, node->data.sequence.style);
        else
            made = yaml_document_add_mapping(&to_, node->tag, node->data.mapping.style);
        if (made == 0)
            fail(ErrorKind::io, "out of memory while writing YAML");
        copies_[index] = made;
        if (node->type != YAML_SCALAR_NODE)
            pending_.push_back(index);
        return made;
    }

    const yaml_document_t& from_;
    yaml_document_t& to_;
    std::map<int, int> copies_;
    std::vector<int> pending_;
};

// Without quotes only what no reader of YAML 1.1 takes for a number, a truth value or nothing.
yaml_scalar_style_t style_of(const std::string& text) {
    constexpr std::string_view kWords[] = {"y", "n", "yes", "no", "true", "false", "on", "off", "null"};
    std::string lower;
    bool plain = !text.empty();
    for (const char c : text) {
        const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        plain = plain && (letter || (!lower.empty() && ((c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.')));
        lower += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    }
    plain = plain && std::find(std::begin(kWords), std::end(kWords), lower) == std::end(kWords);
    return plain ? YAML_PLAIN_SCALAR_STYLE : YAML_DOUBLE_QUOTED_SCALAR_STYLE;
}

int add_string(yaml_document_t& document, const std::string& text) {
    return yaml_document_add_scalar(&document, nullptr, reinterpret_cast<yaml_char_t*>(const_cast<char*>(text.data())),
                                    static_cast<int>(text.size()), style_of(text));
}

int collect(void* out, unsigned char* data, size_t size) {
    static_cast<std::string*>(out)->append(reinterpret_cast<const char*>(data), size);
    return 1;
}

} // namespace

std::string yaml_text(const YamlValue& root, const std::vector<YamlMember>& added, std::string_view left_out) {
    YamlValue::Document made;
    if (yaml_document_initialize(&made.document, nullptr, nullptr, nullptr, 1, 1) == 0)
        fail(ErrorKind::io, "out of memory while writing YAML");
    made.loaded = true;
    const yaml_node_t* old = root.document_->node(root.index_);
    const bool is_mapping = old != nullptr && old->type == YAML_MAPPING_NODE;
    const int mapping = yaml_document_add_mapping(&made.document, nullptr,
                                                  is_mapping ? old->data.mapping.style : YAML_BLOCK_MAPPING_STYLE);
    if (is_mapping) {
        NodeCopier copier(root.document_->document, made.document);
        for (const yaml_node_pair_t* pair = old->data.mapping.pairs.start; pair != old->data.mapping.pairs.top;
             ++pair) {
            const yaml_node_t* key = copier.node_at(pair->key);
            if (!left_out.empty() && key->type == YAML_SCALAR_NODE && scalar_text(*key) == left_out)
                continue;
            const int name = copier.copy(pair->key);
            yaml_document_append_mapping_pair(&made.document, mapping, name, copier.copy(pair->value));
        }
    }
    for (const YamlMember& member : added) {
        const int name = add_string(made.document, member.name);
        int value = 0;
        if (member.items.empty()) {
            value = add_string(made.document, member.value);
        } else {
            value = yaml_document_add_sequence(&made.document, nullptr, YAML_BLOCK_SEQUENCE_STYLE);
            for (const std::string& item : member.items)
                yaml_document_append_sequence_item(&made.document, value, add_string(made.document, item));
        }
        yaml_document_append_mapping_pair(&made.document, mapping, name, value);
    }
    std::string out;
    yaml_emitter_t emitter{};
    if (yaml_emitter_initialize(&emitter) == 0)
        fail(ErrorKind::io, "out of memory while writing YAML");
    yaml_emitter_set_output(&emitter, collect, &out);
    yaml_emitter_set_width(&emitter, -1);
    yaml_emitter_set_unicode(&emitter, 1);
    const bool written = yaml_emitter_open(&emitter) != 0 && yaml_emitter_dump(&emitter, &made.document) != 0 &&
                         yaml_emitter_close(&emitter) != 0;
    made.loaded = false; // the emitter has taken it
    yaml_emitter_delete(&emitter);
    if (!written)
        fail(ErrorKind::corrupt, "a YAML document cannot be written");
    return out;
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
    // The null of YAML 1.1, in each of its spellings (yaml.org/type/null.html).
    const bool nothing = text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL";
    return plain && nothing ? YamlKind::null : YamlKind::scalar;
}

std::string YamlValue::text() const {
    const yaml_node_t* node = document_->node(index_);
    return node != nullptr && node->type == YAML_SCALAR_NODE ? scalar_text(*node) : std::string();
}

bool YamlValue::is_plain() const {
    const yaml_node_t* node = document_->node(index_);
    return node != nullptr && node->type == YAML_SCALAR_NODE && node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
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
