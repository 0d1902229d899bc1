#include "formats/block/detect.hpp"

#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"
#include "formats/base/fd.hpp"
#include "formats/block/qcow2/format.hpp"

#include <algorithm>
#include <array>
#include <string_view>

namespace vm2oci {
namespace {

using namespace std::string_view_literals;

constexpr std::size_t kHeadBytes = 64 * KiB; // up to the first volume descriptor of ISO 9660, at 32 KiB
constexpr std::size_t kTailBytes = KiB;
constexpr std::size_t kTrailerBytes = 512; // the footer of VHD and DMG
constexpr const char* kQcow2Name = "qcow2";

struct Magic {
    std::string_view bytes;
    std::size_t offset;
    const char* name;
};

// Signatures at a fixed place. Disk formats from QEMU's probes (block/*.c); archives and compressed data because people
// hand them over as they were downloaded.
constexpr std::array kMagics{
    Magic{"KDMV"sv, 0, "VMDK"},
    Magic{"COWD"sv, 0, "VMDK"},
    Magic{"# Disk DescriptorFile"sv, 0, "VMDK descriptor"},
    Magic{"vhdxfile"sv, 0, "VHDX"},
    Magic{"conectix"sv, 0, "VHD"},
    Magic{"\x7f\x10\xda\xbe"sv, 0x40, "VDI"},
    Magic{"QED\0"sv, 0, "QED"},
    Magic{"WithoutFreeSpace"sv, 0, "Parallels"},
    Magic{"WithouFreSpacExt"sv, 0, "Parallels"},
    Magic{"Bochs Virtual HD Image"sv, 0, "Bochs"},
    Magic{"#!/bin/sh\n#V2.0 Format\n"sv, 0, "cloop"},
    Magic{"LUKS\xba\xbe"sv, 0, "LUKS-encrypted disk"},
    Magic{"EVF\x09\x0d\x0a\xff\x00"sv, 0, "EWF (EnCase)"},
    Magic{"\x3a\xff\x26\xed"sv, 0, "Android sparse image"},
    Magic{"partclone-image"sv, 0, "partclone image"},
    Magic{"MSWIM\0\0\0"sv, 0, "WIM"},
    Magic{"sprs"sv, 0, "Apple sparse image"},
    Magic{"shdw"sv, 0, "Apple sparse image (ASIF)"},
    Magic{"\x1f\x8b\x08"sv, 0, "gzip-compressed data"},
    Magic{"\xfd"
          "7zXZ\0"sv,
          0, "xz-compressed data"},
    Magic{"\x28\xb5\x2f\xfd"sv, 0, "zstd-compressed data"},
    Magic{"BZh"sv, 0, "bzip2-compressed data"},
    Magic{"\x04\x22\x4d\x18"sv, 0, "lz4-compressed data"},
    Magic{"PK\x03\x04"sv, 0, "ZIP archive"},
    Magic{"7z\xbc\xaf\x27\x1c"sv, 0, "7z archive"},
    Magic{"ustar"sv, 257, "tar archive (perhaps an OVA)"},
};

bool has_at(std::string_view text, std::size_t offset, std::string_view magic) {
    return offset <= text.size() && text.substr(offset).starts_with(magic);
}

// QEMU takes a text for a VMDK descriptor if "version=N" follows comments and blank lines.
bool is_vmdk_descriptor(std::string_view head) {
    while (!head.empty()) {
        const std::size_t end = head.find('\n');
        std::string_view line = head.substr(0, end);
        if (line.ends_with('\r'))
            line.remove_suffix(1);
        const bool blank = std::ranges::all_of(line, [](char c) { return c == ' '; });
        if (!blank && !line.starts_with('#'))
            return line.starts_with("version=1") || line.starts_with("version=2") || line.starts_with("version=3");
        if (end == std::string_view::npos)
            return false;
        head.remove_prefix(end + 1);
    }
    return false;
}

void add_match(Detection& detection, std::string_view name) {
    if (std::ranges::find(detection.matches, name) == detection.matches.end())
        detection.matches.emplace_back(name);
}

void add_qcow(Detection& detection, std::string_view head) {
    if (!head.starts_with("QFI\xfb"sv))
        return;
    const bool old = has_at(head, 4, "\0\0\0\1"sv);
    add_match(detection, old ? "qcow (version 1)" : kQcow2Name);
}

// Partition tables and ISO 9660 mark a raw disk. Inside a qcow2 only its header's cluster can tell: what follows may be
// the guest's data.
void add_raw_signs(Detection& detection, std::string_view head) {
    std::size_t conclusive = head.size();
    if (head.starts_with("QFI\xfb"sv) && head.size() >= 24) {
        const auto bits = load_be<std::uint32_t>(as_bytes(head).data() + qcow2::header_offset::cluster_bits);
        if (bits >= qcow2::kMinClusterBits && bits <= qcow2::kMaxClusterBits)
            conclusive = std::min(conclusive, std::size_t{1} << bits);
    }
    head = head.substr(0, conclusive);
    if (has_at(head, 510, "\x55\xaa"sv))
        detection.raw_signs.emplace_back("a boot sector or MBR");
    if (has_at(head, 512, "EFI PART"sv) || has_at(head, 4096, "EFI PART"sv))
        detection.raw_signs.emplace_back("a GPT");
    if (has_at(head, 0x8001, "CD001"sv))
        detection.raw_signs.emplace_back("an ISO 9660 file system");
}

} // namespace

Detection detect(const BlockDevice& container) {
    const std::uint64_t size = container.size();
    std::string head(static_cast<std::size_t>(std::min<std::uint64_t>(size, kHeadBytes)), '\0');
    container.read_at(0, std::as_writable_bytes(std::span(head)));
    std::string tail(static_cast<std::size_t>(std::min<std::uint64_t>(size, kTailBytes)), '\0');
    container.read_at(size - tail.size(), std::as_writable_bytes(std::span(tail)));

    Detection detection;
    add_qcow(detection, head);
    for (const Magic& magic : kMagics)
        if (has_at(head, magic.offset, magic.bytes))
            add_match(detection, magic.name);
    if (detection.matches.empty() && is_vmdk_descriptor(head))
        add_match(detection, "VMDK descriptor");
    // The footer of a fixed VHD is 512 bytes, and 511 in files of Virtual PC before 2004.
    for (const std::size_t trailer : {kTrailerBytes, kTrailerBytes - 1})
        if (tail.size() >= trailer && has_at(tail, tail.size() - trailer, "conectix"sv))
            add_match(detection, "VHD");
    if (tail.size() >= kTrailerBytes && has_at(tail, tail.size() - kTrailerBytes, "koly"sv))
        add_match(detection, "DMG");
    add_raw_signs(detection, head);
    return detection;
}

DiskFormat require_format(const Detection& detection) {
    if (detection.matches.empty())
        return DiskFormat::raw;
    const std::string& name = detection.matches.front();
    if (detection.matches.size() > 1)
        fail(ErrorKind::unsafe, "the file looks like " + name + " and like " + detection.matches[1] +
                                    " at once; say which it is with qcow2:PATH or raw:PATH");
    if (name != kQcow2Name)
        fail(ErrorKind::unsupported, "the file looks like " + name +
                                         ", which is not read here; convert it to qcow2 first, or say raw:PATH if it "
                                         "really is a raw disk");
    if (!detection.raw_signs.empty())
        fail(ErrorKind::unsafe, "the file looks like qcow2 and bears " + detection.raw_signs.front() +
                                    " at once; say which it is with qcow2:PATH or raw:PATH");
    return DiskFormat::qcow2;
}

} // namespace vm2oci
