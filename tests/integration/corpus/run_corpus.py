#!/usr/bin/env python3
"""Converts every disk of tests/corpus/disk-corpus.tar.xz to raw and judges what comes of it.

The archive holds MANIFEST.tsv: file, kind (qcow2, raw: declared; auto: detected), expect (accept, refuse, or either:
a policy of ours, but never other content), options (relative to the archive's top), sha256 (of the raw disk; - if
nothing can come of it), why. Beyond the verdict each run must

- end with exit code 0 or 3, within 5 seconds and 256 MiB;
- leave nothing behind when it refuses, and say why in one printable line;
- touch no path that the command line does not name (seen by strace).

Usage: run_corpus.py VM2OCI ARCHIVE [NAME-PART]
"""
import csv
import hashlib
import os
import pathlib
import re
import subprocess
import sys
import tarfile
import tempfile
import time

MAX_SECONDS = 5
MAX_RESIDENT_KIB = 256 * 1024
FORMAT_SUFFIXES = (":raw", ":qcow2")
# What the loader, libc and OpenSSL look at in every program.
SYSTEM_PATHS = re.compile(
    r"^(/usr/|/lib|/etc/ld\.so\.|/etc/ssl/|/etc/localtime$|/proc/self/|/proc/sys/|/proc/cpuinfo$|/proc/meminfo$|/sys/"
    r"|/dev/null$|/dev/tty$|/dev/u?random$)")
QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')


class Failure(Exception):
    pass


def is_sanitized(program):
    return b"__asan_init" in pathlib.Path(program).read_bytes()


def digest(path):
    with open(path, "rb") as file:
        result = hashlib.sha256()
        while chunk := file.read(1 << 20):
            result.update(chunk)
        return result.hexdigest()


def paths_in(trace):
    """Every path that the traced program gave to the system, without the execve that started it."""
    for line in trace.read_text(errors="replace").splitlines():
        if "connect(" in line and "AF_UNIX" not in line:
            raise Failure(f"network: {line}")
        call = re.match(r"(?:\d+ +)?(\w+)\(", line)
        if call is None or call[1] in ("execve", "getcwd"):
            continue
        names = [match[1] for match in QUOTED.finditer(line.split(") = ")[0])]
        # Behind the name of a link stands what it answered.
        yield from names[:1] if call[1].startswith("readlink") else names


def check_paths(trace, corpus, allowed):
    for path in paths_in(trace):
        absolute = os.path.normpath(os.path.join(corpus, path))
        if path and not SYSTEM_PATHS.match(path) and not any(
                absolute == own or absolute.startswith(own + "/") for own in allowed):
            raise Failure(f"touches {path}")


def check_message(stderr):
    text = stderr.decode("utf-8", errors="replace")
    if not text.startswith("vm2oci: ") or text.count("\n") != 1 or not text.endswith("\n"):
        raise Failure(f"the refusal is not one line that says who speaks: {text[:200]!r}")
    if not text[:-1].isprintable():
        raise Failure(f"the refusal is not printable: {text[:200]!r}")


def run_row(program, corpus, row, scratch):
    output_folder = scratch / "out"
    output_folder.mkdir()
    output = output_folder / "disk.raw"
    source = row["file"] if row["kind"] == "auto" else f"{row['kind']}:{row['file']}"
    options = [] if row["options"] == "-" else row["options"].split(" ")
    trace = scratch / "trace"
    command = ["strace", "--follow-forks", "--quiet=all", "--string-limit=4096", "--trace=%file,connect",
               f"--output={trace}", program, "--progress", "none", "convert", *options, source, f"raw:{output}"]
    with open(scratch / "stderr", "w+b") as stderr:
        started = time.monotonic()
        process = subprocess.Popen(command, cwd=corpus, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=stderr)
        try:
            while True:
                pid, status, usage = os.wait4(process.pid, os.WNOHANG)
                if pid != 0:
                    break
                if time.monotonic() - started > 4 * MAX_SECONDS:
                    process.kill()
                    os.wait4(process.pid, 0)
                    raise Failure("hangs")
                time.sleep(0.002)
        finally:
            process.returncode = 0  # reaped above
        seconds = time.monotonic() - started
        stderr.seek(0)
        message = stderr.read()

    code = os.waitstatus_to_exitcode(status)
    if code not in (0, 3):
        raise Failure(f"exit code {code}: {message[:300]!r}")
    if not is_sanitized(program):
        if usage.ru_maxrss > MAX_RESIDENT_KIB:
            raise Failure(f"uses {usage.ru_maxrss} KiB")
        if seconds > MAX_SECONDS:
            raise Failure(f"takes {seconds:.1f} s")
    named = [row["file"], *(option for option in options if not option.startswith("--"))]
    for suffix in FORMAT_SUFFIXES:
        named = [name.removesuffix(suffix) for name in named]
    allowed = [str(corpus / name) for name in named] + [str(output_folder), os.path.realpath(program)]
    check_paths(trace, corpus, allowed)
    if code == 0:
        if row["expect"] == "refuse":
            raise Failure("is accepted")
        if digest(output) != row["sha256"]:
            raise Failure("is read as other content")
        return "accepted"
    check_message(message)
    if row["expect"] == "accept":
        raise Failure(f"is refused: {message.decode(errors='replace').strip()}")
    if left := os.listdir(output_folder):
        raise Failure(f"leaves behind {left}")
    return "refused"


def judge_rows(archive, wanted, outcomes, judge):
    """Calls judge(corpus, row, scratch) for each wanted row, which answers one of `outcomes` or raises Failure. Exits
    with 1 if one failed, or if there was none."""
    failures, counts = 0, dict.fromkeys(outcomes, 0)
    with tempfile.TemporaryDirectory(prefix="vm2oci-corpus.") as folder:
        corpus = pathlib.Path(folder).resolve() / "corpus"
        with tarfile.open(archive) as tar:
            tar.extractall(corpus)
        with open(corpus / "MANIFEST.tsv", newline="") as manifest:
            rows = list(csv.DictReader(manifest, delimiter="\t", quoting=csv.QUOTE_NONE))
        for row in filter(wanted, rows):
            with tempfile.TemporaryDirectory(prefix="row.", dir=folder) as scratch:
                try:
                    counts[judge(corpus, row, pathlib.Path(scratch).resolve())] += 1
                except Failure as failure:
                    failures += 1
                    asked = row.get("options") or f"({row['expect']} {row['detail']})"
                    print(f"FAILED {row['file']} {asked}: {failure} ({row['why']})")
    print(", ".join(f"{number} {outcome}" for outcome, number in counts.items()) + f", {failures} failed")
    if failures or not any(counts.values()):
        sys.exit(1)


def main():
    program, archive = os.path.abspath(sys.argv[1]), sys.argv[2]
    part = sys.argv[3] if len(sys.argv) > 3 else ""
    judge_rows(archive, lambda row: part in row["file"], ("accepted", "refused"),
               lambda corpus, row, scratch: run_row(program, corpus, row, scratch))


if __name__ == "__main__":
    main()
