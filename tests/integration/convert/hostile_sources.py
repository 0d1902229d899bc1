#!/usr/bin/env python3
"""hostile_sources.py VM2OCI WRITE_FOREIGN_DISKS: disks and machines that lie, at least 40 of each kind, made here: each
is refused (exit 3) within 5 s and 256 MiB, and no file is opened that the user did not name.

Unit tests hold the refusals' causes (tests/unit/block, hardware, source); this holds what the whole program does.
"""
import os
import pathlib
import re
import resource
import struct
import subprocess
import sys
import tempfile

SECONDS = 5
MEMORY = 256 << 20
LEAST = 40


def crc32c(data):
    value = 0xFFFFFFFF
    for byte in data:
        value = TABLE[(value ^ byte) & 0xFF] ^ (value >> 8)
    return value ^ 0xFFFFFFFF


def table_entry(value):
    for _ in range(8):
        value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
    return value


TABLE = [table_entry(i) for i in range(256)]


def patched(image, *patches):
    copy = bytearray(image)
    for at, code, value in patches:
        struct.pack_into(code, copy, at, value)
    return copy


def lies(fields):
    """{name: (offset, code)} and the values that are tried in each."""
    for name, (at, code, values) in fields.items():
        for value in values:
            yield f"{name} {value:#x}", (at, code, value)


MAX32, MAX64 = (1 << 32) - 1, (1 << 64) - 1


