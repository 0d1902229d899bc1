#!/usr/bin/env python3
"""Measures what disks of other formats cost, beside other tools and beside the same disk as qcow2, and prints tables.

    tests/bench/foreign.py [--vm2oci PROGRAM] [--disk DISK] [--runs N] [--only REGEX]

Needs `tools/setup.sh --bench` and a build with the preset `release`. The disk is the real Debian disk unless told
otherwise. The first table is an OVA, with the disk as a streamOptimized VMDK and its digests, on its way to a
containerDisk:

  vm2oci     reads it where it lies
  others     tar x, qemu-img convert, buildah (vfs)
  floor      what cannot be left out, by the fastest tool for each part: inflate, hash the archive (its manifest has the
             digest), the content and the result, compress on one thread, write the result

The second holds each format against qcow2 with the same content, in the same run. Columns as in convert.py. Times on
shared machines vary: compare CPU, and ratios from one run. Nothing here decides a test. On two processors that do
nothing else, two runs of the second table: raw 1.04, flat VMDK 1.11 and 1.02, VHDX 1.12 and 0.92 of qcow2's CPU.
"""

import argparse
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

from convert import TOP, best, measure, size_of

FORMATS = {  # name: (suffix, qemu-img's format and options, prefix of the reference)
    "qcow2": ("qcow2", "qcow2", ""),
    "qcow2, packed": ("packed.qcow2", "qcow2 -c", ""),  # beside it the packed VMDK
    "raw": ("raw", "raw", "raw:"),
    "VMDK, sparse": ("sparse.vmdk", "vmdk -o subformat=monolithicSparse", ""),
    "VMDK, stream": ("stream.vmdk", "vmdk -o subformat=streamOptimized", ""),
    "VMDK, flat": ("flat.vmdk", "vmdk -o subformat=monolithicFlat", ""),
    "VMDK, 2 GB files": ("split.vmdk", "vmdk -o subformat=twoGbMaxExtentSparse", ""),
    "VHD": ("vhd", "vpc -o force_size=on", "vhd:"),
    "VHDX": ("vhdx", "vhdx", ""),
    "VDI": ("vdi", "vdi", ""),
}

DESCRIPTOR = """<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1" xmlns:rasd="r">
 <References><File ovf:id="f" ovf:href="stream.vmdk"/></References>
 <DiskSection><Disk ovf:diskId="d" ovf:fileRef="f"/></DiskSection>
 <VirtualSystem ovf:id="debian"><VirtualHardwareSection>
  <Item><rasd:InstanceID>1</rasd:InstanceID><rasd:ResourceType>6</rasd:ResourceType></Item>
  <Item><rasd:HostResource>ovf:/disk/d</rasd:HostResource><rasd:Parent>1</rasd:Parent><rasd:ResourceType>17</rasd:ResourceType></Item>
 </VirtualHardwareSection></VirtualSystem>
</Envelope>
"""


