#!/usr/bin/env python3
"""The configuration fragments of the guest kernel: put together, checked, and shown as a table; its patches beside them.

  fragments.py join ARCH             one configuration for `make allnoconfig`, on standard output
  fragments.py check ARCH CONFIG     fails unless every symbol that the fragments ask for came out as asked
  fragments.py table                 the tables of the README, in Markdown
  fragments.py readme FILE           fails unless FILE holds these tables; --write puts them there

A fragment starts with its feature ("## Network"). A comment gives the reason of the symbols that follow it, up to the
next comment or empty line. "# CONFIG_X is not set" asks for a symbol to be off. A patch starts with its reason.
"""
import dataclasses
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
FOLDER = HERE / "config"
ARCHITECTURES = ("x86_64", "arm64")
BEGIN = "<!-- the fragments, as fragments.py shows them: do not edit by hand -->"
END = "<!-- end of the fragments -->"


@dataclasses.dataclass
class Group:
    reason: str
    settings: list  # of (symbol, value); the value of a symbol that is off is None


@dataclasses.dataclass
class Fragment:
    path: pathlib.Path
    title: str
    groups: list


class Problem(Exception):
    pass


def parse(path):
    fragment = Fragment(path, "", [])
    reason, open_group = [], None
    for number, line in enumerate(path.read_text().splitlines(), 1):
        where = f"{path.parent.name}/{path.name}:{number}"
        off = re.fullmatch(r"# (CONFIG_\w+) is not set", line)
        setting = re.fullmatch(r"(CONFIG_\w+)=(\S.*)", line)
        if off or setting:
            if open_group is None:
                if not reason:
                    raise Problem(f"{where}: no reason stands above this symbol")
                open_group = Group(" ".join(reason), [])
                fragment.groups.append(open_group)
            open_group.settings.append((off.group(1), None) if off else setting.groups())
        elif line.startswith("## "):
            fragment.title = line[3:]
        elif line.startswith("# "):
            if open_group is not None or not reason:
                reason, open_group = [], None
            reason.append(line[2:])
        elif line == "":
            reason, open_group = [], None
        else:
            raise Problem(f"{where}: neither a symbol, a reason nor empty: {line}")
    if not fragment.title:
        raise Problem(f"{path}: no title")
    return fragment


def fragments(architecture):
    found = [parse(path) for folder in ("common", architecture) for path in sorted((FOLDER / folder).glob("*.config"))]
    seen = {}
    for fragment in found:
        for group in fragment.groups:
            for symbol, _ in group.settings:
                if symbol in seen:
                    raise Problem(f"{symbol} is in {seen[symbol]} and in {fragment.path.name}")
                seen[symbol] = fragment.path.name
    return found


def line_of(symbol, value):
    return f"# {symbol} is not set" if value is None else f"{symbol}={value}"


def join(architecture):
    for fragment in fragments(architecture):
        for group in fragment.groups:
            for symbol, value in group.settings:
                print(line_of(symbol, value))


def check(architecture, config):
    result = {}
    for line in pathlib.Path(config).read_text().splitlines():
        if match := re.fullmatch(r"(CONFIG_\w+)=(.*)", line):
            result[match.group(1)] = match.group(2)
    lost = []
    for fragment in fragments(architecture):
        for group in fragment.groups:
            for symbol, value in group.settings:
                if result.get(symbol) != value:
                    lost.append(f"{symbol} of {fragment.path.parent.name}/{fragment.path.name} should be "
                                f"{value or 'off'} and is {result.get(symbol, 'off')}")
    if lost:
        raise Problem("the kernel's configuration did not take what was asked for:\n  " + "\n  ".join(lost))


def patches():
    lines = ["### Patches", "", "| why | patch |", "| --- | --- |"]
    for path in sorted((HERE / "patches").glob("*.patch")):
        reason = " ".join(path.read_text().partition("\n--- ")[0].split())
        if not reason:
            raise Problem(f"{path}: no reason stands above the patch")
        lines.append(f"| {reason} | [`{path.name}`](patches/{path.name}) |")
    return [*lines, ""]


def table():
    lines = patches()
    shown = set()
    for architecture in ARCHITECTURES:
        for fragment in fragments(architecture):
            if fragment.path in shown:
                continue
            shown.add(fragment.path)
            name = f"config/{fragment.path.parent.name}/{fragment.path.name}"
            lines += [f"### {fragment.title}", "", f"[`{name}`]({name})", "", "| why | symbols |", "| --- | --- |"]
            for group in fragment.groups:
                symbols = []
                for symbol, value in group.settings:
                    text = symbol.removeprefix("CONFIG_")
                    symbols.append(f"`{text}`" if value == "y" else f"`{text}` off" if value is None
                                   else f"`{text}={value}`")
                lines.append(f"| {group.reason.replace('|', chr(92) + '|')} | {', '.join(symbols)} |")
            lines.append("")
    return "\n".join(lines)


def readme(path, write):
    text = path.read_text()
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise Problem(f"{path}: the marks around the tables are not there")
    head, rest = text.split(BEGIN)
    wanted = f"{head}{BEGIN}\n\n{table()}\n{END}{rest.split(END)[1]}"
    if write:
        path.write_text(wanted)
    elif wanted != text:
        raise Problem(f"{path} and the fragments differ; `guest-kernel/fragments.py readme {path} --write` mends it")


def main(arguments):
    match arguments:
        case ["join", architecture] if architecture in ARCHITECTURES:
            join(architecture)
        case ["check", architecture, config] if architecture in ARCHITECTURES:
            check(architecture, config)
        case ["table"]:
            print(table())
        case ["readme", path]:
            readme(pathlib.Path(path), write=False)
        case ["readme", path, "--write"]:
            readme(pathlib.Path(path), write=True)
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Problem as problem:
        sys.exit(f"fragments: {problem}")
