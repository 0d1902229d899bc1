#include "formats/block/detect.hpp"

#include "formats/base/ascii.hpp"
#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"
#include "formats/base/fd.hpp"
#include "formats/block/qcow2/format.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <string>
#include <string_view>

namespace vm2oci {
namespace {

using namespace std::string_view_literals;

constexpr std::size_t kHeadBytes = 64 * KiB; // up to the first volume descriptor of ISO 9660, at 32 KiB
constexpr std::size_t kTailBytes = KiB;
constexpr std::size_t kMaxTextBytes = 16 * KiB; // of a descriptor: two of its settings stand far before that
constexpr std::size_t kSectorBytes = 512;
constexpr std::size_t kTrailerBytes = 512; // the footer of VHD and DMG

// The smallest cluster that a qcow2 can have; with larger ones its header tells how large it is.
constexpr std::size_t kQcow2HeaderBytes = std::size_t{1} << qcow2::kMinClusterBits;

constexpr auto kConvert = "convert it to qcow2 first, with qemu-img convert -O qcow2"sv;
constexpr auto kUnwrap = "convert it to raw or qcow2 first, with the tool that made it"sv;
constexpr auto kDecompress = "decompress it first"sv;
constexpr auto kUnpack = "unpack it first, and name the disk in it"sv;
constexpr auto kUnpackMachine = "unpack it first, and name the OVA, the OVF or the disk in it"sv;
constexpr auto kNameDisk = "name the disk that it describes"sv;
constexpr auto kNameDiskOfHyperv = "name its disks (*.vhdx), the boot disk first and the others as further disks"sv;
constexpr auto kNoDisk = "get the disk itself: a server sent this in its place, to ask who you are perhaps"sv;
constexpr auto kFetchLfs = "fetch the file that it stands for first, with git lfs pull"sv;
constexpr auto kDecrypt = "decrypt it first"sv;

constexpr FormatMatch kVmdk{"VMDK"sv, ""sv, DiskFormat::vmdk};

// A row of the table of formats.
struct Magic {
    std::string_view bytes;
    std::size_t offset;
    FormatMatch match;
    // How much of the head is the format's own header, in which signs of a raw disk count: what follows may be the
    // guest's data.
    std::size_t header_bytes = kHeadBytes;
};

// Signatures at a fixed place. Disk formats from QEMU's probes (block/*.c); archives and compressed data because people
// hand them over as they were downloaded.
constexpr std::array kMagics{
    Magic{"QFI\xfb\0\0\0\1"sv, 0, {"qcow (version 1)"sv, kConvert}},
    Magic{"QFI\xfb"sv, 0, {"qcow2"sv, ""sv, DiskFormat::qcow2}, kQcow2HeaderBytes},
    Magic{"KDMV"sv, 0, kVmdk, kSectorBytes},
    Magic{"COWD"sv, 0, kVmdk, kSectorBytes},
    Magic{"\xbe\xba\xfe\xca\0\0\0\0"sv, 0, kVmdk, kSectorBytes}, // seSparse
    Magic{"# Disk DescriptorFile"sv, 0, kVmdk},
    Magic{"vhdxfile"sv, 0, {"VHDX"sv, ""sv, DiskFormat::vhdx}},
    Magic{"conectix"sv, 0, {"VHD"sv, ""sv, DiskFormat::vhd}, kSectorBytes},
    Magic{"\x7f\x10\xda\xbe"sv, 0x40, {"VDI"sv, ""sv, DiskFormat::vdi}, kSectorBytes},
    Magic{"QED\0"sv, 0, {"QED"sv, kConvert}},
    Magic{"WithoutFreeSpace"sv, 0, {"Parallels"sv, kConvert}},
    Magic{"WithouFreSpacExt"sv, 0, {"Parallels"sv, kConvert}},
    Magic{"Bochs Virtual HD Image"sv, 0, {"Bochs"sv, kConvert}},
    Magic{"#!/bin/sh\n#V2.0 Format\n"sv, 0, {"cloop"sv, kConvert}},
    Magic{"LUKS\xba\xbe"sv, 0, {"LUKS-encrypted disk"sv, kDecrypt}},
    Magic{"EVF\x09\x0d\x0a\xff\x00"sv, 0, {"EWF (EnCase)"sv, kUnwrap}},
    Magic{"\x3a\xff\x26\xed"sv, 0, {"Android sparse image"sv, kUnwrap}},
    Magic{"partclone-image"sv, 0, {"partclone image"sv, kUnwrap}},
    Magic{"AFF10\r\n\0"sv, 0, {"AFF"sv, kUnwrap}},
    Magic{"VMA\0\0\0\0\1"sv, 0, {"VMA (Proxmox's backup)"sv, kUnpack}},
    Magic{"MSWIM\0\0\0"sv, 0, {"WIM"sv, kUnpack}},
    Magic{"sprs"sv, 0, {"Apple sparse image"sv, kUnwrap}},
    Magic{"shdw"sv, 0, {"Apple sparse image (ASIF)"sv, kUnwrap}},
    Magic{"\x1f\x8b\x08"sv, 0, {"gzip-compressed data"sv, kDecompress}},
    Magic{"\xfd\x37zXZ\0"sv, 0, {"xz-compressed data"sv, kDecompress}},
    Magic{"\x28\xb5\x2f\xfd"sv, 0, {"zstd-compressed data"sv, kDecompress}},
    Magic{"BZh"sv, 0, {"bzip2-compressed data"sv, kDecompress}},
    Magic{"\x04\x22\x4d\x18"sv, 0, {"lz4-compressed data"sv, kDecompress}},
    Magic{"\x02\x21\x4c\x18"sv, 0, {"lz4-compressed data of the old form"sv, kDecompress}},
    Magic{"\x89LZO\0\r\n\x1a\n"sv, 0, {"lzop-compressed data"sv, kDecompress}},
    Magic{"LZIP\x01"sv, 0, {"lzip-compressed data"sv, kDecompress}},
    Magic{"\x1f\x9d\x90"sv, 0, {"data that compress(1) packed (.Z)"sv, kDecompress}},
    Magic{"PK\x03\x04"sv, 0, {"ZIP archive"sv, kUnpackMachine}},
    Magic{"PK\x05\x06"sv, 0, {"ZIP archive"sv, kUnpackMachine}}, // an empty one
    Magic{"PK\x07\x08"sv, 0, {"ZIP archive"sv, kUnpackMachine}}, // a part of one
    Magic{"Rar!\x1a\x07"sv, 0, {"RAR archive"sv, kUnpackMachine}},
    Magic{"7z\xbc\xaf\x27\x1c"sv, 0, {"7z archive"sv, kUnpackMachine}},
    Magic{"version https://git-lfs."sv, 0, {"Git LFS pointer"sv, kFetchLfs}},
    Magic{"<?xml"sv, 0, {kXmlDocument, kNameDisk}},
    // Hyper-V's configurations and saved states since 2016 (HyperVStorage).
    Magic{"\x14\x20\x28\x01"sv, 0, {"binary configuration of Hyper-V (VMCX)"sv, kNameDiskOfHyperv}},
    Magic{"ustar"sv, 257, {"tar archive (perhaps an OVA)"sv, kUnpackMachine}},
};

bool has_at(std::string_view text, std::size_t offset, std::string_view magic) {
    return offset <= text.size() && text.substr(offset).starts_with(magic);
}

// The first line that says something begins so in every descriptor that QEMU takes, and in those that people have
// edited.
std::string_view first_setting(std::string_view text) {
    while (!text.empty()) {
        const std::string_view line = text.substr(0, text.find('\n'));
        const std::size_t begin = line.find_first_not_of(" \t\r");
        if (begin != std::string_view::npos && line[begin] != '#')
            return line.substr(begin);
        text.remove_prefix(std::min(line.size() + 1, text.size()));
    }
    return {};
}

// As a line's first word, whatever the case of its letters.
bool has_setting(std::string_view lower, std::string_view key) {
    for (std::size_t at = lower.find(key); at != std::string_view::npos; at = lower.find(key, at + 1)) {
        const std::size_t before = at == 0 ? std::string_view::npos : lower.find_last_not_of(" \t\r", at - 1);
        const std::size_t behind = lower.find_first_not_of(" \t", at + key.size());
        if ((before == std::string_view::npos || lower[before] == '\n') && behind != std::string_view::npos &&
            lower[behind] == '=')
            return true;
    }
    return false;
}

// QEMU takes a text for a VMDK descriptor if "version=N" follows comments and blank lines. One that has another order,
// a byte order mark or 16 bits a letter is none to it, and would become a disk of a few hundred bytes: whoever reads
// VMDKs says what is wrong with it.
bool is_vmdk_descriptor(std::string_view head) {
    std::string text(head.substr(0, kMaxTextBytes));
    if (text.starts_with("\xff\xfe") || text.starts_with("\xfe\xff"))
        std::erase(text, '\0');
    text = to_lower_ascii(std::string_view(text).substr(0, text.find('\0')));
    const std::size_t begin = text.find_first_not_of("\xef\xbb\xbf\xff\xfe");
    const std::string_view lower = std::string_view(text).substr(std::min(begin, text.size()));
    const std::string_view first = first_setting(lower);
    if (first.starts_with("version=1") || first.starts_with("version=2") || first.starts_with("version=3"))
        return true;
    const auto is_text = [](char c) {
        return static_cast<unsigned char>(c) >= 0x20 || c == '\t' || c == '\r' || c == '\n';
    };
    return std::ranges::all_of(lower, is_text) && has_setting(lower, "createtype") && has_setting(lower, "parentcid");
}

// The form before xz has no magic: properties as every writer chooses them, a dictionary of a power of two, a size that
// is possible or not said, and the first byte of its range coder, which is 0.
bool is_lzma_alone(std::string_view head) {
    constexpr std::size_t header_bytes = 13;
    if (head.size() <= header_bytes || head[0] != '\x5d' || head[header_bytes] != '\0')
        return false;
    const auto dictionary = load_le<std::uint32_t>(as_bytes(head).data() + 1);
    const auto size = load_le<std::uint64_t>(as_bytes(head).data() + 5);
    constexpr std::uint32_t smallest = 1U << 16;
    return std::has_single_bit(dictionary) && dictionary >= smallest &&
           (size == ~std::uint64_t{0} || (size != 0 && size < 64 * TiB));
}

bool is_web_page(std::string_view head) {
    constexpr std::size_t looked_at = 256;
    constexpr std::size_t longest = 14; // of what is looked for
    const std::size_t begin = head.substr(0, looked_at).find_first_not_of("\xef\xbb\xbf \t\r\n");
    const std::string lower = to_lower_ascii(head.substr(std::min(begin, head.size()), longest));
    return lower.starts_with("<!doctype html") || lower.starts_with("<html>") || lower.starts_with("<html ");
}

void add_match(Detection& detection, const FormatMatch& match) {
    if (std::ranges::find(detection.matches, match.name, &FormatMatch::name) == detection.matches.end())
        detection.matches.push_back(match);
}

// Magics may begin alike: the longest says what it is.
bool is_shadowed(const Magic& magic, std::string_view head) {
    return std::ranges::any_of(kMagics, [&](const Magic& other) {
        return other.offset == magic.offset && other.bytes.size() > magic.bytes.size() &&
               other.bytes.starts_with(magic.bytes) && has_at(head, other.offset, other.bytes);
    });
}

// Where the header ends and the guest's data may begin.
std::size_t header_end(const Magic& magic, std::string_view head) {
    if (magic.match.format != DiskFormat::qcow2 || head.size() < qcow2::header_offset::cluster_bits + 4)
        return magic.header_bytes;
    const auto bits = load_be<std::uint32_t>(as_bytes(head).data() + qcow2::header_offset::cluster_bits);
    const bool possible = bits >= qcow2::kMinClusterBits && bits <= qcow2::kMaxClusterBits;
    return possible ? std::size_t{1} << bits : kHeadBytes;
}

// Partition tables and ISO 9660 mark a raw disk.
void add_raw_signs(Detection& detection, std::string_view head) {
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
    std::size_t conclusive = head.size();
    for (const Magic& magic : kMagics)
        if (has_at(head, magic.offset, magic.bytes) && !is_shadowed(magic, head)) {
            add_match(detection, magic.match);
            conclusive = std::min(conclusive, header_end(magic, head));
        }
    if (detection.matches.empty() && is_vmdk_descriptor(head))
        add_match(detection, kVmdk);
    if (detection.matches.empty() && is_web_page(head))
        add_match(detection, {"web page (HTML)"sv, kNoDisk});
    if (detection.matches.empty() && is_lzma_alone(head))
        add_match(detection, {"lzma-compressed data"sv, kDecompress});
    // The footer of a fixed VHD is 512 bytes, and 511 in files of Virtual PC before 2004.
    for (const std::size_t trailer : {kTrailerBytes, kTrailerBytes - 1})
        if (tail.size() >= trailer && has_at(tail, tail.size() - trailer, "conectix"sv))
            add_match(detection, {"VHD"sv, ""sv, DiskFormat::vhd, true});
    if (tail.size() >= kTrailerBytes && has_at(tail, tail.size() - kTrailerBytes, "koly"sv))
        add_match(detection, {"DMG"sv, kConvert});
    add_raw_signs(detection, std::string_view(head).substr(0, conclusive));
    return detection;
}

DiskFormat require_format(const Detection& detection) {
    constexpr auto kSayWhich = "; say which it is, with raw:PATH or qcow2:PATH";
    if (detection.matches.empty())
        return DiskFormat::raw;
    const FormatMatch& match = detection.matches.front();
    if (detection.matches.size() > 1)
        fail(ErrorKind::unsafe, fmt::format("the file looks like {} and like {} at once{}", match.name,
                                            detection.matches[1].name, kSayWhich));
    if (match.by_tail && match.format)
        fail(ErrorKind::unsafe,
             fmt::format("the file ends like a fixed {0}, and so may a raw disk; say {1}:PATH for the "
                         "disk without that end, or raw:PATH for all of it",
                         match.name, to_string(*match.format)));
    if (!match.format)
        fail(ErrorKind::unsupported, fmt::format("the file looks like {}, which is not read here; {}, or say raw:PATH "
                                                 "if it really is a raw disk",
                                                 match.name, match.advice));
    if (!detection.raw_signs.empty())
        fail(ErrorKind::unsafe, fmt::format("the file looks like {} and bears {} at once{}", match.name,
                                            detection.raw_signs.front(), kSayWhich));
    return *match.format;
}

} // namespace vm2oci
