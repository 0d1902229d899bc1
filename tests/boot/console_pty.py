#!/usr/bin/env python3
"""Sits at a machine's serial console as a person does: on a pseudo terminal, typing.

    console_pty.py VM2OCI DISK

The guest says "type now", reads a line and says "typed: LINE". Then Ctrl-] leaves. The terminal must be as it was before,
and the exit code 0.
"""

import os
import pty
import select
import subprocess
import sys
import termios
import time

LIMIT_SECONDS = 240


def main(program, disk):
    ours, theirs = pty.openpty()
    before = termios.tcgetattr(theirs)
    process = subprocess.Popen([program, "boot", disk, "--console", "--accel", "tcg", "--cpus", "1", "--memory", "256M"],
                               stdin=theirs, stdout=theirs, stderr=theirs)
    seen = b""

    def wait_for(text):
        nonlocal seen
        deadline = time.monotonic() + LIMIT_SECONDS
        while text not in seen:
            if time.monotonic() > deadline or process.poll() is not None:
                process.kill()
                sys.exit(f"{text!r} did not come: {seen[-2000:].decode(errors='replace')}")
            if select.select([ours], [], [], 0.2)[0]:
                seen += os.read(ours, 65536)

    wait_for(b"Ctrl-] leaves")
    wait_for(b"type now")
    if termios.tcgetattr(theirs)[3] & (termios.ICANON | termios.ECHO | termios.ISIG):
        sys.exit("the terminal is not raw while the console is open")
    os.write(ours, b"hello from a person\r")
    wait_for(b"typed: hello from a person")
    os.write(ours, b"\x1d")
    deadline = time.monotonic() + 30
    while process.poll() is None and time.monotonic() < deadline:
        if select.select([ours], [], [], 0.2)[0]:
            seen += os.read(ours, 65536)
    if process.poll() != 0:
        process.kill()
        sys.exit(f"exit code {process.poll()} after Ctrl-]")
    if termios.tcgetattr(theirs) != before:
        sys.exit("the terminal is not as it was before")


main(*sys.argv[1:])
