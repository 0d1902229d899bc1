#!/usr/bin/env python3
"""What the guest kernel costs and saves beside Debian's, measured in one run.

  guest_kernel.py VM2OCI AGENT KERNEL-FOLDER CLOUD-KERNEL DEBIAN-DISK [ROUNDS]

VM2OCI         the program
AGENT          share/vm2oci/vm2oci-agent, which is in the initramfs here
KERNEL-FOLDER  what guest-kernel/build.sh prints
CLOUD-KERNEL   vmlinuz of Debian's package linux-image-cloud-amd64
DEBIAN-DISK    `tools/make-debian-disk.sh --packages qemu-guest-agent`: what it prints
ROUNDS         how often each is started (default 5); the median counts, and the least is what nothing disturbed

The kernel is done when /init has begun: one here that does nothing but say so, and our own, which mounts what it needs
before it says that no root is named.

Processor time of the emulator is much the same on a busy machine; the time on the clock, which is what a user waits for, is
worth reading only where nothing else runs. The two differ: a distribution's initrd keeps one processor busy and the
other idle, and the services behind it use both.
"""
import contextlib
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

ROOT_FILE_SYSTEM = "root=/dev/vda1 ro console=ttyS0 no_timer_check"
RUNS = "the init runs"
RUNS_OURS = "vm2oci-init:"
INIT = f"""
    .globl _start
_start:
    mov $1, %eax        # write
    mov $1, %edi
    mov $text, %esi
    mov ${len(RUNS) + 1}, %edx
    syscall
    mov $34, %eax       # pause
    syscall
    jmp _start
text:
    .ascii "{RUNS}\\n"
"""


def cpu_of_children():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def newc(entries):
    """A cpio archive: [(name, mode, content)]."""
    archive = b""
    for number, (name, mode, content) in enumerate([*entries, ("TRAILER!!!", 0, b"")], 1):
        fields = (number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0)
        head = b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
        archive += head.ljust(-(-len(head) // 4) * 4, b"\0") + content.ljust(-(-len(content) // 4) * 4, b"\0")
    return archive


def plain_initramfs(folder, ballast=b""):
    """Its /init says RUNS and no more; the ballast is another file."""
    init, initramfs = pathlib.Path(folder, "init"), pathlib.Path(folder, "plain")
    subprocess.run(["cc", "-nostdlib", "-static", "-x", "assembler", "-o", init, "-"], input=INIT, text=True, check=True)
    initramfs.write_bytes(newc([("dev", 0o040755, b""), ("init", 0o100755, init.read_bytes()),
                                ("ballast", 0o100644, ballast)]))
    return initramfs


def own_initramfs(folder, agent):
    """Its /init is the agent."""
    initramfs = pathlib.Path(folder, "own")
    initramfs.write_bytes(newc([("dev", 0o040755, b""), ("init", 0o100755, agent)]))
    return initramfs


@contextlib.contextmanager
def machine_that_said(words, kernel, initramfs, console, *options, append=""):
    """A machine whose console has shown these words; it ends with the block."""
    errors = console.with_name("errors")
    console.write_bytes(b"")
    machine = subprocess.Popen(
        ["qemu-system-x86_64", "-accel", "tcg,thread=multi", "-machine", "q35", "-m", "256", "-smp", "1", "-nodefaults",
         "-display", "none", "-no-reboot", "-serial", f"file:{console}", "-kernel", kernel, "-initrd", initramfs,
         "-append", f"console=ttyS0 quiet panic=-1 no_timer_check {append}", *options],
        stdin=subprocess.DEVNULL, stderr=errors.open("wb"))
    try:
        while words.encode() not in console.read_bytes():
            if machine.poll() is not None:
                sys.exit(f"{kernel} did not come to its init: {(console.read_bytes() + errors.read_bytes())[-500:]!r}")
            time.sleep(0.003)
        yield machine
    finally:
        machine.kill()
        machine.wait()


def to_init(kernel, initramfs, words):
    """CPU seconds of the emulator, the firmware's among them, until /init has written these words."""
    with tempfile.TemporaryDirectory() as folder:
        with machine_that_said(words, kernel, initramfs, pathlib.Path(folder, "console")) as machine:
            fields = pathlib.Path(f"/proc/{machine.pid}/stat").read_text().rpartition(")")[2].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def to_agent(vm2oci, disk, *options):
    run = subprocess.run([vm2oci, "boot", disk, "--json", "--accel", "tcg", "--timeout", "10m", "--ready", "agent",
                          *options], capture_output=True, check=False)
    report = json.loads(run.stdout)
    if not report["passed"]:
        sys.exit(f"{disk} {options}: {report['summary']}")
    agent = next(mark["at"] for mark in report["milestones"] if mark["name"] == "agent")
    return agent["wall_ms"] / 1000, agent["cpu_ms"] / 1000


def main(vm2oci, agent, folder, cloud, disk, rounds=5):
    folder = pathlib.Path(folder)
    ours = str(folder / "vmlinuz")
    with tempfile.TemporaryDirectory() as scratch:
        agent = pathlib.Path(agent).read_bytes()
        plain, own = plain_initramfs(scratch, agent), own_initramfs(scratch, agent)
        init, own_init, walls, cpus = [], [], [], []
        for _ in range(int(rounds)):
            init.append([to_init(kernel, plain, RUNS) for kernel in (ours, cloud)])
            own_init.append([to_init(kernel, own, RUNS_OURS) for kernel in (ours, cloud)])
        for _ in range(max(1, int(rounds) // 3)):
            mine = to_agent(vm2oci, disk, "--kernel", ours, "--append", ROOT_FILE_SYSTEM)
            for values, pair in zip((walls, cpus), zip(mine, to_agent(vm2oci, disk))):
                values.append(pair)

    def line(what, values, limit):
        mine, theirs = (statistics.median(column) for column in zip(*values))
        print(f"{what:44} {mine:8.2f} {theirs:8.2f} {mine / theirs:8.2f} {limit:>8}")

    print(f"{'':44} {'ours':>8} {'Debian':>8} {'ratio':>8} {'at most':>8}")
    line("kernel to init, CPU s", init, "0.45")
    line("kernel to init, CPU s, the least", [[min(column) for column in zip(*init)]], "0.45")
    line("and through our init's mounts, CPU s", own_init, "")
    line("power-on to the agent's answer, s", walls, "0.40")
    line("power-on to the agent's answer, CPU s", cpus, "")
    print(f"{'kernel image, MB':44} {os.path.getsize(ours) / 1e6:8.2f} {os.path.getsize(cloud) / 1e6:8.2f}"
          f" {'':8} {'7.5':>8}")


if __name__ == "__main__":
    if len(sys.argv) not in (6, 7):
        sys.exit(__doc__)
    main(*sys.argv[1:])
