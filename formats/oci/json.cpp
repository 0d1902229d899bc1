#include "formats/oci/json.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/base/size.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

namespace vm2oci {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 24> kKeyOrder = {
    "schemaVersion", "mediaType",    "artifactType", "digest",     "size",        "urls",    "platform", "created",
    "author",        "architecture", "os",           "os.version", "os.features", "variant", "config",   "rootfs",
    "history",       "layers",       "manifests",    "subject",    "annotations", "data",    "type",     "diff_ids"};

bool key_before(const std::string& a, const std::string& b) {
    const auto rank = [](const std::string& key) { return std::ranges::find(kKeyOrder, key) - kKeyOrder.begin(); };
    const auto rank_a = rank(a);
    const auto rank_b = rank(b);
    return rank_a != rank_b ? rank_a < rank_b : a < b;
}

// Recursion is bounded: values come from parse_untrusted_json() or from our own code.
void print(const json& value, std::string& out) {
    if (value.is_object()) {
        std::vector<std::string> keys;
        for (const auto& item : value.items())
            keys.push_back(item.key());
        std::ranges::sort(keys, key_before);
        out += '{';
        for (std::size_t i = 0; i < keys.size(); ++i) {
            out += i == 0 ? "" : ",";
            out += json(keys[i]).dump();
            out += ':';
            print(value[keys[i]], out);
        }
        out += '}';
    } else if (value.is_array()) {
        out += '[';
        for (std::size_t i = 0; i < value.size(); ++i) {
            out += i == 0 ? "" : ",";
            print(value[i], out);
        }
        out += ']';
    } else {
        out += value.dump();
    }
}

[[noreturn]] void fail_type(std::string_view what, const char* name, const char* wanted) {
    fail(ErrorKind::corrupt, fmt::format("{}: \"{}\" is not {}", what, name, wanted));
}

const json& required(const json& object, const char* name, std::string_view what) {
    const json* field = find_field(object, name);
    if (field == nullptr)
        fail(ErrorKind::corrupt, fmt::format("{}: \"{}\" is missing", what, name));
    return *field;
}

// Goes over a text before it is read. Not as the parser's callback: with one, every object that ends looks at all of
// those before it, so that some hundred kilobytes of empty objects would take minutes.
class Gate final : public nlohmann::json_sax<json> {
  public:
    explicit Gate(std::string_view what) : what_(what) {}

    bool null() override { return true; }
    bool boolean(bool /*value*/) override { return true; }
    bool number_integer(number_integer_t /*value*/) override { return true; }
    bool number_unsigned(number_unsigned_t /*value*/) override { return true; }
    bool number_float(number_float_t /*value*/, const string_t& /*text*/) override { return true; }
    bool string(string_t& /*value*/) override { return true; }
    bool binary(binary_t& /*value*/) override { return true; }
    bool start_object(std::size_t /*elements*/) override { return open(); }
    bool end_object() override { return close(); }
    bool start_array(std::size_t /*elements*/) override { return open(); }
    bool end_array() override { return close(); }
    bool key(string_t& name) override {
        if (!keys_.back().insert(name).second)
            // Two readers would take different values.
            fail(ErrorKind::corrupt,
                 fmt::format("{} has the key {} twice in one object", what_, quote_untrusted(name)));
        return true;
    }
    bool parse_error(std::size_t /*position*/, const std::string& /*token*/,
                     const nlohmann::detail::exception& /*error*/) override {
        return false;
    }

  private:
    bool open() {
        if (keys_.size() == kMaxJsonDepth)
            fail(ErrorKind::corrupt, fmt::format("{} nests deeper than {} levels", what_, kMaxJsonDepth));
        keys_.emplace_back();
        return true;
    }
    bool close() {
        keys_.pop_back();
        return true;
    }

    std::string_view what_;
    std::vector<std::set<std::string>> keys_; // of the objects that are open; of a list none
};

} // namespace

