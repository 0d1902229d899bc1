#include "formats/block/detect.hpp"
#include "tests/unit/block/qcow2_fixture.hpp"

using namespace vm2oci;
using namespace vm2oci::test;
using namespace std::string_view_literals;

namespace {

std::shared_ptr<MemoryDevice> file_with(std::uint64_t offset, std::string_view bytes, std::uint64_t size = 128 * KiB) {
    auto file = std::make_shared<MemoryDevice>(size);
    file->put(offset, bytes);
    return file;
}

} // namespace

TEST_CASE("foreign formats are named and never taken for raw") {
    struct Foreign {
        std::uint64_t offset;
        std::string_view bytes;
        std::string_view name;
    };
    const Foreign foreign = GENERATE(
        Foreign{0, "QED\0"sv, "QED"}, Foreign{0, "AFF10\r\n\0 more"sv, "AFF"},
        Foreign{0, "VMA\0\0\0\0\1\x0b"sv, "VMA (Proxmox's backup)"}, Foreign{0, "WithoutFreeSpace"sv, "Parallels"},
        Foreign{0, "WithouFreSpacExt"sv, "Parallels"}, Foreign{0, "Bochs Virtual HD Image"sv, "Bochs"},
        Foreign{0, "#!/bin/sh\n#V2.0 Format\n"sv, "cloop"}, Foreign{128 * KiB - 512, "koly"sv, "DMG"},
        Foreign{0, "LUKS\xba\xbe"sv, "LUKS-encrypted disk"}, Foreign{0, "QFI\xfb\0\0\0\1"sv, "qcow (version 1)"},
        Foreign{0, "\x1f\x8b\x08"sv, "gzip-compressed data"}, Foreign{0, "\xfd\x37zXZ\0"sv, "xz-compressed data"},
        Foreign{0, "\x28\xb5\x2f\xfd"sv, "zstd-compressed data"},
        Foreign{0, "\x02\x21\x4c\x18"sv, "lz4-compressed data of the old form"},
        Foreign{0, "\x89LZO\0\r\n\x1a\n"sv, "lzop-compressed data"}, Foreign{0, "LZIP\x01"sv, "lzip-compressed data"},
        Foreign{0, "\x1f\x9d\x90"sv, "data that compress(1) packed (.Z)"},
        Foreign{0, "\x5d\0\0\x80\0\xff\xff\xff\xff\xff\xff\xff\xff\0"sv, "lzma-compressed data"},
        Foreign{0, "\x5d\0\0\0\x04\0\0\x10\0\0\0\0\0\0"sv, "lzma-compressed data"},
        Foreign{257, "ustar"sv, "tar archive (perhaps an OVA)"}, Foreign{0, "PK\x03\x04"sv, "ZIP archive"},
        Foreign{0, "PK\x05\x06"sv, "ZIP archive"}, Foreign{0, "Rar!\x1a\x07\x00"sv, "RAR archive"},
        Foreign{0, "Rar!\x1a\x07\x01\x00"sv, "RAR archive"}, Foreign{0, "7z\xbc\xaf\x27\x1c"sv, "7z archive"},
        Foreign{0, "<?xml version='1.0'?>"sv, "XML document"},
        Foreign{0, "\x14\x20\x28\x01"sv, "binary configuration of Hyper-V (VMCX)"});
    INFO(foreign.name);
    const auto file = file_with(foreign.offset, foreign.bytes);
    const Detection detection = detect(*file);
    REQUIRE(detection.matches.size() == 1);
    CHECK(detection.matches[0].name == foreign.name);
    const Error error = error_of([&] { require_format(detection); });
    CHECK(error.kind() == ErrorKind::unsupported);
    CHECK(error.message().find(foreign.name) != std::string::npos);
    CHECK_NOTHROW(open_disk(file, declared(DiskFormat::raw)));
}

TEST_CASE("VMDKs are detected by the magic of their extents and by the text of their descriptors") {
    for (const std::string_view bytes : {"KDMV"sv, "COWD"sv, "\xbe\xba\xfe\xca\0\0\0\0"sv,
                                         "# Disk DescriptorFile\nversion=1\n"sv, "#comment\n\n  \nversion=3\n"sv})
        CHECK(require_format(detect(*file_with(0, bytes))) == DiskFormat::vmdk);
    // Edited by hand: QEMU takes them for raw disks of a few hundred bytes.
    for (const std::string_view text :
         {"CID=1\nversion=1\nparentCID=ffffffff\ncreateType=\"vmfs\"\n"sv, "\xef\xbb\xbf# Disk\nversion=1\n"sv,
          "VERSION=1\nCID=1\n"sv, "encoding=\"UTF-8\"\r\n\tCreateType = \"vmfs\"\r\nparentcid=1\r\n"sv,
          "\xff\xfev\0e\0r\0s\0i\0o\0n\0=\0001\0"sv})
        CHECK(require_format(detect(*file_with(0, text, text.size()))) == DiskFormat::vmdk);
}

