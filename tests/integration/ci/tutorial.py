#!/usr/bin/env python3
"""Follows a tutorial: runs its blocks of shell, in order, in one folder, and holds what they print against the page.

    tutorial.py PAGE

A block ```sh is run with `bash -eu`; a block ```text behind it holds lines that its output must have, in that order, with
"…" for anything. What goes to standard error counts, too.
"""

import pathlib
import re
import subprocess
import sys

page = pathlib.Path(sys.argv[1])
blocks = re.findall(r"^```(\w+)\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
said, ran, compared = [], 0, 0
for kind, text in blocks:
    if kind == "sh":
        ended = subprocess.run(["bash", "-eu", "-c", text], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, stdin=subprocess.DEVNULL)
        said = ended.stdout.splitlines()
        if ended.returncode != 0:
            sys.exit(f"{page.name}: exit code {ended.returncode} from:\n{text}\n{ended.stdout}")
        ran += 1
    elif kind == "text":
        rest = list(said)
        for wanted in text.splitlines():
            pattern = ".*".join(re.escape(part) for part in wanted.split("…"))
            while rest and not re.fullmatch(pattern, rest[0]):
                rest.pop(0)
            if not rest:
                sys.exit(f"{page.name}: nothing like this was printed:\n{wanted}\nbut:\n" + "\n".join(said))
            rest.pop(0)
            compared += 1
    else:
        sys.exit(f"{page.name}: a block of '{kind}', which is neither run nor compared")
print(f"{page.name}: {ran} blocks run, {compared} lines compared")
if ran < 3 or compared < 3:
    sys.exit(f"{page.name}: too little of it was run")
