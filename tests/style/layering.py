#!/usr/bin/env python3
"""Reads every #include and fails on one that points the wrong way.

formats/base <- formats/block <- other rooms of formats <- libconvert, and formats <- runner; libconvert and runner
never include each other; guest-kernel includes formats; tools and tests include all. Within formats, libconvert,
runner and tools a room may include only rooms that its parent's CMakeLists.txt names above it. tools/flows,
tools/documents, tools/batch and tools/library know no command line: neither its library, nor streams, nor an option's name; and no
text that anything below tools/vm2oci tells people names an option. The
headers of the library that are installed include each other and the standard library alone, as <vm2oci/…>. The whole of nlohmann/json stays out of headers that headers
include. What lies in a folder of a room (formats/block/qcow2) stands below every header of the room that includes that
folder, and may not include it.
"""

import functools
import pathlib
import re
import sys

ROOT = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parents[2]
HOUSES = ("formats", "libconvert", "runner", "guest-kernel", "tools", "tests")
MAY_INCLUDE = {
    "formats": {"formats"},
    "libconvert": {"formats", "libconvert"},
    "runner": {"formats", "runner"},
    "guest-kernel": {"formats", "guest-kernel"},
    "tools": set(HOUSES) - {"tests"},
    "tests": set(HOUSES),
}
# formats turns bytes into values: no child process, no network, no libguestfs, no command line.
FORBIDDEN_IN_FORMATS = re.compile(r"^(curl/|guestfs\.h|hivex\.h|netinet/|arpa/|netdb\.h|spawn\.h|sys/wait\.h|CLI/)")
# Use cases take values and return values.
WORDLESS = {("tools", "flows"), ("tools", "documents"), ("tools", "batch"), ("tools", "library")}
INSTALLED = "tools/library/include/"
OF_THE_STANDARD = re.compile(r"^[a-z_]+$")
FORBIDDEN_IN_FLOWS = re.compile(r"^(CLI/|iostream$|ostream$|istream$|iosfwd$|fstream$|sstream$|iomanip$|cstdio$|stdio\.h$|fmt/ostream\.h$)")
# What images say of how they were made is part of their digests.
RECORDS = re.compile(r'created_by = "vm2oci convert --as [a-z]+"')
# What other programs are told is in their words.
WORDS_OF_OTHERS = {"libconvert/manifest/pods.cpp", "guest-kernel/agent/session.cpp"}
LITERAL = re.compile(r'"(?:[^"\\]|\\.)*"')
OPTION_NAME = re.compile(r'"(--[a-z][\w-]*)')
JSON = "nlohmann/json.hpp"
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def rooms_in_order(house):
    """The sub-folders that a CMakeLists.txt adds, in its order."""
    lists = ROOT / house / "CMakeLists.txt"
    if not lists.exists():
        return []
    return re.findall(r"^\s*add_subdirectory\(([\w-]+)", lists.read_text(), re.MULTILINE)


def room_of(path):
    """("formats", "block") of formats/block/slice.hpp; the room of a file directly in its house is ''."""
    parts = pathlib.PurePosixPath(path).parts
    return parts[0], parts[1] if len(parts) > 2 else ""


def option_names():
    """Every option that the command line knows."""
    return {
        name
        for source in sorted((ROOT / "tools" / "vm2oci").rglob("*.cpp"))
        for name in OPTION_NAME.findall(source.read_text(encoding="utf-8"))
    }


@functools.cache
def includes(name):
    """What one of our files includes."""
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return [match.group(2) for match in map(INCLUDE.match, lines) if match]


@functools.cache
def reachable(name):
    """All of our files that one of our headers includes, directly or not."""
    seen, waiting = set(), [name]
    while waiting:
        for target in includes(waiting.pop()):
            if target not in seen and (ROOT / target).is_file():
                seen.add(target)
                waiting.append(target)
    return frozenset(seen)


