#!/usr/bin/env python3
"""Measures conversions side by side with what other tools need for the same, and prints a table.

    tests/bench/convert.py [--vm2oci PROGRAM] [--disk DISK] [--runs N] [--only REGEX] [--json FILE]

Needs `tools/setup.sh --bench` and a build with the preset `release`. The disk is the real Debian disk unless told
otherwise. Each job runs N times (default 3), the jobs in turns; shown is the run with the least CPU time. The page cache
is warm for all. Columns:

  CPU        user and system time of the whole process tree
  wall       from start to end; on a shared machine this is noise
  written    bytes that the process tree sent towards storage (write_bytes of /proc/PID/io)
  peak       largest resident set of any single process
  image      what the result takes on storage
  floor      CPU of the work that cannot be left out, done here by the fastest tool for each part: compress on one
             thread, write the result, and hash it and the content once each; x floor is how much more the job took

Times on shared machines vary: compare CPU, and ratios from one run. Nothing here decides a test.
"""

import argparse
import json
import os
import pathlib
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parents[2]


def measure(command, folder):
    """Runs a shell command in a process of its own that then knows what all its children used."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        started = time.monotonic()
        with open(folder / "log", "wb") as log:
            code = subprocess.run(["bash", "-euc", command], cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log).returncode
        wall = time.monotonic() - started
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        counters = dict(line.split(": ") for line in pathlib.Path("/proc/self/io").read_text().splitlines())
        result = {"code": code, "cpu": usage.ru_utime + usage.ru_stime, "wall": wall,
                  "written": int(counters["write_bytes"]), "peak": usage.ru_maxrss * 1024}
        os.write(writing, json.dumps(result).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        result = json.loads(answer.read())
    os.waitpid(child, 0)
    if result["code"] != 0:
        sys.exit(f"failed: {command}\n{(folder / 'log').read_text(errors='replace')[-2000:]}")
    return result


def size_of(path):
    return sum(p.stat().st_blocks * 512 for p in path.rglob("*") if p.is_file()) if path.is_dir() else path.stat().st_blocks * 512


def jobs(vm2oci, qcow2, packed, raw):
    """(name, command that leaves its result in ./out, floor's command or None)"""
    buildah = "buildah --root $PWD/storage --runroot $PWD/run --storage-driver vfs"

    def by_buildah(disk, compression):
        return (f"c=$({buildah} from scratch); {buildah} copy --quiet --chown 107:107 $c {disk} /disk/disk.qcow2; "
                f"{buildah} commit --quiet --disable-compression --format oci $c localhost/bench; "
                f"{buildah} push --quiet --compression-format {compression} localhost/bench oci:out:x")

    def by_umoci(disk):
        return (f"umoci init --layout out; umoci new --image out:x; "
                f"umoci insert --rootless --image out:x {disk} /disk/disk.qcow2")

    def ours(options, source):
        return f"{vm2oci} convert --quiet {options} {source} oci:out:x"

    def floor(compressor, disk):
        return f"openssl dgst -sha256 {disk}; " + floor_uncompressed(disk, compressor)

    def floor_uncompressed(disk, copy="cat"):
        return f"{copy} {disk} > floor; openssl dgst -sha256 floor"

    return [
        ("vm2oci zstd:1", ours("--compression zstd:1", qcow2), floor("zstd -1 --single-thread -qc", qcow2)),
        ("vm2oci zstd:3", ours("--compression zstd:3", qcow2), floor("zstd -3 --single-thread -qc", qcow2)),
        ("vm2oci (default)", ours("", qcow2), floor("zstd -2 --single-thread -qc", qcow2)),
        ("vm2oci gzip:1", ours("--compression gzip:1", qcow2), floor("igzip -1 -c", qcow2)),
        ("vm2oci gzip", ours("--compression gzip", qcow2), floor("libdeflate-gzip -6 -c", qcow2)),
        ("vm2oci none", ours("--compression none", qcow2), floor_uncompressed(qcow2)),
        ("vm2oci keep, none", ours("--disk-format keep --compression none", packed), floor_uncompressed(packed)),
        ("vm2oci raw, zstd", ours("", "raw:" + raw), floor("zstd -2 --single-thread -qc", qcow2)),
        ("buildah zstd", by_buildah(qcow2, "zstd"), None),
        ("buildah gzip", by_buildah(qcow2, "gzip"), None),
        ("buildah keep", by_buildah(packed, "gzip"), None),
        ("umoci gzip", by_umoci(qcow2), None),
        ("qemu-img, buildah zstd", f"qemu-img convert -f raw -O qcow2 {raw} disk.qcow2; " + by_buildah("disk.qcow2", "zstd"), None),
    ]


def best(results):
    return min(results, key=lambda result: result["cpu"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vm2oci", type=pathlib.Path, default=TOP / "build/release/tools/vm2oci/vm2oci")
    parser.add_argument("--disk", type=pathlib.Path, help="a qcow2 (default: the Debian disk from the cache)")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", default="", help="only jobs whose name matches this regular expression")
    parser.add_argument("--json", type=pathlib.Path, help="also write all results to this file")
    arguments = parser.parse_args()
    for tool in ("buildah", "umoci", "qemu-img", "zstd", "igzip", "libdeflate-gzip", "openssl"):
        if not shutil.which(tool):
            sys.exit(f"{tool} is missing; run tools/setup.sh --bench")
    if not arguments.vm2oci.exists():
        sys.exit(f"{arguments.vm2oci} is missing; build with the preset release")
    disk = arguments.disk or pathlib.Path(
        subprocess.run([TOP / "tools/make-debian-disk.sh"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip())

    with tempfile.TemporaryDirectory(prefix="vm2oci-bench.") as scratch_name:
        scratch = pathlib.Path(scratch_name)
        qcow2, packed, raw = (str(scratch / name) for name in ("disk.qcow2", "packed.qcow2", "disk.raw"))
        print("preparing: a canonical qcow2, a compressed one and a raw one of the same disk", file=sys.stderr)
        subprocess.run(["qemu-img", "convert", "-O", "qcow2", disk, qcow2], check=True)
        subprocess.run(["qemu-img", "convert", "-c", "-O", "qcow2", disk, packed], check=True)
        subprocess.run(["qemu-img", "convert", "-O", "raw", disk, raw], check=True)
        chosen = [job for job in jobs(arguments.vm2oci.resolve(), qcow2, packed, raw) if re.search(arguments.only, job[0])]
        results = {name: [] for name, _, _ in chosen}
        floors = {name: [] for name, _, _ in chosen}
        for run in range(arguments.runs):
            for name, command, floor in chosen:
                print(f"run {run + 1} of {arguments.runs}: {name}", file=sys.stderr)
                folder = scratch / "job"
                folder.mkdir()
                os.sync()
                for path in (qcow2, packed):
                    subprocess.run(["cat", path], check=True, stdout=subprocess.DEVNULL)
                result = measure(command, folder)
                result["image"] = size_of(folder / "out")
                results[name].append(result)
                if floor:
                    floors[name].append(measure(floor, folder))
                subprocess.run(["rm", "-rf", folder], check=True)
        report(results, floors, pathlib.Path(qcow2))
        if arguments.json:
            arguments.json.write_text(json.dumps({"jobs": results, "floors": floors}, indent=2) + "\n")


def report(results, floors, disk):
    print(f"\n{size_of(disk) / 1e6:.0f} MB of data, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n")
    print(f"{'job':<24}{'CPU s':>8}{'wall s':>8}{'written MB':>12}{'peak MiB':>10}{'image MB':>10}{'floor s':>9}{'x floor':>9}")
    chosen = {name: best(runs) for name, runs in results.items()}
    for name, result in chosen.items():
        floor = best(floors[name])["cpu"] if floors[name] else None
        print(f"{name:<24}{result['cpu']:>8.2f}{result['wall']:>8.2f}{result['written'] / 1e6:>12.0f}"
              f"{result['peak'] / (1 << 20):>10.0f}{result['image'] / 1e6:>10.0f}"
              + (f"{floor:>9.2f}{result['cpu'] / floor:>9.2f}" if floor else ""))
    pairs = [("vm2oci (default)", "buildah zstd"), ("vm2oci gzip", "buildah gzip"), ("vm2oci gzip", "umoci gzip"),
             ("vm2oci keep, none", "buildah keep"), ("vm2oci raw, zstd", "qemu-img, buildah zstd")]
    print(f"\n{'compared':<48}{'CPU':>8}{'wall':>8}{'written':>9}")
    for ours, theirs in pairs:
        if ours in chosen and theirs in chosen:
            ratios = [chosen[theirs][key] / max(chosen[ours][key], 1e-9) for key in ("cpu", "wall", "written")]
            print(f"{theirs + ' / ' + ours:<48}{ratios[0]:>7.1f}x{ratios[1]:>7.1f}x{ratios[2]:>8.1f}x")


if __name__ == "__main__":
    main()
