#!/usr/bin/env python3
"""Measures what a link to a registry costs: boots and inspections of a disk that stays there, and new versions of it.

    tests/bench/remote.py [--vm2oci PROGRAM] [--disk DISK] [--rate BYTES] [--only boot|versions] [--json FILE]

Starts docker-registry on the loopback interface, and before it a proxy that passes RATE bytes a second (default
12500000: 100 Mbit/s) and counts. The disk is the real Debian disk unless told otherwise.

boot      `boot docker://…` to the login prompt beside `pull` and `boot oci:…`, and `inspect docker://…`: wall time and
          the share of the layer that was fetched. Aims: less than half of it and less time; less than 3 % for inspect.
versions  versions 2 and 3 of the disk, each made by dpkg-installing a small package and writing a line to a log inside
          of it (root only: a loop mount and chroot): bytes fetched by `pull`, `pull --reuse` and podman with and without
          partial images (its overlay driver), and CPU seconds of `convert` and `convert --reuse` at several levels.
          The first `--reuse` has the earlier layer alone and decodes every frame that it takes, since the layer's own
          tables could lie: at zstd:2 that is a third of its work. It leaves notes (a cache below $XDG_CACHE_HOME), and
          the second one knows frames by them: the aim is a third of what `convert` costs. What is left then is SHA-256
          of the content and of the layer, reading and writing, and looking into the guest.

Times on shared machines vary: compare ratios from one run. Nothing here decides a test.
"""

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from convert import TOP, measure  # noqa: E402
from registry import start_registry  # noqa: E402


class Bench:
    def __init__(self, arguments, folder):
        self.folder = folder
        self.program = arguments.vm2oci.resolve()
        self.rate = arguments.rate
        self.results = {}
        self.registry, self.address = start_registry(folder)
        self.runs = 0

    def close(self):
        self.registry.terminate()
        self.registry.wait()

    def run(self, name, command, rate=None):
        """`command` with {at} for the proxy's address. Returns the measurements and the bytes that came."""
        self.runs += 1
        state = self.folder / f"proxy{self.runs}"
        proxy = subprocess.Popen([TOP / "tests/support/faulty_proxy.py", "--upstream", self.address, "--fault", "none",
                                  "--state", state, "--rate", str(self.rate if rate is None else rate)])
        while not (state / "address").exists():
            if proxy.poll() is not None:
                sys.exit("the proxy does not start")
        try:
            result = measure(command.format(at=(state / "address").read_text(), v=self.program), self.folder)
        finally:
            proxy.terminate()
            proxy.wait()
        result["fetched"] = json.loads((state / "seen.json").read_text())["download_bytes"]
        self.results[name] = result
        print(f"{name:34} {result['wall']:8.2f} s wall {result['cpu']:8.2f} s CPU {result['fetched'] / 1e6:9.2f} MB fetched",
              flush=True)
        return result

    def layer_size(self, reference):
        raw = subprocess.run(["skopeo", "inspect", "--tls-verify=false", "--raw", reference], check=True,
                             capture_output=True).stdout
        return json.loads(raw)["layers"][-1]["size"]


def boots(bench, disk):
    measure(f"{bench.program} convert -q --chunked {disk} docker://{bench.address}/debian:v1", bench.folder)
    size = bench.layer_size(f"docker://{bench.address}/debian:v1")
    boot = "{v} boot -q --accel tcg --timeout 30m --ready login --ignore no-datasource"
    direct = bench.run("boot docker://", boot + " docker://{at}/debian:v1")
    copied = bench.run("pull, then boot oci:", "{v} pull -q docker://{at}/debian:v1 oci:pulled:v1 && "
                       + boot + " oci:pulled:v1")
    looked = bench.run("inspect docker://", "{v} inspect -q docker://{at}/debian:v1")
    ratios = {"boot: fetched / layer": direct["fetched"] / size, "boot: wall / pull and boot": direct["wall"] / copied["wall"],
              "inspect: fetched / layer": looked["fetched"] / size}
    for name, ratio in ratios.items():
        print(f"{name:34} {ratio:8.3f}")
    bench.results["ratios"] = ratios


