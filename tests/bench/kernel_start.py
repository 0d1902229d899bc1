#!/usr/bin/env python3
"""Where a kernel's start spends its time under emulation, function by function.

  kernel_start.py KERNEL-FOLDER [ROUNDS [LINES]]

KERNEL-FOLDER  what guest-kernel/build.sh prints; of another kernel, a folder with its vmlinuz and System.map
ROUNDS         how often it is started (default 5); each function's least time counts
LINES          how many functions are shown (default 25)

A function of the start (.init.text) runs once, so its time lasts from its first block of code to that of the next such
function: what it calls is counted with it, and what runs beside it too. The times are processor time of the emulator,
with a plugin that makes it some tenths slower: compare them with each other.
"""
import collections
import pathlib
import struct
import subprocess
import sys
import tempfile

import guest_kernel

PLUGIN = pathlib.Path(__file__).resolve().with_name("kernel_start_plugin.cpp")
# What is part of the start and has to outlive it.
ALSO = {"rest_init", "kernel_init", "free_initmem", "mark_rodata_ro", "run_init_process"}
BEFORE = "(firmware, and the kernel's unpacking)"


def functions_of_the_start(system_map):
    symbols = {}
    for line in system_map.read_text().splitlines():
        address, kind, name = line.split()[:3]
        if kind in "tT" or name in ("_sinittext", "_einittext"):
            symbols.setdefault(name, int(address, 16))
    if "_sinittext" not in symbols:
        sys.exit(f"{system_map} has no addresses")
    begin, end = symbols["_sinittext"], symbols["_einittext"]
    return {address: name for name, address in symbols.items() if begin <= address < end or name in ALSO}


def start(kernel, plugin, initramfs, scratch):
    records = scratch / "records"
    with guest_kernel.machine_that_said(guest_kernel.RUNS, kernel, initramfs, scratch / "console", "-plugin",
                                        f"{plugin},out={records}", append="nokaslr") as machine:
        machine.terminate()  # and writes what it has noted
        machine.wait()
    data = records.read_bytes()
    return struct.iter_unpack("=QQ", data[:len(data) // 16 * 16])


def times(functions, records):
    """Nanoseconds for each function."""
    spent = collections.Counter()
    current, before = BEFORE, 0
    for address, now in records:
        spent[current] += now - before
        before = now
        if address in functions:
            current = functions[address]
    return spent


def main(folder, rounds=5, lines=25):
    folder = pathlib.Path(folder)
    functions = functions_of_the_start(folder / "System.map")
    least = {}
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        plugin = scratch / "plugin.so"
        subprocess.run(["c++", "-std=c++20", "-O2", "-shared", "-fPIC", "-o", plugin, PLUGIN], check=True)
        initramfs = guest_kernel.plain_initramfs(scratch)
        for _ in range(int(rounds)):
            for name, spent in times(functions, start(folder / "vmlinuz", plugin, initramfs, scratch)).items():
                least[name] = min(spent, least.get(name, spent))
    print(f"{'ms':>8}  function")
    for name, spent in sorted(least.items(), key=lambda item: -item[1])[:int(lines)]:
        print(f"{spent / 1e6:8.1f}  {name}")
    print(f"{sum(least.values()) / 1e6:8.1f}  all {len(least)}")


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3, 4):
        sys.exit(__doc__)
    main(*sys.argv[1:])
