#!/usr/bin/env python3
"""Holds a document of --json against its schema, and against what it was.

    check_document.py SCHEMA GOLDEN < DOCUMENT

SCHEMA is a file of tools/schema; members that it does not name are faults here, though readers take them. In GOLDEN
digests, folders of the test and ports are left open. With VM2OCI_ACCEPT=1 in the environment GOLDEN is written anew.
"""

import json
import os
import pathlib
import re
import sys

import jsonschema


def closed(schema):
    """The schema, which takes no members that it does not name."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    result = {name: closed(value) for name, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and "type" in schema:
        result.setdefault("additionalProperties", False)
    return result


def open_ends(value):
    """The document without what differs from run to run, or from one version of a library to the next."""
    if isinstance(value, dict):
        opened = {name: "…" if name in ("seconds", "processor_seconds") else open_ends(item) for name, item in value.items()}
        if "blobs" in opened and isinstance(opened["blobs"], list):
            opened["blobs"].sort(key=lambda blob: blob["media_type"])  # they stand there by digest
        if isinstance(opened.get("removed"), list):
            opened["removed"].sort(key=lambda blob: blob["size"])
        return opened
    if isinstance(value, list):
        return [open_ends(item) for item in value]
    if isinstance(value, str):
        value = re.sub(r"sha256:[0-9a-f]{64}", "sha256:…", value)
        value = re.sub(r"127\.0\.0\.1:[0-9]+", "registry.example", value)
        return value.replace(os.getcwd(), "…")
    return value


schema = json.loads(pathlib.Path(sys.argv[1]).read_text())
golden = pathlib.Path(sys.argv[2])
document = json.load(sys.stdin)
jsonschema.Draft202012Validator.check_schema(schema)
faults = [
    f"{'/'.join(map(str, error.absolute_path))}: {error.message[:300]}"
    for error in jsonschema.Draft202012Validator(closed(schema)).iter_errors(document)
]
if faults:
    sys.exit("not what %s says:\n%s" % (sys.argv[1], "\n".join(faults)))
text = json.dumps(open_ends(document), indent=2, ensure_ascii=False) + "\n"
if os.environ.get("VM2OCI_ACCEPT"):
    golden.write_text(text)
elif not golden.exists() or golden.read_text() != text:
    import difflib

    before = golden.read_text() if golden.exists() else ""
    sys.stderr.writelines(difflib.unified_diff(before.splitlines(True), text.splitlines(True), str(golden), "now"))
    sys.exit("the document has changed; if it should, raise its version where CONTRIBUTING says so, and run the test "
             "once with VM2OCI_ACCEPT=1")
