// The schemas of documents that are read back are made of the lists of members by which they are read. With
// VM2OCI_ACCEPT=1 in the environment the files in tools/schema are written anew.
#include "formats/base/fd.hpp"
#include "formats/base/version.hpp"
#include "tools/library/boot_report_fields.hpp"
#include "tools/library/inspection_fields.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <cstdlib>
#include <fstream>

using namespace vm2oci;

namespace {

using Json = nlohmann::ordered_json;

class SchemaWriter {
  public:
    template <class Value>
    void field(const char* name, Value& value) {
        properties_[name] = schema_of(value);
        if (always_)
            required_.push_back(name);
    }
    template <class Value>
    void maybe(const char* name, Value& value) {
        properties_[name] = schema_of(value);
    }
    // What follows stands there in some documents only.
    bool wants(bool /*there*/) {
        always_ = false;
        return true;
    }

    Json take() {
        Json schema = {{"type", "object"}, {"properties", std::move(properties_)}};
        if (!required_.empty())
            schema["required"] = required_;
        return schema;
    }

  private:
    static Json schema_of(std::string& /*value*/) { return {{"type", "string"}}; }
    static Json schema_of(bool& /*value*/) { return {{"type", "boolean"}}; }
    static Json schema_of(std::uint64_t& /*value*/) { return {{"type", "integer"}, {"minimum", 0}}; }
    static Json schema_of(std::int64_t& /*value*/) { return {{"type", "integer"}}; }
    static Json schema_of(std::map<std::string, std::string>& /*value*/) {
        return {{"type", "object"}, {"additionalProperties", {{"type", "string"}}}};
    }
    template <class Item>
    static Json schema_of(std::optional<Item>& /*value*/) {
        Item item{};
        Json schema = schema_of(item);
        schema["type"] = {schema["type"], "null"};
        return schema;
    }
    template <class Item>
    static Json schema_of(std::vector<Item>& /*value*/) {
        Item item{};
        return {{"type", "array"}, {"items", schema_of(item)}};
    }
    template <class Object>
    static Json schema_of(Object& value) {
        SchemaWriter inner;
        fields(inner, value);
        return inner.take();
    }

    Json properties_ = Json::object();
    Json required_ = Json::array();
    bool always_ = true;
};

template <class Document>
std::string schema(const char* name, const char* title) {
    Document document;
    SchemaWriter writer;
    fields(writer, document);
    Json members = writer.take();
    Json properties = {{"schema_version", {{"const", kSchemaVersion}}}};
    properties.update(members["properties"]);
    Json required = {"schema_version"};
    for (const Json& each : members["required"])
        required.push_back(each);
    const Json whole = {{"$schema", "https://json-schema.org/draft/2020-12/schema"},
                        {"$id", std::string("urn:vm2oci:schema:1:") + name},
                        {"title", title},
                        {"type", "object"},
                        {"properties", properties},
                        {"required", required}};
    return whole.dump(2) + '\n';
}

void check_schema(const std::string& name, const std::string& text) {
    const std::string path = std::string(SCHEMAS) + "/" + name + ".json";
    if (std::getenv("VM2OCI_ACCEPT") != nullptr)
        std::ofstream(path) << text;
    CHECK(read_file(path, 1 << 20).value_or("") == text);
}

} // namespace

TEST_CASE("the installed schemas are those of the members that are read") {
    check_schema("inspect", schema<v0::Inspection>("inspect", "vm2oci inspect"));
    check_schema("boot", schema<v0::BootReport>("boot", "vm2oci boot, and boot.json of its reports"));
}
