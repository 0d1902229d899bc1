#!/usr/bin/env python3
"""Holds --help and the manual together: the same commands, arguments, options and names of values in both.

    manual.py VM2OCI MANUAL

In the manual each command is a '.Ss NAME ARGUMENTS' below COMMANDS. Options that several commands share may stand in a
section of their own, which the commands name with '.Sx'.
"""

import re
import subprocess
import sys

OPTION = re.compile(r"^(-.*?)(?:\s{2,}.*)?$")
GLOBAL = "every command"


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True, env={"LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"}).stdout


def options_of_help(text):
    """{"--progress": "--progress MODE"} of one help page, without and with the options of every command."""
    own, shared, current = {}, {}, None
    for line in text.splitlines():
        if line and not line.startswith(" "):
            current = shared if line.startswith("Options of every command") else own
            if line.startswith("Examples") or line.startswith("References"):
                current = None
        elif current is not None and line.startswith("  -"):
            entry = OPTION.match(line.strip()).group(1)
            current[name_of(entry)] = entry
    return own, shared


def name_of(entry):
    return re.search(r"--[\w-]+", entry).group(0)


def read_help(program):
    root = run(program, "--help")
    listed = root.split("\nCommands:\n")[1].split("\n\n")[0]
    commands = re.findall(r"^  (\w[\w-]*) {2,}", listed, re.MULTILINE)
    found = {GLOBAL: ("", options_of_help(root)[1])}
    for command in commands:
        page = run(program, command, "--help=all")
        usage = re.match(r"Usage: vm2oci (\S+) \[OPTIONS\] ?(.*)\n", page)
        own, shared = options_of_help(page)
        if shared != found[GLOBAL][1]:
            print(f"{command} --help lists other options of every command than vm2oci --help")
            sys.exit(1)
        found[command] = (usage.group(2), own)
    return found


def read_manual(page):
    """The same from the manual as a reader sees it: sections in column 0, commands in column 3, options in column 5."""
    text = re.sub(r".\x08", "", run("mandoc", "-T", "utf8", "-O", "width=110", page))
    sections, commands, prose = {}, {}, {}
    section = command = None
    for line in text.replace("\u00a0", " ").replace("\u2010", "-").splitlines():
        if re.match(r"^\S", line):
            section, command = line.strip(), None
        elif section == "COMMANDS" and (match := re.match(r"^ {3}(\w\S*) ?(.*)$", line)):
            command = match.group(1)
            commands[command] = (match.group(2), {})
        elif match := re.match(r"^ {5}(-\S.*)$", line):
            entry = OPTION.match(match.group(1)).group(1)
            if "--" in entry:
                target = commands[command][1] if command else sections.setdefault(section, {})
                target[name_of(entry)] = entry
        elif command:
            prose[command] = prose.get(command, "") + " " + line.strip()
    for name, (_, options) in commands.items():
        for title, shared in sections.items():
            if title in prose.get(name, ""):
                options.update(shared)
    commands[GLOBAL] = ("", sections["OPTIONS OF EVERY COMMAND"])
    return commands


def main():
    helps, manual = read_help(sys.argv[1]), read_manual(sys.argv[2])
    complaints = []
    for command in sorted(set(helps) | set(manual)):
        if command not in manual:
            complaints.append(f"the manual has no '.Ss {command}' below COMMANDS")
            continue
        if command not in helps:
            complaints.append(f"the manual tells of a command {command} that does not exist")
            continue
        if helps[command][0] != manual[command][0]:
            complaints.append(f"{command}: the arguments are '{helps[command][0]}' in --help, '{manual[command][0]}' in the manual")
        in_help, in_manual = helps[command][1], manual[command][1]
        for name in sorted(set(in_help) | set(in_manual)):
            if in_help.get(name) != in_manual.get(name):
                complaints.append(f"{command}: {in_help.get(name, 'nothing')} in --help, {in_manual.get(name, 'nothing')} in the manual")
    for complaint in complaints:
        print(complaint)
    print(f"{len(helps) - 1} commands, {sum(len(o) for _, o in helps.values())} options, {len(complaints)} differences"
          f"{': edit ' + sys.argv[2] if complaints else ''}")
    return 1 if complaints or len(helps) < 2 else 0


sys.exit(main())