def digest_of(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def make_archive(folder):
    (folder / "debian.ovf").write_text(DESCRIPTOR)
    names = ["debian.ovf", "stream.vmdk"]
    (folder / "debian.mf").write_text("".join(f"SHA256({name})= {digest_of(folder / name)}\n" for name in names))
    subprocess.run(["tar", "--create", "--format", "ustar", "--file", "debian.ova", "debian.ovf", "debian.mf", "stream.vmdk"],
                   cwd=folder, check=True)


def archive_jobs(vm2oci, folder):
    archive = folder / "debian.ova"
    buildah = "buildah --root $PWD/storage --runroot $PWD/run --storage-driver vfs"
    others = (f"tar --extract --file {archive}; qemu-img convert -O qcow2 stream.vmdk disk.qcow2; "
              f"c=$({buildah} from scratch); {buildah} copy --quiet --chown 107:107 $c disk.qcow2 /disk/disk.qcow2; "
              f"{buildah} commit --quiet --disable-compression --format oci $c localhost/bench; "
              f"{buildah} push --quiet --compression-format zstd localhost/bench oci:out:x")
    floor = (f"igzip -d -c {folder}/content.gz > /dev/null; openssl dgst -sha256 {archive}; openssl dgst -sha256 {folder}/disk.qcow2; "
             f"zstd -2 --single-thread -qc {folder}/disk.qcow2 > out; openssl dgst -sha256 out")
    return [("vm2oci, OVA", f"{vm2oci} convert --quiet {archive} oci:out:x"), ("others, OVA", others), ("floor", floor)]


def path_of(folder, suffix):
    return folder / (suffix if suffix.endswith((".vmdk", ".qcow2")) else f"disk.{suffix}")


def format_jobs(vm2oci, folder):
    return [(name, f"{vm2oci} convert --quiet {prefix}{path_of(folder, suffix)} oci:out:x")
            for name, (suffix, _, prefix) in FORMATS.items()]


def run_all(jobs, runs, scratch):
    results = {name: [] for name, _ in jobs}
    for run in range(runs):
        for name, command in jobs:
            print(f"run {run + 1} of {runs}: {name}", file=sys.stderr)
            folder = scratch / "job"
            folder.mkdir()
            os.sync()
            result = measure(command, folder)
            result["image"] = size_of(folder / "out")
            results[name].append(result)
            subprocess.run(["rm", "-rf", folder], check=True)
    return {name: best(all_runs) for name, all_runs in results.items()}


def report(chosen, base, title):
    print(f"\n{title:<24}{'CPU s':>8}{'wall s':>8}{'written MB':>12}{'peak MiB':>10}{'image MB':>10}{'x ' + base:>14}")
    for name, result in chosen.items():
        ratio = f"{result['cpu'] / chosen[base]['cpu']:>14.2f}" if base in chosen else ""
        print(f"{name:<24}{result['cpu']:>8.2f}{result['wall']:>8.2f}{result['written'] / 1e6:>12.0f}"
              f"{result['peak'] / (1 << 20):>10.0f}{result['image'] / 1e6:>10.0f}{ratio}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vm2oci", type=pathlib.Path, default=TOP / "build/release/tools/vm2oci/vm2oci")
    parser.add_argument("--disk", type=pathlib.Path, help="a qcow2 (default: the Debian disk from the cache)")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", default="", help="only jobs whose name matches this regular expression")
    arguments = parser.parse_args()
    for tool in ("buildah", "qemu-img", "zstd", "igzip", "openssl", "tar"):
        if not shutil.which(tool):
            sys.exit(f"{tool} is missing; run tools/setup.sh --bench")
    if not arguments.vm2oci.exists():
        sys.exit(f"{arguments.vm2oci} is missing; build with the preset release")
    disk = arguments.disk or pathlib.Path(
        subprocess.run([TOP / "tools/make-debian-disk.sh"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip())
    vm2oci = arguments.vm2oci.resolve()
    with tempfile.TemporaryDirectory(prefix="vm2oci-bench.") as scratch_name:
        scratch = pathlib.Path(scratch_name)
        print("preparing the disk in every format", file=sys.stderr)
        for suffix, options, _ in FORMATS.values():
            subprocess.run(["qemu-img", "convert", "-O", *options.split(), disk, path_of(scratch, suffix)], check=True)
        with open(scratch / "content.gz", "wb") as packed:
            subprocess.run(["igzip", "-1", "-c", path_of(scratch, "qcow2")], check=True, stdout=packed)
        make_archive(scratch)
        chosen = [job for job in archive_jobs(vm2oci, scratch) + format_jobs(vm2oci, scratch) if re.search(arguments.only, job[0])]
        results = run_all(chosen, arguments.runs, scratch)
        print(f"\n{size_of(path_of(scratch, 'qcow2')) / 1e6:.0f} MB of data, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
        report({name: result for name, result in results.items() if name not in FORMATS}, "floor", "an OVA")
        report({name: result for name, result in results.items() if name in FORMATS}, "qcow2", "the same disk")
        ours, theirs = results.get("vm2oci, OVA"), results.get("others, OVA")
        if ours and theirs:
            print("\nothers / vm2oci: " + ", ".join(f"{key} {theirs[key] / max(ours[key], 1e-9):.1f} x" for key in ("cpu", "wall", "written")))


if __name__ == "__main__":
    main()
