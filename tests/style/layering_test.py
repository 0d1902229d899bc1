#!/usr/bin/env python3
"""layering.py must find each kind of arrow that points the wrong way, and nothing in a tree that is right."""

import pathlib
import subprocess
import sys
import tempfile

LAYERING = pathlib.Path(__file__).with_name("layering.py")
HOUSE = {
    "formats/CMakeLists.txt": "add_subdirectory(base)\nadd_subdirectory(block)\nadd_subdirectory(codec)\n",
    "formats/base/error.hpp": "// Errors.\n",
    "formats/block/device.hpp": '// Devices.\n#include "formats/base/error.hpp"\n',
    "formats/codec/frame.hpp": '// Frames.\n#include "formats/block/device.hpp"\n',
    "libconvert/convert.cpp": '#include "formats/codec/frame.hpp"\n// as --loud has it\ncall("other --louder");\n',
    "runner/boot.hpp": '// Boots.\n#include "formats/block/device.hpp"\n',
    "tools/CMakeLists.txt": "add_subdirectory(flows)\nadd_subdirectory(library)\nadd_subdirectory(nbdkit)\nadd_subdirectory(vm2oci)\n",
    "tools/flows/convert.hpp": '// Converts.\n#include "libconvert/convert.hpp"\n#include "runner/boot.hpp"\n// cmake --build\n',
    "tools/library/include/vm2oci/error.hpp": "// Errors.\n#include <string>\n",
    "tools/library/include/vm2oci/disk.hpp": "// Disks.\n#include <vm2oci/error.hpp>\n",
    "tools/vm2oci/words.cpp": 'add_option("--loud", x);\n',
    "tools/main.cpp": '#include "runner/boot.hpp"\n#include "tools/flows/convert.hpp"\n',
}
WRONG = {
    "base uses block": ("formats/base/fd.cpp", '#include "formats/block/device.hpp"'),
    "block uses codec": ("formats/block/copy.cpp", '#include "formats/codec/frame.hpp"'),
    "formats uses libconvert": ("formats/codec/x.cpp", '#include "libconvert/convert.hpp"'),
    "formats uses the network": ("formats/codec/x.cpp", "#include <curl/curl.h>"),
    "formats starts a process": ("formats/codec/x.cpp", "#include <spawn.h>"),
    "libconvert uses runner": ("libconvert/x.cpp", '#include "runner/boot.hpp"'),
    "runner uses libconvert": ("runner/x.cpp", '#include "libconvert/convert.hpp"'),
    "the guest's program uses libconvert": ("guest-kernel/init.cpp", '#include "libconvert/convert.hpp"'),
    "a product uses a test": ("tools/x.cpp", '#include "tests/support/fake.hpp"'),
    "a use case knows the command line": ("tools/flows/x.cpp", "#include <CLI/App.hpp>"),
    "a use case prints": ("tools/flows/x.cpp", "#include <ostream>"),
    "a use case speaks of an option": ("tools/flows/x.cpp", 'fail("leave --loud away");'),
    "a use case uses the program": ("tools/flows/x.cpp", '#include "tools/vm2oci/words.hpp"'),
    "a plugin uses the program": ("tools/nbdkit/x.cpp", '#include "tools/vm2oci/words.hpp"'),
    "an installed header uses one that is not": ("tools/library/include/vm2oci/x.hpp", '#include "formats/base/error.hpp"'),
    "an installed header uses another library": ("tools/library/include/vm2oci/x.hpp", "#include <fmt/format.h>"),
    "the library speaks of an option": ("tools/library/x.cpp", 'fail("leave --loud away");'),
    "an error below the tools speaks of an option": ("libconvert/x.cpp", 'fail("take --loud away");'),
    "a format speaks of an option": ("formats/block/x.cpp", 'text += "(--loud)";'),
    "a verdict speaks of an option": ("runner/x.cpp", '{"advice: --loud=yes"}'),
    "a path from the own folder": ("formats/block/x.cpp", '#include "device.hpp"'),
    "a room that nobody named": ("formats/ghost/x.cpp", '#include "formats/base/error.hpp"'),
}


def verdict(extra):
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        present = {"libconvert/convert.hpp": "// Converts.\n", "tools/vm2oci/words.hpp": "// Words.\n", "tests/support/fake.hpp": "// A fake.\n"}
        for name, text in {**HOUSE, **present, **extra}.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        return subprocess.run([sys.executable, str(LAYERING), folder], capture_output=True, text=True)


failures = []
clean = verdict({})
if clean.returncode != 0:
    failures.append(f"a house in order is refused: {clean.stdout}")
for title, (name, line) in WRONG.items():
    result = verdict({name: line + "\n"})
    if result.returncode == 0 or name not in result.stdout:
        failures.append(f"not found: {title}")
print("\n".join(failures) or f"{len(WRONG)} kinds of wrong arrows are found")
sys.exit(bool(failures))
