#!/usr/bin/env python3
"""validate_spdx.py FILE [PURLS]: is it an SPDX 2.3 document in JSON, by the rules of the specification?

Shares no code with the program. Every rule of the JSON schema that such a document can break is here: required fields,
no others than those of the schema, their types and sets of values, the grammar of identifiers, dates, licence expressions
and purls; and what a schema cannot say: every identifier once, every relationship between elements that exist, one
element described. PURLS: a file of purls, one a line; the document must name exactly these."""
import json
import re
import sys

LICENSE_TOKEN = re.compile(r"[A-Za-z0-9.+-]+|\(|\)")
PURL = re.compile(r"^pkg:(deb|rpm|apk|alpm)/([a-z0-9._-]+/)?[A-Za-z0-9.%~_:+-]+@[A-Za-z0-9.%~_:-]+(\?[a-z]+=[^&\s]+(&[a-z]+=[^&\s]+)*)?$")
DOCUMENT = {"spdxVersion": str, "dataLicense": str, "SPDXID": str, "name": str, "documentNamespace": str,
            "creationInfo": dict, "packages": list, "relationships": list}
PACKAGE_REQUIRED = {"SPDXID": str, "name": str, "downloadLocation": str}
PACKAGE_ALLOWED = {**PACKAGE_REQUIRED, "filesAnalyzed": bool, "versionInfo": str, "supplier": str, "licenseConcluded": str,
                   "licenseDeclared": str, "licenseComments": str, "copyrightText": str, "sourceInfo": str, "comment": str,
                   "primaryPackagePurpose": str, "externalRefs": list}
PURPOSES = {"OTHER", "INSTALL", "ARCHIVE", "FIRMWARE", "APPLICATION", "FRAMEWORK", "LIBRARY", "CONTAINER", "SOURCE",
            "DEVICE", "OPERATING_SYSTEM", "FILE"}
problems = []


def check(condition, what):
    if not condition:
        problems.append(what)


def fields(value, required, allowed, where):
    for key, kind in required.items():
        check(isinstance(value.get(key), kind), f"{where}: {key} is missing or of another type")
    for key in value:
        check(key in allowed, f"{where}: {key} is no field of SPDX 2.3")
        check(key not in allowed or isinstance(value[key], allowed[key]), f"{where}: {key} is of another type")


def check_license(text, where):
    if text in ("NOASSERTION", "NONE"):
        return
    depth, wants = 0, True
    check("".join(LICENSE_TOKEN.findall(text)) == text.replace(" ", ""), f"{where}: {text!r} is no licence expression")
    for token in LICENSE_TOKEN.findall(text):
        if token == "(":
            check(wants, f"{where}: {text!r}")
            depth += 1
        elif token == ")":
            check(not wants and depth > 0, f"{where}: {text!r}")
            depth -= 1
        else:
            operator = token in ("AND", "OR", "WITH")
            check(operator != wants, f"{where}: {text!r} is no licence expression")
            check(operator or not token.endswith("+"), f"{where}: {token!r} is a deprecated name")
            wants = operator
    check(not wants and depth == 0, f"{where}: {text!r} is no licence expression")


document = json.load(open(sys.argv[1], encoding="utf-8"))
fields(document, DOCUMENT, DOCUMENT, "document")
check(document["spdxVersion"] == "SPDX-2.3", "spdxVersion")
check(document["dataLicense"] == "CC0-1.0", "dataLicense")
check(document["SPDXID"] == "SPDXRef-DOCUMENT", "the document's SPDXID")
check(re.match(r"^[A-Za-z][A-Za-z0-9+.-]*:[^#\s]+$", document["documentNamespace"]), "documentNamespace is no URI")
info = document["creationInfo"]
fields(info, {"created": str, "creators": list}, {"created": str, "creators": list, "comment": str}, "creationInfo")
check(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", info["created"]), "creationInfo.created")
check(info["creators"] and all(re.match(r"^(Tool|Person|Organization): \S", c) for c in info["creators"]), "creators")
ids = ["SPDXRef-DOCUMENT"]
purls = []
for package in document["packages"]:
    where = package.get("SPDXID", "a package")
    fields(package, PACKAGE_REQUIRED, PACKAGE_ALLOWED, where)
    ids.append(package["SPDXID"])
    check(re.fullmatch(r"SPDXRef-[A-Za-z0-9.-]+", package["SPDXID"]), f"{where} is no identifier")
    check(package["name"], f"{where} has no name")
    check(package["downloadLocation"] in ("NOASSERTION", "NONE"), f"{where}: downloadLocation")
    check(package.get("primaryPackagePurpose", "OTHER") in PURPOSES, f"{where}: purpose")
    supplier = package.get("supplier", "NOASSERTION")
    check(supplier == "NOASSERTION" or re.match(r"^(Person|Organization): \S", supplier), f"{where}: supplier")
    for key in ("licenseConcluded", "licenseDeclared"):
        check_license(package.get(key, "NOASSERTION"), f"{where}: {key}")
    for reference in package.get("externalRefs", []):
        kinds = {"referenceCategory": str, "referenceType": str, "referenceLocator": str}
        fields(reference, kinds, {**kinds, "comment": str}, where)
        check(reference["referenceCategory"] in ("OTHER", "PERSISTENT-ID", "SECURITY", "PACKAGE-MANAGER"), where)
        check(PURL.match(reference["referenceLocator"]), f"{where}: {reference['referenceLocator']!r} is no purl")
        purls.append(reference["referenceLocator"])
check(len(ids) == len(set(ids)), "an identifier stands for two elements")
described = 0
for relationship in document["relationships"]:
    kinds = {"spdxElementId": str, "relationshipType": str, "relatedSpdxElement": str}
    fields(relationship, kinds, {**kinds, "comment": str}, "relationship")
    check(relationship["spdxElementId"] in ids and relationship["relatedSpdxElement"] in ids,
          f"a relationship names what is not there: {relationship}")
    check(relationship["relationshipType"] in ("DESCRIBES", "CONTAINS"), "relationshipType")
    described += relationship["relationshipType"] == "DESCRIBES"
check(described == 1, "not one element is described")
if len(sys.argv) > 2:
    wanted = sorted(open(sys.argv[2]).read().split())
    check(sorted(purls) == wanted, f"packages differ: only in the document {sorted(set(purls) - set(wanted))[:5]}, "
                                   f"only wanted {sorted(set(wanted) - set(purls))[:5]}")
for problem in problems[:20]:
    print(problem)
sys.exit(1 if problems else 0)