def vmdk_rows(folder):
    image = (folder / "zeroed.vmdk").read_bytes()
    fields = {
        "version": (4, "<I", (0, 4, MAX32)), "flags": (8, "<I", (0x17, 0x30003, MAX32)),
        "capacity": (12, "<Q", (1, MAX64, 1 << 63, 9600)), "grain": (20, "<Q", (0, 4, 9, 1 << 30, 1 << 63)),
        "descriptor": (28, "<Q", (1 << 20, MAX64)), "descriptor size": (36, "<Q", (1 << 20, MAX64)),
        "entries": (44, "<I", (0, 1024, MAX32)), "copy of the directory": (48, "<Q", (0, 1 << 20, 2)),
        "directory": (56, "<Q", (0, 1 << 20, MAX64, MAX64 // 2)), "overhead": (64, "<Q", (1 << 20, MAX64)),
        "unclean": (72, "<B", (2, 255)), "line ends": (73, "<B", (0x0D,)), "compression": (77, "<H", (1, 2, 0xFFFF)),
        "table": (30 * 512, "<I", (1, 1 << 20, 0, MAX32))}
    for name, patch in lies(fields):
        yield name, patched(image, patch)
    head = '# Disk DescriptorFile\nversion=1\nCID=1a2b3c4d\nparentCID=ffffffff\ncreateType="vmfs"\n'
    for line in ('RW 16 VMFS "/etc/secret"', 'RW 16 VMFS "../secret-flat.vmdk"', 'RW 16 FLAT "secret.vmdk" 0', 'RW 16 FLAT "C:\\secret" 0',
                 f"RW {MAX64} ZERO\nRW 16 ZERO", "RW 9007199254740992 ZERO", "RW -1 ZERO", "RDONLY 16 ZERO", "NOACCESS 16 ZERO",
                 'RW 16 VMFSRDM "secret"', "RW 16 NOTHING", "RW 1 ZERO\n" * 2000):
        yield "line " + line[:30], (head + line + "\n").encode()


def vhd_rows(folder):
    image = (folder / "dynamic.vhd").read_bytes()

    def sealed(copy):
        for at, end, field in ((0, 512, 64), (512, 1536, 512 + 36)):
            struct.pack_into(">I", copy, field, 0)
            struct.pack_into(">I", copy, field, ~sum(copy[at:end]) & MAX32)
        copy[-512:] = copy[:512]
        return copy

    fields = {
        "version": (12, ">I", (0, 0x20000)), "header at": (16, ">Q", (0, 511, 1024, 1 << 40, MAX64)),
        "size": (48, ">Q", (0, 1, 2041 << 30, MAX64)), "type": (60, ">I", (0, 2, 4, 5, MAX32)),
        "magic of the header": (512, ">B", (0x58,)), "table at": (528, ">Q", (0, 1024, 2048, 1 << 40, MAX64)),
        "version of the header": (536, ">I", (1, MAX32)), "entries": (540, ">I", (0, 39, 200, MAX32)),
        "block size": (544, ">I", (0, 511, 512, 65537, 1 << 31)),
        "block": (1536 + 80, ">I", (0, 1, 3, 4, 5, 104, 1 << 20, MAX32 - 1)), "first block": (1536, ">I", (5, 7))}
    for name, patch in lies(fields):
        yield name, sealed(patched(image, patch))
    yield "no checksum", patched(image, (64, ">I", 0))
    yield "footers that differ", patched(image, (24, ">I", 77))


def vhdx_rows(folder):
    image = (folder / "blocks.vhdx").read_bytes()
    mib = 1 << 20

    def sealed(copy):
        for at, length in ((64 << 10, 4096), (128 << 10, 4096), (192 << 10, 65536), (256 << 10, 65536)):
            struct.pack_into("<I", copy, at + 4, 0)
            struct.pack_into("<I", copy, at + 4, crc32c(copy[at:at + length]))
        return copy

    header, items, entry = 128 << 10, 3 * mib + (64 << 10), 2 * mib + 48
    fields = {
        "magic": (0, "<B", (0x58,)), "metadata magic": (3 * mib, "<B", (0x58,)), "items": (3 * mib + 10, "<H", (0, 3, 0xFFFF)),
        "item at": (3 * mib + 48, "<I", (4096, mib - 4, 65540)), "length of an item": (3 * mib + 52, "<I", (0, 4, 2 * mib)),
        "block size": (items, "<I", (0, mib // 2, 3 * mib, 512 * mib)), "parent": (items + 4, "<I", (2,)),
        "size": (items + 8, "<Q", (0, 513, 1 << 38, 65 << 40, MAX64)), "sector": (items + 32, "<I", (0, 1024)),
        "physical sector": (items + 36, "<I", (513,)),
        "block": (entry, "<Q", (6, mib | 6, 2 * mib | 6, 3 * mib | 6, 4 * mib | 6, (1 << 40) | 6, (MAX64 & ~0xFFFFF) | 6, 8, 7))}
    for name, patch in lies(fields):
        yield name, patched(image, patch)
    guarded = {
        "version": (header + 66, "<H", (0, 2)), "log version": (header + 64, "<H", (1,)), "log": (header + 68, "<I", (0, 1024)),
        "log at": (header + 72, "<Q", (0, mib + 4096, 2 * mib, MAX64 - mib + 1))}
    for name, patch in lies(guarded):
        yield name, sealed(patched(image, patch))
    regions = {"regions": (8, "<I", (0, 1, 2048)), "region at": (32, "<Q", (0, mib, 3 * mib, 1 << 40)), "region of": (40, "<I", (0, 4096))}
    for name, (at, code, value) in lies(regions):
        yield name, sealed(patched(image, *((table + at, code, value) for table in (192 << 10, 256 << 10))))


def vdi_rows(folder):
    image = (folder / "blocks.vdi").read_bytes()
    fields = {
        "version": (68, "<I", (0x10000, 0x20000, MAX32)), "header": (72, "<I", (0,)), "type": (76, "<I", (0, 3, 4, 5)),
        "map at": (340, "<I", (0, 511, 513, 1024, 1 << 30, 0xFFFFFE00)), "data at": (344, "<I", (0, 512, 1025, 1 << 30, 1025 * 512)),
        "sector": (360, "<I", (0, 4096)), "size": (368, "<Q", (0, (12 << 20) + 1, 1 << 50, MAX64)),
        "block size": (376, "<I", (0, 512, 2 << 20, 1 << 31)), "extra": (380, "<I", (512,)),
        "blocks": (384, "<I", (0, 11, 129, MAX32)), "allocated": (388, "<I", (13,)), "link": (424, "<B", (1,)), "parent": (440, "<B", (1,)),
        "block": (512 + 40, "<I", (0, 1, 2, 4, 12, MAX32 - 2))}
    for name, patch in lies(fields):
        yield name, patched(image, patch)


def member(name, content, kind=b"0", size=None, link=b""):
    header = bytearray(512)
    header[0:len(name)] = name.encode()
    header[100:108] = b"0000644\0"
    header[124:136] = b"%011o\0" % (len(content) if size is None else size)
    header[156:157] = kind
    header[157:157 + len(link)] = link
    header[257:265] = b"ustar\00000"
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + content + bytes(-len(content) % 512)


OVF = """<Envelope xmlns:ovf="o" xmlns:rasd="r"><References>{files}</References><DiskSection>{disks}</DiskSection>
<VirtualSystem ovf:id="x"><VirtualHardwareSection>{items}</VirtualHardwareSection></VirtualSystem></Envelope>"""
GOOD = {"files": '<File ovf:id="f" ovf:href="d.raw"/>', "disks": '<Disk ovf:diskId="d" ovf:fileRef="f"/>',
        "items": "<Item><rasd:HostResource>/disk/d</rasd:HostResource><rasd:ResourceType>17</rasd:ResourceType></Item>"}


def ova_rows(_folder):
    disk = member("d.raw", bytes(4096))

    def archive(*members):
        return b"".join(members) + bytes(1024)

    def with_part(part, text):
        return archive(member("x.ovf", OVF.format(**(GOOD | {part: text})).encode()), disk)

    for href in ("/etc/secret", "../secret", "x/../../secret", "%2e%2e/secret", "file:///etc/secret", "http://host.example/secret", "secret.vmdk", "D.RAW", ""):
        yield "href " + href, with_part("files", f'<File ovf:id="f" ovf:href="{href}"/>')
    for size in ("many", "-1", "4097", "9" * 30, "0x1000"):
        yield "size " + size, with_part("files", f'<File ovf:id="f" ovf:href="d.raw" ovf:size="{size}"/>')
    for more in ('ovf:chunkSize="1"', 'ovf:compression="lzma"', 'ovf:compression="gzip"'):
        yield "file " + more, with_part("files", f'<File ovf:id="f" ovf:href="d.raw" {more}/>')
    yield "two files of one id", with_part("files", GOOD["files"] * 2)
    yield "too many files", with_part("files", "".join(f'<File ovf:id="f{i}" ovf:href="d"/>' for i in range(5000)))
    for part in ('<Disk ovf:fileRef="f"/>', '<Disk ovf:diskId="d" ovf:fileRef="g"/>', '<Disk ovf:diskId="d"/>', GOOD["disks"] * 2,
                 '<Disk ovf:diskId="d" ovf:fileRef="f" ovf:parentRef="p"/>', '<Disk ovf:diskId="d" ovf:fileRef="f" ovf:capacity="x"/>',
                 '<Disk ovf:diskId="d" ovf:fileRef="f" ovf:capacity="1" ovf:capacityAllocationUnits="ell"/>',
                 '<Disk ovf:diskId="d" ovf:capacity="99999" ovf:capacityAllocationUnits="byte * 2^40"/>'):
        yield "disk " + part, with_part("disks", part)
    for kind, quantity in ((3, "0"), (3, "x"), (3, "99999"), (4, "0"), (4, "-1"), (4, "99999999999999")):
        yield f"item {kind} of {quantity}", with_part("items", GOOD["items"] + f"<Item><rasd:ResourceType>{kind}</rasd:ResourceType>"
                                                      f"<rasd:VirtualQuantity>{quantity}</rasd:VirtualQuantity></Item>")
    for doctype in ('[<!ENTITY x SYSTEM "file:///etc/secret">]', 'SYSTEM "http://host.example/secret.dtd"', '[<!ENTITY a "aa"><!ENTITY b "&a;&a;">]', ""):
        yield "document type " + doctype, archive(member("x.ovf", f"<!DOCTYPE e {doctype}>{OVF.format(**GOOD)}".encode()), disk)
    ovf = member("x.ovf", OVF.format(**GOOD).encode())
    yield "a member twice", archive(ovf, disk, disk)
    yield "two descriptors", archive(ovf, member("y.ovf", b"<Envelope/>"), disk)
    yield "a disk that is a link", archive(ovf, member("d.raw", b"", b"2", None, b"/etc/secret"))
    yield "a disk that is a device", archive(ovf, member("d.raw", b"", b"3"))
    yield "a member without an end", ovf + member("d.raw", b"x" * 512, b"0", 1 << 32)
    yield "a digest that lies", archive(ovf, member("x.mf", b"SHA256(d.raw)= " + b"0" * 64 + b"\n"), disk)
    yield "a manifest of words", archive(ovf, member("x.mf", b"all is well\n"), disk)
    yield "elements without end", archive(member("x.ovf", b"<Envelope>" + b"<a>" * 100000), disk)


def vmx_rows(_folder):
    head = 'config.version = "8"\n'
    for line in ("numvcpus", "memsize", "cpuid.coresPerSocket"):
        for value in ("0", "x", "-1", "9" * 30, "1.5", "0x10", "99999999999"):
            yield f"{line} {value}", f'{head}{line} = "{value}"\n'.encode()
    for name in ("/etc/secret", "../secret.vmdk", "C:\\secret.vmdk", "[datastore1] x/secret.vmdk", "secret.vmdk", "nbd://host.example/secret", "", "source/../secret.vmdk", "|2Fetc|2Fsecret"):
        yield "disk " + name, f'{head}scsi0:0.fileName = "{name}"\n'.encode()
    for line in ("nothing", ' = "x"', 'displayName = "x', 'displayName = "x" y', 'memsize = "1"\nmemsize = "2"', 'encryption.data = "x"',
                 'encryption.keySafe = "x"', 'ethernet0.present = "maybe"', 'scsi0:0.fileName = "a"\nscsi0:0.present = "2"', 'displayName = "a|00b"',
                 "\n" * 200000, "x" * (9 << 20)):
        yield "line " + line[:20], (head + line + "\n").encode()


def libvirt_rows(_folder):
    def domain(inside):
        return f"<domain type='kvm'>{inside}</domain>".encode()

    def disk(source, target="<target dev='vda'/>", kind="file"):
        return f"<devices><disk type='{kind}'>{source}{target}</disk></devices>"

    for name in ("memory", "vcpu"):
        for value in ("0", "x", "-1", "9" * 30, "1.5", "", "99999999999999999"):
            yield f"{name} {value}", domain(f"<{name}>{value}</{name}>")
    for unit in ("parsec", "KKiB", "TiB"):
        yield "unit " + unit, domain(f"<memory unit='{unit}'>9999999</memory>")
    for value in ("0", "x", "5000", "9" * 20):
        yield "cores " + value, domain(f"<cpu><topology cores='{value}'/></cpu>")
    for source in ("/etc/secret", "secret.img", "source.img", "../secret.qcow2", "/dev/secret", ""):
        yield "file " + source, domain(disk(f"<source file='{source}'/>"))
    for kind, source in (("block", "<source dev='/dev/secret'/>"), ("network", "<source protocol='nbd' name='secret'/>"), ("volume", "<source volume='secret'/>"), ("dir", "<source dir='/secret'/>")):
        yield "kind " + kind, domain(disk(source, kind=kind))
    yield "no target", domain(disk("<source file='/a'/>", ""))
    yield "one target twice", domain("<devices>" + "<disk><source file='/a'/><target dev='vda'/></disk>" * 2 + "</devices>")
    yield "a boot order that is none", domain(disk("<source file='/a'/>", "<target dev='vda'/><boot order='x'/>"))
    yield "a container", b"<domain type='lxc'/>"
    yield "no end", b"<domain><name>"
    yield "no disk", domain("<name>x</name>")
    yield "too deep", b"<domain>" + b"<a>" * 500 + b"</a>" * 500 + b"</domain>"
    yield "too many", domain("<a/>" * 300000)
    for doctype in ('[<!ENTITY x SYSTEM "file:///etc/secret">]', 'SYSTEM "http://host.example/secret"', "[<!ENTITY a 'aa'>]", ""):
        yield "document type " + doctype, f"<!DOCTYPE d {doctype}><domain/>".encode()


KINDS = {"vmdk": ("source.vmdk", vmdk_rows), "vhd": ("source.vhd", vhd_rows), "vhdx": ("source.vhdx", vhdx_rows), "vdi": ("source.vdi", vdi_rows),
         "ova": ("source.ova", ova_rows), "vmx": ("source.vmx", vmx_rows), "libvirt": ("source.xml", libvirt_rows)}


def run(vm2oci, folder, source, kind):
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        command = ["strace", "-f", "-qq", "-e", "trace=%file", "-o", "trace", str(vm2oci), "convert", "--quiet", f"{kind}:{source}", "null:"]
        try:
            done = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
            seconds = resource.getrusage(resource.RUSAGE_CHILDREN)
            # strace's own time and memory are in it as well.
            os.write(writer, f"{done.returncode} {seconds.ru_utime + seconds.ru_stime} {seconds.ru_maxrss * 1024}".encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answer:
        text = answer.read()
    os.waitpid(child, 0)
    if not text:
        return None
    code, seconds, memory = text.split()
    return int(code), float(seconds), int(memory)


def main():
    vm2oci, write_foreign_disks = (pathlib.Path(argument).resolve() for argument in sys.argv[1:3])
    failures = []
    with tempfile.TemporaryDirectory(prefix="vm2oci-hostile.") as name:
        folder = pathlib.Path(name)
        subprocess.run([write_foreign_disks], cwd=folder, check=True)
        for secret in ("secret", "secret.vmdk", "secret.img"):
            (folder / secret).write_bytes(b"not to be opened" * 64)
        for kind, (source, rows) in KINDS.items():
            count = 0
            for what, content in rows(folder):
                count += 1
                (folder / source).write_bytes(content)
                result = run(vm2oci, folder, source, kind)
                trace = (folder / "trace").read_text(errors="replace")
                if result is None:
                    failures.append(f"{kind}, {what}: no end within a minute")
                    continue
                code, seconds, memory = result
                if code != 3:
                    failures.append(f"{kind}, {what}: exit status {code}")
                if seconds > SECONDS or memory > MEMORY:
                    failures.append(f"{kind}, {what}: {seconds:.1f} s, {memory >> 20} MiB")
                if re.search(r'"[^"]*(secret|host\.example)[^"]*"', trace.split("execve", 1)[-1].split("\n", 1)[-1]):
                    failures.append(f"{kind}, {what}: a file of its own choice was looked at")
            print(f"{kind}: {count} rows")
            if count < LEAST:
                failures.append(f"{kind}: only {count} rows")
    for failure in failures:
        print("FAILED:", failure)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
