#!/usr/bin/env bash
# Machines of the field, each as a manifest for everybody who could run it: KubeVirt's API knows every field, its rules
# hold, and what is read of each document is what the machine is.
source "$VM2OCI_SOURCE_DIR/tests/support/integration.sh"
require_tool python3 jq
here=$VM2OCI_SOURCE_DIR/tests/integration/manifest

mkdir first second
"$WRITE_MANIFESTS" first > machines.txt
"$WRITE_MANIFESTS" second > again.txt

step 'twice the same bytes, and no machine is lost'
diff --recursive first second
cmp machines.txt again.txt
[[ $(wc -l < machines.txt) -ge 24 ]] || fail 'too few machines'
while read -r name _; do
    [[ -s first/$name.kubevirt.yaml && -s first/$name.libvirt.xml ]] || fail "$name has no manifest"
done < machines.txt

step "KubeVirt's API knows every field, and its rules hold"
"$here/judge_manifests.py" first/*.kubevirt.yaml first/*.kubevirt-*.yaml

step 'the judge finds what is wrong'
spoil() { # EXPRESSION WHAT: of Python, over the machine `m`
    python3 -c 'import sys, yaml
documents = list(yaml.safe_load_all(open("first/seeded-10k.kubevirt.yaml")))
m = next(d for d in documents if d["kind"] == "VirtualMachine")
s = m["spec"]["template"]["spec"]
exec(sys.argv[1])
yaml.safe_dump_all(documents, open("spoilt.yaml", "w"))' "$1"
    if "$here/judge_manifests.py" spoilt.yaml > spoilt.txt; then fail "not found: $1"; fi
    grep --quiet --fixed-strings "$2" spoilt.txt || fail "$1 is found, and not as '$2': $(cat spoilt.txt)"
}
spoil 's["domain"]["cpus"] = 2' 'unknown to v1.DomainSpec'
spoil 's["domain"]["cpu"]["cores"] = "2"' 'no integer'
spoil 'm["spec"]["running"] = True' 'running beside runStrategy'
spoil 's["domain"]["firmware"]["bootloader"] = {"efi": {}}' 'Secure Boot without SMM'
spoil 's["volumes"][0]["containerDisk"]["image"] = "x:latest"' 'not pinned'
spoil 's["volumes"][1]["cloudInitNoCloud"]["secretRef"]["name"] = "other"' 'Secrets that are there'
spoil 's["domain"]["devices"]["disks"].pop()' 'disks and volumes differ'
spoil 'm["spec"]["instancetype"] = {"name": "u1.small"}' 'sizes and instance type'

step 'every field that is not KubeVirt'"'"'s default says why it is there'
python3 - << 'PYTHON'
import pathlib

EXPLAINED = ("runStrategy labels architecture cpu firmware smm hyperv clock disks blockSize useVirtioTransitional "
             "autoattachPodInterface rng instancetype preference dataVolumeTemplates schedule").split()
seen, unsaid = set(), []
for path in sorted(pathlib.Path("first").glob("*.kubevirt*.yaml")):
    lines = path.read_text().splitlines()
    for number, line in enumerate(lines):
        words = line.split()
        key = words[0].rstrip(":") if words and words[0].endswith(":") else ""
        # The first element of a list stands behind the list's own name; the comment of a block's size is its disk's.
        at = number + 1 if key == "interfaces" else number - 1
        if key == "blockSize":
            at = max(n for n in range(number) if lines[n].lstrip().startswith("- ")) - 1
        if key not in EXPLAINED + ["interfaces"] or line.strip() == "hyperv: {}":  # one of the clock's timers
            continue
        seen.add(key)
        if not lines[at].lstrip().startswith("#"):
            unsaid.append(f"{path.name}:{number + 1}: {key}")
assert not unsaid, unsaid
assert seen == {*EXPLAINED, "interfaces"}, seen
PYTHON

step 'what stands in the documents is what the machines are'
python3 - << 'PYTHON'
import base64, json, pathlib, xml.etree.ElementTree, yaml

def documents(name, target="kubevirt"):
    return {d["kind"]: d for d in yaml.safe_load_all(pathlib.Path(f"first/{name}.{target}.yaml").read_text())}

for line in pathlib.Path("machines.txt").read_text().splitlines():
    name, firmware, bus, disks, memory, preference = line.split()
    machine = documents(name)["VirtualMachine"]
    spec = machine["spec"]["template"]["spec"]
    loader = spec["domain"]["firmware"].get("bootloader")
    if loader is not None:
        seen = "bios" if "bios" in loader else "uefi-secure" if loader["efi"]["secureBoot"] else "uefi"
        assert seen == firmware, name
    rows = spec["domain"]["devices"]["disks"][: int(disks)]
    assert {row["disk"]["bus"] for row in rows} == {bus}, name
    if "instancetype" not in machine["spec"]:
        assert spec["domain"]["memory"]["guest"] == memory, name
    assert machine["spec"].get("preference", {}).get("name", "-") == preference, name
    domain = xml.etree.ElementTree.parse(f"first/{name}.libvirt.xml").getroot()
    assert len(domain.findall("devices/disk")) == int(disks), name
    assert (domain.find("os").get("firmware") == "efi") == (firmware != "bios" and loader is not None), name

secret = documents("seeded-10k")["Secret"]["stringData"]
assert len(secret["userdata"]) > 10000 and "\\u00e4 # not a comment" in secret["userdata"]
assert yaml.safe_load(secret["userdata"])["bootcmd"][0][1].endswith("ä # not a comment")
assert base64.b64decode(documents("seeded-binary")["Secret"]["data"]["userdata"]).startswith(b"\x1f\x8b\x00\xff")
drive = documents("config-drive")
assert drive["VirtualMachine"]["spec"]["template"]["spec"]["volumes"][1]["cloudInitConfigDrive"]["networkDataSecretRef"]
three = documents("three-disks", "kubevirt-datavolume")["VirtualMachine"]
sizes = [t["spec"]["storage"]["resources"]["requests"]["storage"] for t in three["spec"]["dataVolumeTemplates"]]
assert sizes == ["10241Mi", "11265Mi", "12289Mi"], sizes  # no smaller than what the guest sees
cron = documents("debian-uefi", "kubevirt-dataimportcron")["DataImportCron"]["spec"]
assert cron["template"]["spec"]["source"]["registry"]["url"] == "docker://registry.example:5000/vms/debian-uefi:1"
for name in ("bundle", "bundle-erofs"):
    kernel = documents(name)["VirtualMachine"]["spec"]["template"]["spec"]["domain"]["firmware"]["kernelBoot"]
    vmm = json.loads(pathlib.Path(f"first/{name}.firecracker.json").read_text())
    assert vmm["boot-source"]["boot_args"].startswith(kernel["kernelArgs"].split()[0])
    assert ("initrdPath" in kernel["container"]) == (name == "bundle")
PYTHON
