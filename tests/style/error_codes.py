#!/usr/bin/env python3
"""Every throw of the tree has a documented code, and every documented code is thrown.

    error_codes.py [--list]      --list prints each code with the number of places that give it

Codes are derived (tools/design/0011-error-codes.md); this does the same from the text of the sources, and holds what comes
out against tools/help/errors.md.
"""

import collections
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
DERIVATION = ROOT / "tools/documents/error_code.cpp"
PAGE = ROOT / "tools/help/errors.md"
# Kinds of which a code must say more than the kind, wherever a folder is given a name: refusals, and what failed outside.
TELLING = {"corrupt", "unsupported", "unsafe", "limit", "failed"}
# Errors whose kind comes from elsewhere at run time: from the agent's answers, from which operation a check is for.
ALSO = {"appliance": TELLING, "image": {"corrupt", "usage"}, "partition-table": {"corrupt"}, "disk": TELLING - {"failed"}}
THROW = re.compile(r"\b(?:fail|Error|UploadLost|ChunksRefused)(?:\s+\w+)?[({]\s*ErrorKind::(\w+)|\b(fail_errno)\(")
HINT = re.compile(r"HintKind::(\w+)")


def word_of(kind):
    return {"external": "failed"}.get(kind, kind).replace("_", "-")


def main():
    text = DERIVATION.read_text()
    areas = re.findall(r'Area\{"([^"]+)", "([^"]+)"\}', text)
    of_hints = dict(re.findall(r'\{HintKind::(\w+), "([^"]+)"\}', text))
    codes = re.findall(r'"([a-z0-9-]+)"', text.split("kCodes = ")[1].split("});")[0])
    headings = [code for line in re.findall(r"^## (.*)$", PAGE.read_text(), re.MULTILINE) for code in line.split(", ")]
    complaints = []

    reached = collections.Counter()
    sources = subprocess.run(["git", "ls-files", "formats", "libconvert", "runner", "tools", "guest-kernel"], cwd=ROOT, check=True,
                             capture_output=True, text=True).stdout.split()
    hints_used = set()
    for name in sources:
        if not name.endswith((".cpp", ".hpp")) or name.startswith("formats/base/error") or name == DERIVATION.relative_to(ROOT).as_posix():
            continue
        source = (ROOT / name).read_text()
        hints_used.update(HINT.findall(source))
        area = next((area for folder, area in areas if name.startswith(folder)), "")
        for match in THROW.finditer(source):
            # fail_errno: absent or the operating system's refusal.
            for kind in ({match[1]} if match[1] else {"io", "not_found"}):
                word = word_of(kind)
                special = f"{area}-{word}"
                if special in codes:
                    reached[special] += 1
                else:
                    reached[word] += 1
                    if area and word in TELLING:
                        line = source.count("\n", 0, match.start()) + 1
                        complaints.append(f"{name}:{line}: {special} has no section in {PAGE.name}, and no place among kCodes")
    for area, words in ALSO.items():
        for word in words:
            reached[f"{area}-{word}"] += 1
    declared = set(re.findall(r"^    (\w+),", (ROOT / "formats/base/hint.hpp").read_text().split("enum class HintKind {")[1].split("};")[0], re.MULTILINE)) - {"none"}
    for hint in sorted(declared - set(of_hints)):
        complaints.append(f"the hint {hint} has no code")
    for hint, code in of_hints.items():
        if hint in hints_used:
            reached[code] += 1

    for folder, area in areas:
        if not any(name.startswith(folder) for name in sources):
            complaints.append(f"{DERIVATION.name}: there is nothing in {folder}")
    for code in codes:
        if codes.count(code) > 1:
            complaints.append(f"{code} is there twice")
        if code not in headings:
            complaints.append(f"{code} has no section in {PAGE.name}")
        if not reached[code]:
            complaints.append(f"{code} is documented, and nothing throws it")
    for code in headings:
        if code not in codes:
            complaints.append(f"{PAGE.name} explains {code}, which does not exist")
    if "--list" in sys.argv:
        for code in codes:
            print(f"{reached[code]:5} {code}")
    for complaint in complaints:
        print(complaint)
    print(f"{len(codes)} codes, {sum(reached.values())} places, {len(complaints)} complaints")
    return 1 if complaints or len(codes) < 50 else 0


sys.exit(main())
