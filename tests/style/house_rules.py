#!/usr/bin/env python3
"""The house's rules about files that a machine can check: length, what headers begin with, words that do not belong."""

import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
MAXIMUM_LINES = 600
MAXIMUM_COMMAND_LINES = 250  # words to values and back: what is longer does more
MAXIMUM_README_LINES = 150
TOP_LEVEL = {
    "CMakeLists.txt", "tools", "libconvert", "formats", "guest-kernel", "runner", "tests", "README.md",
    "CMakePresets.json", "LICENSE", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md",
}  # and names that begin with a dot
CODE = {".cpp", ".hpp", ".h", ".c", ".S", ".py", ".sh", ".cmake"}
FORBIDDEN = {
    # Not every /root or /home: a guest's are what this program is about.
    "a path of one machine": re.compile(r"(?<![\w.}/-])/(?:work/(?:main|wt|shared)\b|root/\.cache\b)"),
    "unfinished work": re.compile(r"\b(?:TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b"),
    "a merge conflict": re.compile(r"^(?:<{7}|>{7}) "),
}


def files():
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True
    ).stdout.decode()
    return sorted(name for name in listed.split("\0") if name and (ROOT / name).is_file())


NAMESPACE = re.compile(r"namespace ([\w:]+) \{")
TYPE = re.compile(r"(?:class|struct|enum class|enum) (?:VM2OCI_API )?(\w+)\b[^;]*\{")


def types_in(lines):
    """The types that a header defines, with their namespace."""
    space = ""
    for line in lines:
        if opened := NAMESPACE.match(line):
            space = opened[1]
        elif defined := TYPE.match(line):
            yield f"{space}::{defined[1]}"


def main():
    complaints = []
    seen = 0
    types = {}  # where each is defined: two of one name make one program do either's work, as its linker likes
    for top in sorted({name.split("/")[0] for name in files()} - TOP_LEVEL):
        if not top.startswith("."):
            complaints.append(f"{top}: does not belong at the top of the tree")
    for name in files():
        path = ROOT / name
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        seen += 1
        lines = text.splitlines()
        if text.startswith("#!") and path.suffix == ".sh" and not os.access(path, os.X_OK):
            complaints.append(f"{name}: begins as a program, and is not executable")
        if path.suffix in CODE and len(lines) > MAXIMUM_LINES:
            complaints.append(f"{name}: {len(lines)} lines; a file has at most {MAXIMUM_LINES}")
        if name.startswith("tools/vm2oci/commands/") and len(lines) > MAXIMUM_COMMAND_LINES:
            complaints.append(f"{name}: {len(lines)} lines; a command has at most {MAXIMUM_COMMAND_LINES}")
        if name == "README.md" and len(lines) > MAXIMUM_README_LINES:
            complaints.append(f"{name}: {len(lines)} lines; the README has at most {MAXIMUM_README_LINES}")
        if path.suffix == ".hpp":
            if not lines or not lines[0].startswith("//"):
                complaints.append(f"{name}:1: a header begins with a comment that says what it offers")
            if "#pragma once" not in lines:
                complaints.append(f"{name}: no #pragma once")
            for type_name in types_in(lines) if not name.startswith("tests/") else ():
                if type_name in types:
                    complaints.append(f"{name}: {type_name} is defined in {types[type_name]}, too")
                types[type_name] = name
        if text and not text.endswith("\n") and path.suffix in CODE | {".md", ".txt"}:
            complaints.append(f"{name}: no newline at the end")
        for number, line in enumerate(lines, 1):
            for reason, pattern in FORBIDDEN.items():
                if pattern.search(line):
                    complaints.append(f"{name}:{number}: {reason}: {line.strip()[:100]}")
    for complaint in complaints:
        print(complaint)
    print(f"{seen} files, {len(complaints)} complaints")
    return 1 if complaints or seen == 0 else 0


sys.exit(main())