def make_next_version(disk, new, package_name):
    """A package, unpacked and configured by the guest's own dpkg, and a line in a log; a qcow2, as `disk` is."""
    raw = new.with_suffix(".raw")
    subprocess.run(["qemu-img", "convert", "-O", "raw", disk, raw], check=True)
    partitions = json.loads(subprocess.run(["sfdisk", "--json", raw], check=True,
                                           capture_output=True).stdout)["partitiontable"]["partitions"]
    largest = max(partitions, key=lambda part: part["size"])
    root = new.parent / "root"
    root.mkdir(exist_ok=True)
    subprocess.run(["mount", "-o", f"loop,offset={largest['start'] * 512},sizelimit={largest['size'] * 512}", raw,
                    root], check=True)
    try:
        subprocess.run(["apt-get", "download", "-q", package_name], cwd=root / "tmp", check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        package = next((root / "tmp").glob(f"{package_name}_*.deb"))
        subprocess.run(["chroot", root, "dpkg", "--install", f"/tmp/{package.name}"], check=True,
                       stdout=subprocess.DEVNULL)
        package.unlink()
        with open(root / "var/log/boot.log", "a") as log:
            log.write("Oct  1 00:00:00 one line more\n")
    finally:
        subprocess.run(["umount", root], check=True)
    subprocess.run(["qemu-img", "convert", "-O", "qcow2", raw, new], check=True)
    raw.unlink()


def podman(folder, name, partial):
    """A podman with a store of its own; returns the prefix of its commands."""
    (folder / f"{name}.conf").write_text(
        f"[storage]\ndriver = \"overlay\"\nrunroot = \"{folder}/{name}-run\"\ngraphroot = \"{folder}/{name}\"\n"
        f"[storage.options]\npull_options = {{enable_partial_images = \"{str(partial).lower()}\", "
        "use_hard_links = \"false\", ostree_repos = \"\"}\n")
    return f"CONTAINERS_STORAGE_CONF={folder}/{name}.conf podman"


def versions(bench, disk):
    two, three = bench.folder / "two.qcow2", bench.folder / "three.qcow2"
    make_next_version(disk, two, "tree")
    make_next_version(two, three, "pv")
    os.environ["XDG_CACHE_HOME"] = str(bench.folder / "cache")
    program, folder = bench.program, bench.folder
    table = []
    for level in ("2", "3", "9"):
        options = f"-q --compression zstd:{level}"
        # The first run of each finds the disk in memory as the second does.
        first = bench.run(f"convert zstd:{level}", f"rm -rf l{level}; {{v}} convert {options} {disk} oci:l{level}:v1")
        second = bench.run(f"convert --reuse zstd:{level}",
                           f"{{v}} convert {options} --reuse oci:l{level}:v1 {two} oci:l{level}:v2")
        third = bench.run(f"convert --reuse again zstd:{level}",
                          f"{{v}} convert {options} --reuse oci:l{level}:v2 {three} oci:l{level}:v3")
        table.append((f"convert / convert --reuse, zstd:{level}", first["cpu"] / second["cpu"]))
        table.append((f"convert / convert --reuse again, zstd:{level}", first["cpu"] / third["cpu"]))
    for name, reference in (("v1", disk), ("v2", two)):
        measure(f"{program} convert -q --chunked {reference} docker://{bench.address}/debian:{name}", folder)
    size = bench.layer_size(f"docker://{bench.address}/debian:v2")
    measure(f"{program} pull -q docker://{bench.address}/debian:v1 oci:have:v1", folder)
    bench.run("pull, all of it", "{v} pull -q docker://{at}/debian:v2 oci:all:v2")
    bench.run("pull --reuse", "{v} pull -q --reuse oci:have:v1 docker://{at}/debian:v2 oci:have:v2")
    for name, partial in (("podman", False), ("podman, partial images", True)):
        prefix = podman(folder, "partial" if partial else "whole", partial)
        # The name of the image must not change between the versions, nor with the port of the proxy.
        measure(f"{prefix} pull -q --tls-verify=false {bench.address}/debian:v1", folder)
        bench.run(name, f"{prefix} pull -q --tls-verify=false {{at}}/debian:v2")
        measure(f"{prefix} rmi --all --force", folder)
    for name in ("pull, all of it", "pull --reuse", "podman", "podman, partial images"):
        table.append((f"{name}: fetched / layer", bench.results[name]["fetched"] / size))
    for name, ratio in table:
        print(f"{name:44} {ratio:8.3f}")
    bench.results["ratios"] = dict(table)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vm2oci", default=TOP / "build/release/tools/vm2oci/vm2oci", type=pathlib.Path)
    parser.add_argument("--disk", type=pathlib.Path)
    parser.add_argument("--rate", type=float, default=12.5e6)
    parser.add_argument("--only", choices=("boot", "versions"))
    parser.add_argument("--json", type=pathlib.Path)
    arguments = parser.parse_args()
    disk = arguments.disk or pathlib.Path(
        subprocess.run([TOP / "tools/make-debian-disk.sh"], check=True, capture_output=True, text=True).stdout.strip())
    folder = pathlib.Path(tempfile.mkdtemp(prefix="vm2oci-bench."))
    bench = Bench(arguments, folder)
    try:
        if arguments.only != "versions":
            boots(bench, disk.resolve())
        if arguments.only != "boot":
            if os.geteuid() != 0:
                sys.exit("version 2 of the disk is made with a loop mount, as root; --only boot goes without")
            versions(bench, disk.resolve())
        if arguments.json:
            arguments.json.write_text(json.dumps(bench.results, indent=2) + "\n")
    finally:
        bench.close()
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
