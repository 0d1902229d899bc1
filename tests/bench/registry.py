#!/usr/bin/env python3
"""Measures pushes and pulls beside skopeo's, and converting straight into a registry beside its two halves.

    tests/bench/registry.py [--vm2oci PROGRAM] [--disk DISK] [--runs N] [--apart] [--json FILE]

Starts docker-registry on the loopback interface. The disk is the real Debian disk unless told otherwise. Every job runs
N times (default 3), the jobs in turns, and finds the registry empty but for what it pulls: skopeo remembers what it has
pushed and would mount it. Shown is the run with the least wall time. Columns: wall and CPU seconds and largest resident
set of the client alone, then ratios:

  push / skopeo      wall time of `vm2oci push` by that of `skopeo copy` of the same layout; the aim is at most 1.1
  stream / slower    wall time of `convert DISK docker://…` by the slower of `convert DISK oci:…` and `push`; at most 1.15
  the same, 1 thread with one compressing thread. On a machine with two processors that one says more: convert keeps both
                     busy alone, and the registry has to run, too. So does --apart, which gives the registry one processor
                     and all clients another, as if it were on another machine
  peak               the largest resident set of any job of ours; at most 128 MiB

Times on shared machines vary: compare ratios from one run. Nothing here decides a test.
"""

import argparse
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from convert import TOP, measure  # noqa: E402


def start_registry(folder):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = "127.0.0.1:%d" % probe.getsockname()[1]
    (folder / "registry.yml").write_text(
        "version: 0.1\nlog: {level: error}\n"
        f"storage: {{filesystem: {{rootdirectory: {folder}/registry}}}}\nhttp: {{addr: '{address}'}}\n")
    process = subprocess.Popen(["docker-registry", "serve", folder / "registry.yml"],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(200):
        try:
            urllib.request.urlopen(f"http://{address}/v2/", timeout=5).close()
            return process, address
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
    process.kill()
    sys.exit("docker-registry does not answer")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vm2oci", default=TOP / "build/release/tools/vm2oci/vm2oci", type=pathlib.Path)
    parser.add_argument("--disk", type=pathlib.Path)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--apart", action="store_true")
    parser.add_argument("--json", type=pathlib.Path)
    arguments = parser.parse_args()
    disk = arguments.disk or pathlib.Path(
        subprocess.run([TOP / "tools/make-debian-disk.sh"], check=True, capture_output=True, text=True).stdout.strip())
    program, disk = arguments.vm2oci.resolve(), disk.resolve()

    folder = pathlib.Path(tempfile.mkdtemp(prefix="vm2oci-bench."))
    registry, address = start_registry(folder)
    if arguments.apart:
        for thread in os.listdir(f"/proc/{registry.pid}/task"):
            os.sched_setaffinity(int(thread), {1})  # its later threads inherit it
        os.sched_setaffinity(0, {0})
    try:
        measure(f"{program} convert -q {disk} oci:layout:v1", folder)
        jobs = {
            "skopeo copy oci docker": "skopeo copy -q --dest-tls-verify=false oci:layout:v1 docker://{repo}:v1",
            "vm2oci push": f"{program} push -q oci:layout:v1 docker://{{repo}}:v1",
            "vm2oci convert oci": f"rm -rf made; {program} convert -q {disk} oci:made:v1",
            "vm2oci convert docker": f"{program} convert -q {disk} docker://{{repo}}:v1",
            "vm2oci convert -j1 oci": f"rm -rf made; {program} convert -q --threads 1 {disk} oci:made:v1",
            "vm2oci convert -j1 docker": f"{program} convert -q --threads 1 {disk} docker://{{repo}}:v1",
            "skopeo copy docker oci": f"rm -rf got; skopeo copy -q --src-tls-verify=false docker://{address}/source:v1 oci:got:v1",
            "vm2oci pull": f"rm -rf got; {program} pull -q docker://{address}/source:v1 oci:got:v1",
        }
        best = {}
        for run in range(arguments.runs):
            for number, (name, command) in enumerate(jobs.items()):
                shutil.rmtree(folder / "registry", ignore_errors=True)
                if "/source" in command:
                    measure(f"{program} push -q oci:layout:v1 docker://{address}/source:v1", folder)
                result = measure(command.format(repo=f"{address}/bench/{run}-{number}"), folder)
                if name not in best or result["wall"] < best[name]["wall"]:
                    best[name] = result
        for name, result in best.items():
            print(f"{name:26} {result['wall']:7.2f} s wall {result['cpu']:7.2f} s CPU {result['peak'] / 2**20:7.1f} MiB")
        ratios = {
            "push / skopeo": best["vm2oci push"]["wall"] / best["skopeo copy oci docker"]["wall"],
            "stream / slower": best["vm2oci convert docker"]["wall"]
                               / max(best["vm2oci convert oci"]["wall"], best["vm2oci push"]["wall"]),
            "the same, 1 thread": best["vm2oci convert -j1 docker"]["wall"]
                                  / max(best["vm2oci convert -j1 oci"]["wall"], best["vm2oci push"]["wall"]),
            "peak, MiB": max(result["peak"] for name, result in best.items() if name.startswith("vm2oci")) / 2**20,
        }
        for name, ratio in ratios.items():
            print(f"{name:26} {ratio:7.2f}")
        if arguments.json:
            arguments.json.write_text(json.dumps({"jobs": best, "ratios": ratios}, indent=2) + "\n")
    finally:
        registry.terminate()
        registry.wait()
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