TEST_CASE("VHD and VDI are detected at their beginning; a VHD that only ends like one must be called by its name") {
    CHECK(require_format(detect(*file_with(0, "conectix"))) == DiskFormat::vhd);
    CHECK(require_format(detect(*file_with(0, "vhdxfile"))) == DiskFormat::vhdx);
    CHECK(require_format(detect(*file_with(0x40, "\x7f\x10\xda\xbe"))) == DiskFormat::vdi);
    for (const std::uint64_t footer : {std::uint64_t{512}, std::uint64_t{511}}) {
        const auto file = file_with(128 * KiB - footer, "conectix");
        const Error error = error_of([&] { require_format(detect(*file)); });
        CHECK(error.kind() == ErrorKind::unsafe);
        CHECK(error.message().find("vhd:PATH") != std::string::npos);
        CHECK_NOTHROW(open_disk(file, declared(DiskFormat::raw)));
    }
}

TEST_CASE("what bears no foreign signature is raw") {
    CHECK(require_format(detect(MemoryDevice(1))) == DiskFormat::raw);
    CHECK(require_format(detect(MemoryDevice(0))) == DiskFormat::raw);
    CHECK(require_format(detect(MemoryDevice(1 * MiB))) == DiskFormat::raw);
    CHECK(require_format(detect(*file_with(510, "\x55\xaa"))) == DiskFormat::raw);
    CHECK(require_format(detect(*file_with(512, "EFI PART"))) == DiskFormat::raw);
    CHECK(require_format(detect(*file_with(0x8001, "CD001"))) == DiskFormat::raw);
    CHECK(require_format(detect(*file_with(4, "QFI\xfb"))) == DiskFormat::raw);
    CHECK(require_format(detect(*file_with(0, "# a script\nversion=9\n"))) == DiskFormat::raw);
    CHECK(require_format(detect(*file_with(0, "#only a comment"))) == DiskFormat::raw);
    CHECK(require_format(detect(*file_with(0, "createType=\"vmfs\"\n"))) == DiskFormat::raw);
    CHECK(require_format(detect(*file_with(0, "xcreateType=1\nmyparentCID=1\n"))) == DiskFormat::raw);
    CHECK(require_format(detect(*file_with(0, "\x01\ncreateType=1\nparentCID=1\n"))) == DiskFormat::raw);
    // What might be lzma, and cannot be: a dictionary of no power of two, no size, a range coder that begins otherwise.
    for (const std::string_view bytes :
         {"\x5d\0\0\x81\0\xff\xff\xff\xff\xff\xff\xff\xff\0"sv, "\x5d\0\0\x80\0\0\0\0\0\0\0\0\0\0"sv,
          "\x5d\0\0\x80\0\xff\xff\xff\xff\xff\xff\xff\xff\1"sv})
        CHECK(require_format(detect(*file_with(0, bytes))) == DiskFormat::raw);
}

TEST_CASE("qcow2 is detected by its magic alone") {
    CHECK(require_format(detect(*Qcow2Builder().device())) == DiskFormat::qcow2);
    CHECK(require_format(detect(*file_with(0, "QFI\xfb", 4))) == DiskFormat::qcow2); // the reader says what is wrong
}

TEST_CASE("bytes that are two things at once are refused") {
    Qcow2Shape shape;
    shape.cluster_bits = 16;
    Qcow2Builder builder(shape);
    SECTION("an MBR") {
        builder.put(510, "\x55\xaa");
    }
    SECTION("a GPT") {
        builder.put(512, "EFI PART");
    }
    SECTION("a GPT of a 4K disk") {
        builder.put(4096, "EFI PART");
    }
    SECTION("an ISO 9660 file system") {
        builder.put(0x8001, "CD001");
    }
    SECTION("a VHD footer") {
        builder.put(builder.end() - 512, "conectix");
    }
    SECTION("a tar header") {
        builder.put(257, "ustar");
    }
    CHECK(error_of([&] { require_format(detect(*builder.device())); }).kind() == ErrorKind::unsafe);
    CHECK_NOTHROW(open_qcow2(builder));
}

TEST_CASE("what lies behind the header's cluster of a qcow2 is the guest's, and says nothing") {
    Qcow2Shape shape;
    shape.cluster_bits = 9;
    Qcow2Builder builder(shape);
    builder.truncate(64 * KiB);
    builder.put(512, "EFI PART");
    builder.put(0x8001, "CD001");
    CHECK(require_format(detect(*builder.device())) == DiskFormat::qcow2);
}