json parse_untrusted_json(std::string_view text, std::string_view what) {
    if (text.size() > kMaxManifestBytes)
        fail(ErrorKind::limit, fmt::format("{} is larger than {}", what, format_size(kMaxManifestBytes)));
    Gate gate(what);
    if (!json::sax_parse(text, &gate))
        fail(ErrorKind::corrupt, fmt::format("{} is not JSON", what));
    return json::parse(text);
}

std::string canonical_json(const json& value) {
    try {
        std::string out;
        print(value, out);
        return out;
    } catch (const json::type_error&) {
        fail(ErrorKind::usage, "a label, an annotation or another text for the image is not UTF-8");
    }
}

const json* find_field(const json& object, const char* name) {
    const auto found = object.find(name);
    return found == object.end() || found->is_null() ? nullptr : &*found;
}

std::string required_string(const json& object, const char* name, std::string_view what) {
    const json& field = required(object, name, what);
    if (!field.is_string())
        fail_type(what, name, "a string");
    return field.get<std::string>();
}

std::string optional_string(const json& object, const char* name, std::string_view what) {
    return find_field(object, name) == nullptr ? std::string() : required_string(object, name, what);
}

std::uint64_t required_unsigned(const json& object, const char* name, std::string_view what) {
    const json& field = required(object, name, what);
    if (!field.is_number_unsigned())
        fail_type(what, name, "a whole number of at least 0");
    return field.get<std::uint64_t>();
}

std::vector<std::string> optional_strings(const json& object, const char* name, std::string_view what) {
    std::vector<std::string> strings;
    const json* field = find_field(object, name);
    if (field == nullptr)
        return strings;
    if (!field->is_array())
        fail_type(what, name, "a list of strings");
    for (const json& item : *field) {
        if (!item.is_string())
            fail_type(what, name, "a list of strings");
        strings.push_back(item.get<std::string>());
    }
    return strings;
}

Annotations optional_string_map(const json& object, const char* name, std::string_view what) {
    Annotations map;
    const json* field = find_field(object, name);
    if (field == nullptr)
        return map;
    if (!field->is_object())
        fail_type(what, name, "an object of strings");
    for (const auto& item : field->items()) {
        if (!item.value().is_string())
            fail_type(what, name, "an object of strings");
        map.emplace(item.key(), item.value().get<std::string>());
    }
    return map;
}

Descriptor descriptor_from_json(const json& value, std::string_view what) {
    if (!value.is_object())
        fail(ErrorKind::corrupt, fmt::format("{} is not an object", what));
    Descriptor descriptor;
    descriptor.media_type = required_string(value, "mediaType", what);
    descriptor.digest =
        with_context(std::string(what), [&] { return Digest::parse(required_string(value, "digest", what)); });
    descriptor.size = required_unsigned(value, "size", what);
    descriptor.annotations = optional_string_map(value, "annotations", what);
    descriptor.artifact_type = optional_string(value, "artifactType", what);
    if (const json* platform = find_field(value, "platform")) {
        if (!platform->is_object())
            fail_type(what, "platform", "an object");
        descriptor.platform = Platform{.architecture = optional_string(*platform, "architecture", what),
                                       .os = optional_string(*platform, "os", what),
                                       .variant = optional_string(*platform, "variant", what)};
    }
    return descriptor;
}

json to_json_value(const Descriptor& descriptor) {
    json value = {
        {"mediaType", descriptor.media_type}, {"digest", descriptor.digest.text()}, {"size", descriptor.size}};
    if (!descriptor.annotations.empty())
        value["annotations"] = descriptor.annotations;
    if (!descriptor.artifact_type.empty())
        value["artifactType"] = descriptor.artifact_type;
    if (descriptor.platform) {
        value["platform"] = {{"architecture", descriptor.platform->architecture}, {"os", descriptor.platform->os}};
        if (!descriptor.platform->variant.empty())
            value["platform"]["variant"] = descriptor.platform->variant;
    }
    return value;
}

} // namespace vm2oci