def climbs(name, target):
    """Whether a file in a folder of a room includes a header of the room that stands above that folder."""
    folder = pathlib.PurePosixPath(name).parent
    above = pathlib.PurePosixPath(target).parent
    return (above != folder and above in folder.parents and len(above.parts) > 1
            and any(pathlib.PurePosixPath(used).parent == folder for used in reachable(target)))


def main():
    order = {house: rooms_in_order(house) for house in ("formats", "libconvert", "runner", "tools")}
    option_word = re.compile(r"(?<![\w-])(%s)(?![\w-])" % "|".join(sorted(option_names(), key=len, reverse=True) or ["--"]))
    complaints = []
    sources = 0
    for house in HOUSES:
        for source in sorted((ROOT / house).rglob("*")):
            if source.suffix not in {".cpp", ".hpp", ".h", ".c", ".S"} or not source.is_file():
                continue
            sources += 1
            name = source.relative_to(ROOT).as_posix()
            own_house, own_room = room_of(name)
            if own_house in order and own_room and own_room not in order[own_house]:
                complaints.append(f"{name}: {own_house}/CMakeLists.txt does not name the room {own_room}")
                continue
            for number, line in enumerate(source.read_text(encoding="utf-8").splitlines(), 1):
                where, match = f"{name}:{number}", INCLUDE.match(line)
                if (own_house, own_room) in WORDLESS and (word := option_word.search(line)):
                    complaints.append(f"{where}: {word.group()} is a word of the command line, and {own_room} has no words")
                if own_house not in {"tests", "tools"} or own_room not in {"vm2oci", ""}:
                    for literal in () if own_house == "tests" or name in WORDS_OF_OTHERS or RECORDS.search(line) else LITERAL.findall(line):
                        if word := option_word.search(literal):
                            complaints.append(f"{where}: {word.group()} is a word of the command line: give the error a Hint")
                if not match:
                    continue
                target = match.group(2)
                if (own_house, own_room) in WORDLESS and FORBIDDEN_IN_FLOWS.match(target):
                    complaints.append(f"{where}: tools/{own_room} may not use {target}")
                if name.startswith(INSTALLED) and not (OF_THE_STANDARD.match(target) or (match.group(1) == "<" and (ROOT / INSTALLED / target).is_file())):
                    complaints.append(f"{where}: an installed header may not include {target}")
                if own_house == "formats" and FORBIDDEN_IN_FORMATS.match(target):
                    complaints.append(f"{where}: formats may not use {target}")
                if match.group(1) != '"':
                    if target.split("/")[0] in HOUSES:
                        complaints.append(f"{where}: our own headers are included with quotes")
                    continue
                if ".." in pathlib.PurePosixPath(target).parts or not (ROOT / target).is_file():
                    # A header beside a file of the guest's own code is found from its folder.
                    if own_house == "guest-kernel" and (source.parent / target).is_file():
                        continue
                    complaints.append(f"{where}: write {target} from the top of the tree")
                    continue
                if own_house != "tests" and source.suffix == ".hpp" and JSON in includes(target):
                    complaints.append(f"{where}: {target} brings {JSON} into a header; include json_fwd.hpp there")
                if own_house != "tests" and climbs(name, target):
                    complaints.append(f"{where}: {target} stands above this folder, which it includes")
                house_used, room_used = room_of(target)
                if house_used not in MAY_INCLUDE[own_house]:
                    complaints.append(f"{where}: {own_house} may not include {target}")
                elif house_used == own_house and own_house in order and own_room and room_used != own_room:
                    rooms = order[own_house]
                    # What lies directly in the house is its roof, unless it stands on no room.
                    if not room_used and not any(used.startswith(own_house + "/") for used in includes(target)):
                        continue
                    if room_used not in rooms or rooms.index(room_used) > rooms.index(own_room):
                        complaints.append(f"{where}: {own_house}/{own_room} stands before {target} in {own_house}/CMakeLists.txt")
    for complaint in complaints:
        print(complaint)
    print(f"{sources} sources, {len(complaints)} arrows that point the wrong way")
    return 1 if complaints or sources == 0 else 0


sys.exit(main())
