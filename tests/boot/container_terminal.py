#!/usr/bin/env python3
"""Sits at a container's program as a person does: `vm2oci run` on a pseudo terminal of 37 rows and 101 columns, which
becomes one of 20 and 70 while the program runs.

    container_terminal.py VM2OCI IMAGE

The program tells its TERM and the sizes that it finds, and what is typed comes to it. Its exit code is ours.
"""

import fcntl
import os
import pty
import select
import struct
import sys
import termios
import time

LIMIT_SECONDS = 240
PROGRAM = ('echo "type $(env | grep -c ^TERM=) $TERM"; echo "first $(stty size)"; trap \'echo "then $(stty size)"\' WINCH; '
           'echo ready; while ! read -r -t 1 word; do :; done; echo "typed $word"; exit 3')


def set_size(terminal, rows, columns):
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def main(program, image):
    child, terminal = pty.fork()
    if child == 0:
        time.sleep(0.5)  # until the terminal has its size
        os.environ["TERM"] = "vt220"
        os.execv(program, [program, "run", "--accel", "tcg", "--quiet", image, "sh", "-c", PROGRAM])
    set_size(terminal, 37, 101)
    seen = b""

    def wait_for(text):
        nonlocal seen
        deadline = time.monotonic() + LIMIT_SECONDS
        while text not in seen:
            if time.monotonic() > deadline:
                sys.exit(f"{text!r} did not come: {seen[-2000:].decode(errors='replace')}")
            if select.select([terminal], [], [], 0.2)[0]:
                try:
                    seen += os.read(terminal, 65536)
                except OSError:
                    sys.exit(f"the program ended before {text!r}: {seen[-2000:].decode(errors='replace')}")

    for text in (b"type 1 vt220", b"first 37 101", b"ready"):
        wait_for(text)
    set_size(terminal, 20, 70)
    wait_for(b"then 20 70")
    os.write(terminal, b"word\r")
    wait_for(b"typed word")
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code != 3:
        sys.exit(f"exit code {code}")


main(*sys.argv[1:])
