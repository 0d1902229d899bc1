#!/usr/bin/env python3
"""judge_manifests.py FILE...: holds KubeVirt's documents in YAML files against what its API knows.

kubevirt_api.json beside this file has the types of the API that our documents have values of, with all of their fields
and what must be there: facts of `definitions` in KubeVirt's api/openapi-spec/swagger.json. Besides, the rules of its
admission webhooks that a schema cannot say are looked at here. Prints each fault; exit code 1 if there is one.
"""
import json
import pathlib
import re
import sys

import yaml

API = json.loads((pathlib.Path(__file__).parent / "kubevirt_api.json").read_text())
LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")
QUANTITY = re.compile(r"[0-9]+(Ki|Mi|Gi|Ti|Pi|Ei)?$")
PINNED = re.compile(r"[^@]+@sha256:[0-9a-f]{64}$")
PLAIN = {"string": str, "integer": int, "boolean": bool, "number": (int, float), "object": dict}


def check_type(value, kind, where, faults):
    if kind.startswith("["):
        if not isinstance(value, list):
            return faults.append(f"{where}: no list")
        for i, one in enumerate(value):
            check_type(one, kind[1:-1], f"{where}/{i}", faults)
    elif kind.startswith("{"):
        if not isinstance(value, dict):
            return faults.append(f"{where}: no map")
        for name, one in value.items():
            check_type(one, kind[1:-1], f"{where}/{name}", faults)
    elif kind == "quantity":
        if not isinstance(value, str) or not QUANTITY.match(value):
            faults.append(f"{where}: no quantity: {value!r}")
    elif kind == "any":
        pass
    elif kind in PLAIN:
        if not isinstance(value, PLAIN[kind]) or (kind != "boolean" and isinstance(value, bool)):
            faults.append(f"{where}: no {kind}: {value!r}")
    elif kind not in API:
        faults.append(f"{where}: its type {kind} is none of ours; is this field new here?")
    elif not isinstance(value, dict):
        faults.append(f"{where}: no object")
    else:
        fields = API[kind]["fields"]
        for name, one in value.items():
            if name not in fields:
                faults.append(f"{where}/{name}: unknown to {kind}")
            else:
                check_type(one, fields[name], f"{where}/{name}", faults)
        for name in API[kind]["required"]:
            if name not in value:
                faults.append(f"{where}: {name} is missing")


def check_machine(machine, faults):
    """What KubeVirt's admitters ask beyond the schema."""
    spec = machine["spec"]
    guest = spec["template"]["spec"]
    domain = guest["domain"]
    devices = domain["devices"]
    volumes = {volume["name"]: volume for volume in guest["volumes"]}
    disks = [disk["name"] for disk in devices["disks"]]

    def rule(holds, text):
        if not holds:
            faults.append(text)

    rule(LABEL.match(machine["metadata"]["name"]), "the name is no DNS label")
    rule(spec["runStrategy"] == "Always", "it does not run")
    rule("running" not in spec, "running beside runStrategy")
    rule(len(volumes) == len(guest["volumes"]) and sorted(disks) == sorted(volumes), "disks and volumes differ")
    orders = [disk["bootOrder"] for disk in devices["disks"] if "bootOrder" in disk]
    rule(len(set(orders)) == len(orders) and 0 not in orders, "boot orders")
    rule(all(LABEL.match(name) for name in volumes), "a volume's name is no DNS label")
    for volume in volumes.values():
        rule(len(volume) == 2, f"volume {volume['name']} has more or less than one source")
        if "containerDisk" in volume:
            rule(PINNED.match(volume["containerDisk"]["image"]), "an image that is not pinned")
        for seed in ("cloudInitNoCloud", "cloudInitConfigDrive"):
            if seed in volume:
                rule(not {"userData", "userDataBase64", "networkData", "networkDataBase64"} & set(volume[seed]),
                     "cloud-init's data in the machine itself")
    rule(("instancetype" in spec) != ("cpu" in domain and "memory" in domain), "sizes and instance type")
    loader = domain.get("firmware", {}).get("bootloader")
    kernel = domain.get("firmware", {}).get("kernelBoot")
    rule((loader is None) != (kernel is None), "neither firmware nor kernel, or both")
    if loader is not None:
        rule(len(loader) == 1, "two kinds of firmware")
        if loader.get("efi", {}).get("secureBoot", "efi" in loader):
            rule(domain.get("features", {}).get("smm", {}).get("enabled") is True, "Secure Boot without SMM")
        rule(guest["architecture"] == "amd64" or "bios" not in loader, "BIOS where there is none")
    if kernel is not None:
        root = volumes["rootdisk"].get("containerDisk", kernel["container"])  # else a claim
        rule(root["image"] == kernel["container"]["image"], "kernel of another image")
        rule("root=/dev/vda" in kernel["kernelArgs"].split(), "no root")
    interfaces = devices.get("interfaces", [])
    networks = {network["name"]: network for network in guest.get("networks", [])}
    rule([interface["name"] for interface in interfaces] == list(networks), "interfaces and networks differ")
    rule(sum("pod" in network for network in networks.values()) <= 1, "two networks of the pod")
    for interface in interfaces:
        rule(("masquerade" in interface) != ("bridge" in interface), "not one binding")
        rule("masquerade" not in interface or "pod" in networks[interface["name"]], "masquerade beside the pod's network")
    names = [template["metadata"]["name"] for template in spec.get("dataVolumeTemplates", [])]
    used = [volume["dataVolume"]["name"] for volume in volumes.values() if "dataVolume" in volume]
    rule(names == used, "templates and volumes differ")


def main():
    count = faulty = 0
    for path in sys.argv[1:]:
        secrets, wanted = set(), set()
        for document in yaml.safe_load_all(pathlib.Path(path).read_text()):
            faults = []
            kind = document["kind"]
            if kind == "VirtualMachine":
                check_type(document, "v1.VirtualMachine", "", faults)
                if not faults:
                    check_machine(document, faults)
                for volume in document["spec"]["template"]["spec"]["volumes"]:
                    seed = volume.get("cloudInitNoCloud", volume.get("cloudInitConfigDrive", {}))
                    wanted |= {reference["name"] for reference in seed.values()}
            elif kind == "Secret":
                secrets.add(document["metadata"]["name"])
            count += 1
            faulty += bool(faults)
            for fault in faults:
                print(f"{path}: {kind}{fault if fault.startswith('/') else ': ' + fault}")
        if secrets != wanted:
            faulty += 1
            print(f"{path}: Secrets that are there and those that are asked for differ: {secrets} {wanted}")
    print(f"{count} documents, {faulty} with faults")
    return 1 if faulty or not count else 0


if __name__ == "__main__":
    sys.exit(main())
