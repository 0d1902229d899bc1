// YAML as a tree of values, read with libyaml: enough to check what users hand over and to read a guest's settings.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vm2oci {

inline constexpr std::size_t kYamlSizeLimit = 4ull * 1024 * 1024; // configuration, not data

enum class YamlKind { null, scalar, sequence, mapping };

// A view into a document, which it keeps alive. Anchors are followed. Walking is the caller's: a document may refer to
// itself, so nobody may descend without a bound.
struct YamlMember {
    std::string name;
    std::string value;              // a string
    std::vector<std::string> items; // a list of strings instead, unless it is empty
};

class YamlValue {
  public:
    YamlKind kind() const;
    // The text of a scalar; empty for everything else.
    std::string text() const;
    // A scalar without quotes, which may be something else than text.
    bool is_plain() const;
    // 1-based, where the value begins.
    std::size_t line() const;
    std::vector<YamlValue> items() const;
    std::vector<std::pair<YamlValue, YamlValue>> members() const;
    // The last member of that name, as cloud-init reads it.
    std::optional<YamlValue> get(std::string_view key) const;

  private:
    friend YamlValue parse_yaml(std::string_view text);
    friend std::string yaml_text(const YamlValue& root, const std::vector<YamlMember>& added,
                                 std::string_view left_out);
    struct Document;
    YamlValue(std::shared_ptr<const Document> document, int index) : document_(std::move(document)), index_(index) {}

    std::shared_ptr<const Document> document_;
    int index_; // 0: an empty document
};

// One document. Error{corrupt} "line N, column M: …" when it is not YAML, holds a second document, or a key twice in a
// mapping; Error{limit} above kYamlSizeLimit.
YamlValue parse_yaml(std::string_view text);
// A mapping written anew, with members behind its own and without one of them; comments are lost. An empty document
// counts as a mapping without members.
std::string yaml_text(const YamlValue& root, const std::vector<YamlMember>& added, std::string_view left_out = {});
// For what a guest holds: nullopt instead of errors.
std::optional<YamlValue> try_parse_yaml(std::string_view text);

} // namespace vm2oci
