#!/usr/bin/env python3
"""Shows what unit tests would not notice: changes one place of a room's source after another, builds, runs the tests.

    tests/mutate.py ROOM TEST[,TEST…] [COUNT] [SEED]
    tests/mutate.py formats/ext4 ext4 60

ROOM is a folder of sources, TEST a unit test without its `unit_` (all must pass as things are). COUNT places are chosen by
SEED (default 40, 1). A change that does not compile is replaced by another. What the tests let pass is printed as
FILE:LINE, the line and what became of it; the last line says how many were seen. The work is done in a worktree and a
build of their own under build/mutation, of the last commit: nothing else is touched.
"""
import pathlib
import random
import re
import subprocess
import sys

# What a slip of the pen does: (pattern, replacement) by clang-format's spacing, which tells operators from brackets.
SLIPS = [
    (r" < ", " <= "), (r" <= ", " < "), (r" > ", " >= "), (r" >= ", " > "), (r" == ", " != "), (r" != ", " == "),
    (r" && ", " || "), (r" \|\| ", " && "), (r" \+ ", " - "), (r" - ", " + "), (r" \* (?=\w)", " + "), (r" % ", " / "),
    (r" & ", " | "), (r" << ", " >> "), (r" \+= ", " -= "), (r" -= ", " += "), (r"\bif \((?!const|auto)(.*)\)( \{)?$", r"if (!(\1))\2"),
    (r"\btrue\b", "false"), (r"\bfalse\b", "true"), (r"\bcontinue;", ";"), (r"\bbreak;", ";"),
    (r"(?<![\w.'\"])(\d+)(?![\w.'\"])", lambda m: str(int(m[1]) + 1)), (r"\bstd::min\b", "std::max"), (r"\bstd::max\b", "std::min"),
    (r"^(\s+)(?!return|throw|const|auto|if|for|while|case|using|struct|static)[\w.>()-]+\(.*\);$", r"\1;"),
    (r"^(\s+)return (?!\{|std::|nullopt)([^;]*);$", r"\1return {};"),
]
TIMEOUT = 120  # seconds of a test that goes on for ever


def run(*command, **options):
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, errors="replace", **options)


def must(*command, **options):
    done = run(*command, **options)
    if done.returncode != 0:
        sys.exit(f"mutate.py: {' '.join(map(str, command))} failed:\n{(done.stdout + done.stderr)[-3000:]}")


def places(room):
    """Each (path, line number, line, changed line) that a slip fits, outside of comments and preprocessor lines."""
    for path in sorted(room.rglob("*.cpp")):
        for number, line in enumerate(path.read_text().splitlines()):
            code = line.split("//")[0].rstrip()
            if not code or code.lstrip().startswith(("#", "*", "namespace", "static_assert", "using")):
                continue
            bare = re.sub(r'"(\\.|[^"\\])*"', lambda text: '"' + "\0" * (len(text[0]) - 2) + '"', code)
            for pattern, replacement in SLIPS:
                for match in re.finditer(pattern, bare):
                    expanded = match.expand(replacement) if isinstance(replacement, str) else replacement(match)
                    if "\0" in expanded:  # a text within what is changed: change it where it stands
                        expanded = re.sub(pattern, replacement, code[match.start():match.end()])
                    changed = code[:match.start()] + expanded + code[match.end():]
                    if changed != code:
                        yield path, number, line, changed


def main():
    if len(sys.argv) < 3 or sys.argv[1] in ("-h", "--help"):
        sys.exit(__doc__)
    top = pathlib.Path(__file__).resolve().parent.parent
    tests = sys.argv[2].split(",")
    count = int(sys.argv[3]) if len(sys.argv) > 3 else 40
    chooser = random.Random(int(sys.argv[4]) if len(sys.argv) > 4 else 1)

    source, build, folder = (top / "build/mutation" / name for name in ("source", "build", "run"))
    if not source.exists():
        must("git", "-C", top, "worktree", "prune")
        must("git", "-C", top, "worktree", "add", "--detach", source, "HEAD")
    head = run("git", "-C", top, "rev-parse", "HEAD").stdout.strip()
    must("git", "-C", source, "checkout", "--quiet", "--force", "--detach", head)
    folder.mkdir(parents=True, exist_ok=True)
    must("cmake", "-S", source, "-B", build, "-G", "Ninja", "-D", "CMAKE_BUILD_TYPE=Debug", "-D", "CMAKE_CXX_FLAGS_DEBUG=-O0")
    targets = [f"unit_{test}" for test in tests]
    must("cmake", "--build", build, "--target", *targets)

    def notice():
        """Whether a test fails; None when it does not compile."""
        if run("cmake", "--build", build, "--target", *targets).returncode != 0:
            return None
        for test in tests:
            try:
                if run(build / f"tests/unit/{test}/unit_{test}", "--abort", cwd=folder, timeout=TIMEOUT).returncode != 0:
                    return True
            except subprocess.TimeoutExpired:
                return True
        return False

    if notice() is not False:
        sys.exit("mutate.py: a test fails as things are")
    candidates = list(places(source / sys.argv[1]))
    if not candidates:
        sys.exit(f"mutate.py: no source in {sys.argv[1]}")
    chooser.shuffle(candidates)
    tried = seen = 0
    for path, number, line, changed in candidates:
        if tried == count:
            break
        whole = path.read_text()
        lines = whole.splitlines(keepends=True)
        lines[number] = changed + "\n"
        path.write_text("".join(lines))
        noticed = notice()
        path.write_text(whole)
        if noticed is None:
            continue
        tried += 1
        seen += noticed
        if not noticed:
            print(f"{path.relative_to(source)}:{number + 1}\n  - {line.strip()}\n  + {changed.strip()}", flush=True)
    must("cmake", "--build", build, "--target", *targets)
    print(f"{sys.argv[1]}: the tests saw {seen} of {tried} changes")


if __name__ == "__main__":
    main()
