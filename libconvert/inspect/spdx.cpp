#include "libconvert/inspect/spdx.hpp"

#include "formats/base/escape.hpp"
#include "formats/base/sha256.hpp"
#include "formats/base/version.hpp"
#include "libconvert/inspect/package_url.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <cctype>

namespace vm2oci {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kNoAssertion = "NOASSERTION";

// Letters, digits, "." and "-" are allowed; the number in front makes it the only one.
std::string element_id(std::size_t number, const std::string& name) {
    std::string id = fmt::format("SPDXRef-Package-{}-", number);
    for (const char c : name)
        id += std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' ? c : '-';
    return id;
}

Json describe(const InstalledPackage& package, const std::string& manager, const OsInfo& os, const std::string& id) {
    const std::string license = spdx_license(package.license);
    Json json = {
        {"SPDXID", id},
        {"name", escape_untrusted(package.name)},
        {"versionInfo", escape_untrusted(package.version)},
        {"supplier", package.supplier.empty() ? kNoAssertion : "Organization: " + escape_untrusted(package.supplier)},
        {"downloadLocation", kNoAssertion},
        {"filesAnalyzed", false},
        {"licenseConcluded", kNoAssertion},
        {"licenseDeclared", license.empty() ? kNoAssertion : license},
        {"copyrightText", kNoAssertion}};
    if (license.empty() && !package.license.empty())
        json["licenseComments"] = "The package says: " + escape_untrusted(package.license);
    if (!package.source.empty())
        json["sourceInfo"] = "built from " + escape_untrusted(package.source);
    json["externalRefs"] = Json::array({{{"referenceCategory", "PACKAGE-MANAGER"},
                                         {"referenceType", "purl"},
                                         {"referenceLocator", package_url(package, manager, os)}}});
    return json;
}

Json describe_system(const OsInfo& os, const PackageDatabase& database) {
    const std::string name = !os.product.empty() ? os.product : !os.distribution.empty() ? os.distribution : os.type;
    Json json = {
        {"SPDXID", "SPDXRef-Guest"},
        {"name", escape_untrusted(name)},
        {"supplier", os.distribution.empty() ? kNoAssertion : "Organization: " + escape_untrusted(os.distribution)},
        {"downloadLocation", kNoAssertion},
        {"filesAnalyzed", false},
        {"licenseConcluded", kNoAssertion},
        {"licenseDeclared", kNoAssertion},
        {"copyrightText", kNoAssertion},
        {"primaryPackagePurpose", "OPERATING_SYSTEM"}};
    if (!os.version.empty())
        json["versionInfo"] = escape_untrusted(os.version);
    if (!database.problem.empty())
        json["comment"] = "Not all packages could be read: " + escape_untrusted(database.problem);
    return json;
}

Json relationship(const std::string& from, const char* type, const std::string& to) {
    return {{"spdxElementId", from}, {"relationshipType", type}, {"relatedSpdxElement", to}};
}

} // namespace

std::string write_spdx(const OsInfo& os, const PackageDatabase& database, const SbomOptions& options) {
    Json packages = Json::array({describe_system(os, database)});
    Json relationships = Json::array({relationship("SPDXRef-DOCUMENT", "DESCRIBES", "SPDXRef-Guest")});
    for (std::size_t i = 0; i < database.packages.size(); ++i) {
        const std::string id = element_id(i + 1, database.packages[i].name);
        packages.push_back(describe(database.packages[i], database.manager, os, id));
        relationships.push_back(relationship("SPDXRef-Guest", "CONTAINS", id));
    }
    Json document = {
        {"spdxVersion", "SPDX-2.3"},
        {"dataLicense", "CC0-1.0"},
        {"SPDXID", "SPDXRef-DOCUMENT"},
        {"name", escape_untrusted(options.name)},
        {"documentNamespace", ""},
        {"creationInfo",
         {{"created", options.created}, {"creators", Json::array({"Tool: vm2oci-" + std::string(version())})}}},
        {"packages", std::move(packages)},
        {"relationships", std::move(relationships)}};
    document["documentNamespace"] = "urn:uuid:" + content_uuid(document.dump());
    return document.dump(2) + "\n";
}

} // namespace vm2oci
