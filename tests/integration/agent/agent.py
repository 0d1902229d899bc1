#!/usr/bin/env python3
"""Talks to the guest's agent over a pseudo terminal instead of a virtio port: commands, limits, facts, a lost port.

  agent.py AGENT
"""
import base64
import json
import os
import select
import subprocess
import sys
import time
import tty

PATIENCE = 120  # seconds, on a busy machine


class Conversation:
    def __init__(self, agent):
        self.port, terminal = os.openpty()
        tty.setraw(terminal)
        self.agent = subprocess.Popen([agent, "--port", os.ttyname(terminal)], stdin=subprocess.DEVNULL)
        self.buffer = b""
        # Held open, so that the agent's opening is no event of its own.
        self.terminal = terminal

    def send(self, **request):
        os.write(self.port, json.dumps(request).encode() + b"\n")

    def receive(self, kind):
        deadline = time.monotonic() + PATIENCE
        while True:
            while b"\n" in self.buffer:
                line, self.buffer = self.buffer.split(b"\n", 1)
                message = json.loads(line)
                if message["type"] == kind:
                    return message
                assert message["type"] in ("ready", "hello"), message
            if not select.select([self.port], [], [], max(0, deadline - time.monotonic()))[0]:
                sys.exit(f"no {kind} came")
            self.buffer += os.read(self.port, 65536)

    def execute(self, number, *argv, **more):
        self.send(type="exec", id=number, argv=argv, **more)
        result = self.receive("exec-result")
        assert result["id"] == number, result
        result["stdout"] = base64.b64decode(result["stdout"], validate=True)
        result["stderr"] = base64.b64decode(result["stderr"], validate=True)
        return result


def expect(result, **wanted):
    for key, value in wanted.items():
        assert result[key] == value, (key, value, result)


def main():
    talk = Conversation(sys.argv[1])
    hello = talk.receive("hello")
    expect(hello, version=1, kernel=os.uname().release)
    talk.send(type="ping", id=4)
    expect(talk.receive("pong"), id=4)

    expect(talk.execute(1, "sh", "-c", "echo out; echo err >&2; exit 3"), exit=3, stdout=b"out\n", stderr=b"err\n",
           truncated=False, timed_out=False)
    expect(talk.execute(2, "cat"), exit=0, stdout=b"")
    expect(talk.execute(3, "vm2oci-no-such-program"), exit=127)
    expect(talk.execute(4, "/etc"), exit=126)
    expect(talk.execute(5, "sh", "-c", "kill -9 $$"), exit=137)
    # What the command started goes with it.
    expect(talk.execute(6, "sh", "-c", "sleep 1000 & echo begun; wait", timeout_s=1), exit=137, stdout=b"begun\n",
           timed_out=True)
    long = talk.execute(7, "sh", "-c", "head -c 1000000 /dev/zero; echo end >&2")
    expect(long, exit=0, truncated=True, stdout=bytes(64 * 1024), stderr=b"end\n")
    # A service that a command leaves behind holds the pipes; the answer comes all the same.
    left = talk.execute(8, "sh", "-c", "sleep 1000 & echo $!")
    expect(left, exit=0)
    os.kill(int(left["stdout"]), 9)
    expect(talk.execute(10, "sh", "-c", 'printf "%s|" "$LC_ALL" "$@"', "name", "a b", "ä\n"), stdout="C|a b|ä\n|".encode())

    # Several at once; the shorter one answers first.
    talk.send(type="exec", id=11, argv=["sleep", "2"])
    talk.send(type="exec", id=12, argv=["true"])
    order = [talk.receive("exec-result")["id"], talk.receive("exec-result")["id"]]
    assert order == [12, 11], order

    talk.send(type="facts", id=13)
    facts = talk.receive("facts")
    expect(facts, id=13)
    assert all(isinstance(facts[key], list) for key in ("units", "units_failed", "listening", "modules")), facts
    assert facts["boot"]["kernel"] == 0, facts

    os.write(talk.port, b"not json\n")
    assert talk.receive("error")["message"], "an error says something"

    # The host goes: the agent ends instead of spinning.
    os.close(talk.terminal)
    os.close(talk.port)
    assert talk.agent.wait(PATIENCE) == 0

    absent = subprocess.run([sys.argv[1], "--port", "/dev/vm2oci-no-such-port"], capture_output=True, timeout=PATIENCE,
                            check=False)
    assert (absent.returncode, absent.stdout, absent.stderr) == (0, b"", b""), absent
    print("the agent answers as it should")


if __name__ == "__main__":
    main()
