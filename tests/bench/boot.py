#!/usr/bin/env python3
"""Measures a boot by vm2oci beside a bare qemu-system-x86_64 with the same devices on the same disk.

    tests/bench/boot.py [--vm2oci PROGRAM] [--disk DISK] [--runs N] [--json FILE]

The disk is the real Debian disk unless told otherwise; it boots by BIOS, emulated. Three jobs, N times each (default 3),
in an order that turns around each time:

  bare    QEMU itself on the qcow2, with a qcow2 of its own above it for what the guest writes
  disk    vm2oci boot DISK
  image   vm2oci boot oci:… of the same disk as a containerDisk with zstd

Each ends when the login prompt stands on the serial console. Columns: wall and CPU seconds of all its processes until
then (inspection included), and for vm2oci what it held in temporary files at most and what the guest had read of the
disk. The aim: CPU seconds of `disk` at most 1.05 times those of `bare`, and no more temporary space for `image` than
what the guest touches. Wall times on shared machines vary. Nothing here decides a test.
"""

import argparse
import json
import os
import pathlib
import signal
import stat
import statistics
import subprocess
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
PROMPT = b"login: "
TICKS = os.sysconf("SC_CLK_TCK")


def processes_below(root):
    """Its pid and those of all its descendants."""
    children = {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                children.setdefault(int(fields[1]), []).append(int(entry.name))
            except OSError:
                pass
    found, queue = [], [root]
    while queue:
        pid = queue.pop()
        found.append(pid)
        queue += children.get(pid, [])
    return found


def cpu_seconds(pids):
    ticks = 0
    for pid in pids:
        try:
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(int(fields[i]) for i in (11, 12, 13, 14))
        except OSError:
            pass
    return ticks / TICKS


def temporary_bytes(pids):
    """What files without a name hold, each counted once."""
    files = {}
    for pid in pids:
        try:
            for entry in pathlib.Path(f"/proc/{pid}/fd").iterdir():
                status = entry.stat()
                if stat.S_ISREG(status.st_mode) and status.st_nlink == 0:
                    files[status.st_dev, status.st_ino] = status.st_blocks * 512
        except OSError:
            pass
    return sum(files.values())


def run_until_prompt(command, stream):
    """Wall and CPU seconds until the prompt, and the largest sum of temporary files."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, stream: subprocess.PIPE}
    began = time.monotonic()
    process = subprocess.Popen(command, **pipes)
    output = getattr(process, stream)
    os.set_blocking(output.fileno(), False)
    console, temporary, looked = b"", 0, 0.0
    while PROMPT not in console:
        console += output.read() or b""
        if process.poll() is not None:
            sys.exit(f"{command[0]} ended before the login prompt:\n{console[-2000:].decode(errors='replace')}")
        now = time.monotonic()
        if now - looked > 1:
            looked = now
            temporary = max(temporary, temporary_bytes(processes_below(process.pid)))
        time.sleep(0.02)
    wall = time.monotonic() - began
    pids = processes_below(process.pid)
    cpu = cpu_seconds(pids)
    temporary = max(temporary, temporary_bytes(pids))
    process.send_signal(signal.SIGTERM)
    output.close()
    process.stdin.close()
    process.wait()
    return {"wall": wall, "cpu": cpu, "temporary": temporary}


def bare_command(arguments, overlay):
    """The command line that vm2oci gave QEMU, with files and null devices in the place of its sockets."""
    command, words = [], iter(arguments)
    for word in words:
        if word == "-S":
            continue
        has_value = word.startswith("-") and word not in ("-nodefaults", "-no-user-config")
        value = next(words) if has_value else None
        if word in ("-add-fd", "-mon"):
            continue
        if word == "-chardev":
            name = value.split("id=")[1].split(",")[0]
            value = "stdio,id=serial,signal=off" if name == "serial" else f"null,id={name}"
        if word == "-blockdev" and "node-name=disk" in value:
            value = f"driver=qcow2,node-name=disk,file.driver=file,file.filename={overlay}"
        command += [word] if value is None else [word, value]
    return command


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vm2oci", default=str(TOP / "build/release/tools/vm2oci/vm2oci"))
    parser.add_argument("--disk")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json")
    options = parser.parse_args()
    disk = options.disk or subprocess.check_output(
        [str(TOP / "tools/make-debian-disk.sh"), "--format", "qcow2"], text=True).strip()
    disk = str(pathlib.Path(disk).resolve())

    with tempfile.TemporaryDirectory(prefix="vm2oci-bench.") as folder:
        image = f"oci:{folder}/images:disk"
        subprocess.run([options.vm2oci, "convert", disk, image, "--progress", "none"], check=True, stdout=subprocess.DEVNULL)
        boot = ["--accel", "tcg", "--firmware", "bios", "--timeout", "60m"]
        login = ["--ready", "login"]
        # A boot that ends at the firmware's first words, for QEMU's command line.
        known = subprocess.run([options.vm2oci, "boot", disk, "--json", "--progress", "none", *boot, "--ready", "SeaBIOS"],
                               stdout=subprocess.PIPE, check=True)
        arguments = json.loads(known.stdout)["machine"]["qemu_arguments"]

        def bare():
            overlay = f"{folder}/overlay.qcow2"
            subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", disk, overlay], check=True)
            return run_until_prompt(bare_command(arguments, overlay), "stdout")

        def ours(source):
            return run_until_prompt([options.vm2oci, "boot", source, "--console", *boot, *login], "stderr")

        jobs = {"bare": bare, "disk": lambda: ours(disk), "image": lambda: ours(image)}
        results = {name: [] for name in jobs}
        for run in range(options.runs):
            for name in list(jobs) if run % 2 == 0 else reversed(list(jobs)):
                result = jobs[name]()
                results[name].append(result)
                print(f"{name:6} wall {result['wall']:7.1f} s  CPU {result['cpu']:7.1f} s  "
                      f"temporary {result['temporary'] / 2**20:7.1f} MiB", flush=True)
        touched = subprocess.run([options.vm2oci, "boot", image, "--json", "--progress", "none", *boot, *login],
                                 stdout=subprocess.PIPE, check=False)
        disk_use = json.loads(touched.stdout)["disk"]

    middle = {name: {key: statistics.median(run[key] for run in runs) for key in runs[0]} for name, runs in results.items()}
    for name in ("disk", "image"):
        print(f"{name} / bare: CPU {middle[name]['cpu'] / middle['bare']['cpu']:.3f}, "
              f"wall {middle[name]['wall'] / middle['bare']['wall']:.3f} (medians of {options.runs})")
    print(f"temporary files of image: {middle['image']['temporary'] / 2**20:.1f} MiB; "
          f"the guest read {disk_use['touched'] / 2**20:.1f} MiB and wrote {disk_use['written'] / 2**20:.1f} MiB")
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps({"runs": results, "disk": disk_use}, indent=2) + "\n")


main()
