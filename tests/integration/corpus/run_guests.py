#!/usr/bin/env python3
"""Looks into every partition table and ext4 file system of tests/corpus/guest-corpus.tar.xz with the program itself, and
makes images of the root file systems; judges what comes of it by MANIFEST.tsv: file, kind (parttable, ext4), expect,
detail, why. What the parsers make of each byte is tested in unit/partition and unit/ext4; here each run must also

- end with exit code 0, 1 (nothing there to package) or 3, within 5 seconds of processor time and 256 MiB;
- say what it refuses in printable text;
- touch no path that the command line does not name (seen by strace), wherever the links in the guest lead.

Usage: run_guests.py VM2OCI ARCHIVE [NAME-PART]
"""
import hashlib
import json
import os
import subprocess
import sys
import tarfile

import run_corpus
from run_corpus import Failure


def run(program, corpus, scratch, file, *arguments):
    """Exit code and stdout of the program, run in the corpus; the limits are checked."""
    trace = scratch / "trace"
    command = ["strace", "--follow-forks", "--quiet=all", "--string-limit=4096", "--trace=%file,connect",
               f"--output={trace}", program, "--progress", "none", *arguments]
    with open(scratch / "stdout", "wb") as stdout, open(scratch / "stderr", "wb") as stderr:
        pid = os.posix_spawn("/usr/bin/env", ["/usr/bin/env", "-C", str(corpus), *command], os.environ,
                             file_actions=[(os.POSIX_SPAWN_DUP2, stdout.fileno(), 1),
                                           (os.POSIX_SPAWN_DUP2, stderr.fileno(), 2)])
        _, status, usage = os.wait4(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    message = (scratch / "stderr").read_bytes()
    if code not in (0, 1, 3):
        raise Failure(f"exit code {code}: {message[:300]!r}")
    if not run_corpus.is_sanitized(program):
        if usage.ru_maxrss > run_corpus.MAX_RESIDENT_KIB:
            raise Failure(f"uses {usage.ru_maxrss} KiB")
        if usage.ru_utime > run_corpus.MAX_SECONDS:
            raise Failure(f"takes {usage.ru_utime:.1f} s")
    if code != 0:
        run_corpus.check_message(message)
    run_corpus.check_paths(trace, str(corpus), [str(corpus / file), str(scratch), os.path.realpath(program)])
    output = (scratch / "stdout").read_text()
    if not output.replace("\n", "").isprintable():
        raise Failure("prints what is not printable")
    return code, output


def judge_table(row, inside):
    refused = "refusal" in inside
    kind = "none" if refused else inside["table"]["kind"]
    partitions = [] if refused else inside["table"]["partitions"]
    expect, detail = row["expect"], row["detail"]
    if expect == "reject" and not refused and kind != "none":
        raise Failure("is accepted")
    if expect.startswith("accept") and (refused or kind == "none"):
        raise Failure(f"is refused: {inside}")
    if expect == "none" and kind != "none":
        raise Failure(f"is taken for {kind}")
    if expect == "accept" and detail.startswith("count="):
        if len(partitions) != int(detail[len("count="):]):
            raise Failure(f"has {len(partitions)} partitions")
    elif expect == "accept":
        found = " ".join(f"{p['number']}={p['offset']}+{p['size']}" for p in partitions)
        if found != detail:
            raise Failure(f"holds {found}")
    return "refused" if refused else "read"


def layer_files(layout):
    """The contents of the regular files of an image's one layer, by name."""
    def blob(digest):
        return layout / "blobs" / digest.replace(":", "/")
    manifest = json.loads(blob(json.loads((layout / "index.json").read_text())["manifests"][0]["digest"]).read_text())
    with tarfile.open(blob(manifest["layers"][0]["digest"])) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar if member.isreg() and member.size < 1 << 20}


def pack(source, destination):
    return ["convert", "--as", "rootfs", "--guest-backend", "native", "--arch", "amd64", "--compression", "none", source,
            destination]


def judge_tree(program, corpus, row, scratch, source):
    good = row["file"].startswith("ext4/good_")
    code, _ = run(program, corpus, scratch, row["file"], *pack(source, "null:"))
    if code != 0:
        if good:
            raise Failure("is not packed")
        return "refused"
    if row["expect"] == "reject":
        raise Failure("is packed")
    if good:
        subprocess.run([program, "-q", *pack(source, f"oci:{scratch}/image:guest")], cwd=corpus, check=True,
                       stdout=subprocess.DEVNULL)
        files = layer_files(scratch / "image")
        for name, digest in (("etc/os-release", "280140cdebf52d2d"), ("usr/lib/blob", "8e54cafd0697047d")):
            if hashlib.sha256(files[name]).hexdigest()[:16] != digest:
                raise Failure(f"{name} is other than it was")
    return "read"


def run_row(program, corpus, row, scratch):
    source = f"raw:{row['file']}"
    code, output = run(program, corpus, scratch, row["file"], "--json", "inspect", "--guest-backend", "native", source)
    if code != 0:
        raise Failure("inspect refuses to look at it")
    if row["kind"] == "parttable":
        return judge_table(row, json.loads(output)["inside"])
    return judge_tree(program, corpus, row, scratch, source)


def main():
    program, archive = os.path.abspath(sys.argv[1]), sys.argv[2]
    part = sys.argv[3] if len(sys.argv) > 3 else ""
    run_corpus.judge_rows(archive, lambda row: row["kind"] in ("parttable", "ext4") and part in row["file"],
                          ("read", "refused"), lambda corpus, row, scratch: run_row(program, corpus, row, scratch))


if __name__ == "__main__":
    main()
