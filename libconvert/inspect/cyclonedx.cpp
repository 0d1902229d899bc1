#include "libconvert/inspect/cyclonedx.hpp"

#include "formats/base/escape.hpp"
#include "formats/base/version.hpp"
#include "libconvert/inspect/package_url.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace vm2oci {
namespace {

using Component = nlohmann::ordered_json;

Component describe_component(const InstalledPackage& package, const PackageDatabase& database, const OsInfo& os,
                             const std::string& reference) {
    Component json = {{"type", "library"}, {"bom-ref", reference}};
    if (!package.supplier.empty())
        json["supplier"] = {{"name", escape_untrusted(package.supplier)}};
    json["name"] = escape_untrusted(package.name);
    json["version"] = escape_untrusted(package.version);
    if (const std::string expression = spdx_license(package.license); !expression.empty())
        json["licenses"] = Component::array({{{"expression", expression}}});
    else if (!package.license.empty())
        json["licenses"] = Component::array({{{"license", {{"name", escape_untrusted(package.license)}}}}});
    json["purl"] = package_url(package, database.manager, os);
    return json;
}

Component describe_machine(const OsInfo& os, const std::string& reference) {
    const std::string name = !os.product.empty() ? os.product : !os.distribution.empty() ? os.distribution : os.type;
    Component json = {{"type", "operating-system"}, {"bom-ref", reference}};
    if (!os.distribution.empty())
        json["supplier"] = {{"name", escape_untrusted(os.distribution)}};
    json["name"] = escape_untrusted(name);
    if (!os.version.empty())
        json["version"] = escape_untrusted(os.version);
    return json;
}

} // namespace

std::string write_cyclonedx(const OsInfo& os, const PackageDatabase& database, const SbomOptions& options) {
    constexpr const char* kGuest = "guest";
    Component components = Component::array();
    Component references = Component::array();
    for (std::size_t i = 0; i < database.packages.size(); ++i) {
        const std::string reference = fmt::format("package-{}", i + 1);
        components.push_back(describe_component(database.packages[i], database, os, reference));
        references.push_back(reference);
    }
    Component metadata = {
        {"timestamp", options.created},
        {"tools",
         {{"components", Component::array({{{"type", "application"}, {"name", "vm2oci"}, {"version", version()}}})}}},
        {"component", describe_machine(os, kGuest)},
        {"properties", Component::array({{{"name", "vm2oci:source"}, {"value", escape_untrusted(options.name)}}})}};
    if (!database.problem.empty())
        metadata["properties"].push_back(
            {{"name", "vm2oci:incomplete"}, {"value", escape_untrusted(database.problem)}});
    Component document = {
        {"$schema", "http://cyclonedx.org/schema/bom-1.5.schema.json"},
        {"bomFormat", "CycloneDX"},
        {"specVersion", "1.5"},
        {"serialNumber", ""},
        {"version", 1},
        {"metadata", std::move(metadata)},
        {"components", std::move(components)},
        {"dependencies", Component::array({{{"ref", kGuest}, {"dependsOn", std::move(references)}}})}};
    document["serialNumber"] = "urn:uuid:" + content_uuid(document.dump());
    return document.dump(2) + "\n";
}

} // namespace vm2oci
