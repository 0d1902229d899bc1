#include "formats/base/version.hpp"
#include "tools/documents/document.hpp"
#include "tools/library/boot_report_fields.hpp"
#include "tools/library/border.hpp"
#include "tools/library/inspection_fields.hpp"
#include "tools/library/json_fields.hpp"

#include <vm2oci/documents.hpp>

#include <initializer_list>

namespace vm2oci::v0 {
namespace {

Json parse_document(std::string_view text, std::initializer_list<const char*> members) {
    Json document = Json::parse(text, nullptr, false);
    if (!document.is_object())
        fail(vm2oci::ErrorKind::corrupt, "this is no JSON document");
    const auto version = document.find("schema_version");
    if (version == document.end() || !version->is_number_integer())
        fail(vm2oci::ErrorKind::corrupt, "the document does not say its schema_version");
    if (*version != kSchemaVersion)
        fail(vm2oci::ErrorKind::unsupported, "the document has another schema_version than " +
                                                 std::to_string(kSchemaVersion) + ", which this vm2oci knows");
    for (const char* member : members)
        if (!document.contains(member))
            fail(vm2oci::ErrorKind::corrupt, std::string("the document has no ") + member);
    return document;
}

template <class Value>
Value read_value(const Json& document) {
    Value value;
    FieldReader reader(document, "");
    fields(reader, value);
    return value;
}

template <class Value>
std::string write_value(Value value) {
    FieldWriter writer;
    fields(writer, value);
    return document_text(writer.take());
}

} // namespace

Inspection read_inspection(std::string_view json) {
    return at_border([&] {
        const Json document = parse_document(json, {"source"});
        if (!document.contains("disk") && !document.contains("image"))
            fail(vm2oci::ErrorKind::corrupt, "the document has neither a disk nor an image");
        return read_value<Inspection>(document);
    });
}

std::string write_document(const Inspection& inspection) {
    return at_border([&] { return write_value(inspection); });
}

BootReport read_boot_report(std::string_view json) {
    return at_border([&] {
        return read_value<BootReport>(parse_document(json, {"source", "passed", "verdict", "checks"}));
    });
}

std::string write_document(const BootReport& report) {
    return at_border([&] { return write_value(report); });
}

} // namespace vm2oci::v0
