#include "formats/base/error.hpp"
#include "formats/base/fd.hpp"
#include "formats/initrd/decoders.hpp"
#include "formats/initrd/lz4_literals.hpp"
#include "libconvert/edit/initrd.hpp"
#include "libconvert/edit/plan_edits.hpp"
#include "libconvert/edit/planners.hpp"
#include "tests/support/memory_guest.hpp"
#include "tests/support/packed.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;
using vm2oci::test::gzip;
using vm2oci::test::MemoryGuest;

namespace {

class TextSink final : public ByteSink {
  public:
    void write(std::span<const std::byte> bytes) override {
        text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    }
    std::string text;
};

std::string archive(const std::vector<std::pair<std::string, std::string>>& files) {
    TextSink sink;
    CpioWriter writer(sink);
    for (const auto& [path, content] : files) {
        if (path.ends_with("/"))
            writer.add_folder(path.substr(0, path.size() - 1), 0755);
        else
            writer.add_file(path, 0644, content);
    }
    writer.finish();
    return sink.text;
}

std::vector<std::pair<std::string, std::string>> members(const std::string& text) {
    MemoryStream stream(as_bytes(text));
    CpioReader reader(stream);
    std::vector<std::pair<std::string, std::string>> all;
    while (const auto member = reader.next())
        all.emplace_back(member->path, reader.content());
    return all;
}

std::string member(const std::string& text, const std::string& path) {
    for (const auto& [name, content] : members(text))
        if (name == path)
            return content;
    return "(absent)";
}

const std::vector<std::pair<std::string, std::string>> kInitramfsTools = {
    {"conf/", ""},
    {"conf/initramfs.conf", ""},
    {"conf/modules", "dm_mod"},
    {"scripts/", ""},
    {"scripts/functions", ""},
    {"usr/", ""},
    {"usr/lib/", ""},
    {"usr/lib/modules/", ""},
    {"usr/lib/modules/6.1/", ""},
    {"usr/lib/modules/6.1/modules.dep", ""},
    {"usr/lib/modules/6.1/kernel/", ""},
    {"usr/lib/modules/6.1/kernel/virtio.ko", "already"}};

MemoryGuest kernel_guest(const std::string& initrd) {
    MemoryGuest guest;
    guest.symlink("/lib", "usr/lib")
        .file(
            "/usr/lib/modules/6.1/modules.dep",
            "kernel/virtio.ko:\nkernel/virtio_pci.ko: kernel/virtio.ko kernel/virtio_ring.ko\nkernel/virtio_ring.ko:\n"
            "kernel/virtio-blk.ko: kernel/virtio.ko\nkernel/virtio_scsi.ko:\nkernel/sd_mod.ko:\nkernel/other.ko:\n")
        .file("/usr/lib/modules/6.1/modules.builtin", "kernel/net/virtio_net.ko\n")
        .file("/boot/initrd.img-6.1", initrd);
    for (const char* name : {"virtio", "virtio_pci", "virtio_ring", "virtio-blk", "virtio_scsi", "sd_mod", "other"})
        guest.file(std::string("/usr/lib/modules/6.1/kernel/") + name + ".ko", std::string("ELF ") + name);
    return guest;
}

EditPlan mend(const MemoryGuest& guest) {
    EditRequest request;
    request.fixes = select_fixes("virtio");
    return plan_edits(guest, {}, request);
}

// `bytes` outlive it.
InitrdRead source_of(const std::string& bytes) {
    return [&](std::uint64_t offset, std::size_t length) { return bytes.substr(offset, length); };
}

std::string unpacked_lz4(const std::string& bytes) {
    MemoryStream input(as_bytes(bytes));
    const Decoder decoder = make_decoder(as_bytes(bytes), input);
    REQUIRE(decoder.name == "lz4");
    std::string out;
    for (auto ready = decoder.stream->available(); !ready.empty(); ready = decoder.stream->available()) {
        out += as_text(ready);
        decoder.stream->consume(ready.size());
    }
    return out;
}

Initrd read_bytes(const std::string& bytes) {
    return read_initrd(source_of(bytes));
}

} // namespace

TEST_CASE("cpio archives are aligned, deterministic and read back") {
    const std::string first = archive({{"a/", ""}, {"a/b", "123"}, {"a/c", ""}});
    CHECK(first.size() % 4 == 0);
    CHECK(first == archive({{"a/", ""}, {"a/b", "123"}, {"a/c", ""}}));
    CHECK(members(first) == std::vector<std::pair<std::string, std::string>>{{"a", ""}, {"a/b", "123"}, {"a/c", ""}});
    CHECK(first.substr(0, 6) == "070701");
    CHECK(first.find("\0\0\0"
                     "070701",
                     0, 9) != std::string::npos);
    CHECK_THROWS_AS(members(first.substr(0, first.size() - 130)), Error);
    CHECK_THROWS_AS(members("070701" + std::string(104, 'z')), Error);
}

TEST_CASE("An initrd is read through all of its archives") {
    const std::string early = archive({{"kernel/", ""}, {"kernel/x86", "microcode"}});
    const Initrd initrd = read_bytes(early + std::string(512, '\0') + gzip(archive(kInitramfsTools)));
    CHECK(initrd.kind == InitrdKind::initramfs_tools);
    CHECK(initrd.names.contains("kernel/x86"));
    CHECK(initrd.files.at("conf/modules") == "dm_mod");
    CHECK_FALSE(initrd.lz4_size);
    CHECK_FALSE(initrd.was_extended);
    CHECK_THROWS_AS(read_bytes("no archive at all"), Error);
    CHECK(read_bytes(archive({{"usr/", ""}, {"usr/lib/", ""}, {"usr/lib/dracut/", ""}})).kind == InitrdKind::dracut);
    CHECK(read_bytes(archive({{"init_functions", ""}, {"config", ""}})).kind == InitrdKind::mkinitcpio);
}

TEST_CASE("Modules are looked for no further than it takes") {
    const std::string first =
        archive({{"lib/modules/1/kernel/virtio-blk.ko.xz", "x"}, {"lib/modules/1/sd_mod.ko", ""}});
    const std::string bytes = first + archive({{"lib/modules/1/virtio_pci.ko", ""}});
    CHECK(initrd_has_modules(source_of(bytes), {}));
    CHECK(initrd_has_modules(source_of(bytes), {"virtio_blk", "virtio_pci"}));
    CHECK_FALSE(initrd_has_modules(source_of(bytes), {"virtio_blk", "virtio_scsi"}));
    const std::string cut = first + "070701 and no more";
    CHECK(initrd_has_modules(source_of(cut), {"virtio_blk", "sd_mod"}));
    CHECK_THROWS_AS(initrd_has_modules(source_of(cut), {"virtio_pci"}), Error);
}

TEST_CASE("Missing virtio drivers are put behind the initrd with all that they need") {
    const std::string initrd = gzip(archive(kInitramfsTools)) + '\0';
    const EditPlan plan = mend(kernel_guest(initrd));
    REQUIRE_FALSE(plan.edits.empty());
    const Edit& edit = plan.edits[0];
    REQUIRE(edit.kind == EditKind::append_file);
    CHECK(edit.path == "/boot/initrd.img-6.1");
    const std::size_t padding = edit.content.find("070701");
    CHECK((initrd.size() + padding) % 4 == 0);
    const std::string added = edit.content.substr(padding);
    CHECK(member(added, "usr/lib/modules/6.1/kernel/virtio_pci.ko") == "ELF virtio_pci");
    CHECK(member(added, "usr/lib/modules/6.1/kernel/virtio_ring.ko") == "ELF virtio_ring");
    CHECK(member(added, "usr/lib/modules/6.1/kernel/virtio-blk.ko") == "ELF virtio-blk");
    CHECK(member(added, "usr/lib/modules/6.1/kernel/virtio.ko") == "(absent)");
    CHECK(member(added, "usr/lib/modules/6.1/kernel/other.ko") == "(absent)");
    CHECK(member(added, "usr/lib") == "(absent)");
    CHECK(member(added, "conf/modules") == "dm_mod\nvirtio_pci\nvirtio_blk\nvirtio_scsi\nsd_mod\n");
    const std::string dependencies = member(added, "usr/lib/modules/6.1/modules.dep");
    CHECK(dependencies.find("kernel/virtio_pci.ko: kernel/virtio.ko kernel/virtio_ring.ko\n") != std::string::npos);
    CHECK(dependencies.find("other") == std::string::npos);
    CHECK(plan.findings.at(0).text.find("virtio_blk") != std::string::npos);
    CHECK(mend(kernel_guest(initrd + edit.content)).edits.empty());
}

TEST_CASE("What is put behind LZ4 is LZ4, and a part of one stream with it") {
    // Sizes around those where a length takes another byte, and more than a block.
    for (const std::size_t size : {0u, 1u, 14u, 15u, 16u, 269u, 270u, 271u, 9'000'000u}) {
        const std::string bytes(size, 'x');
        CHECK(unpacked_lz4(lz4_of_literals(bytes)) == bytes);
        CHECK(unpacked_lz4(lz4_of_literals(bytes) + lz4_of_literals("more")) == bytes + "more");
    }
    const std::string unpacked = archive(kInitramfsTools) + std::string(510, '\0');
    const std::string initrd = lz4_of_literals(unpacked);
    CHECK(read_bytes(initrd).lz4_size == unpacked.size());
    const EditPlan plan = mend(kernel_guest(initrd));
    REQUIRE_FALSE(plan.edits.empty());
    REQUIRE(plan.edits[0].kind == EditKind::append_file);
    const std::string& content = plan.edits[0].content;
    // Nothing between the two: older kernels would take it for the size of a block.
    CHECK(content.starts_with(kLegacyLz4));
    const std::string whole = initrd + content;
    const std::string both = unpacked_lz4(whole);
    CHECK(both.starts_with(unpacked));
    const std::string rest = both.substr(unpacked.size());
    CHECK((unpacked.size() + rest.find("070701")) % 4 == 0);
    CHECK(member(rest.substr(rest.find("070701")), "usr/lib/modules/6.1/kernel/virtio_pci.ko") == "ELF virtio_pci");
    CHECK(mend(kernel_guest(whole)).edits.empty());
}

TEST_CASE("An initrd that has the drivers, or whose kernel has them built in, stays") {
    auto files = kInitramfsTools;
    for (const char* name : {"virtio_pci", "virtio_blk", "virtio_scsi", "sd_mod"})
        files.push_back({std::string("usr/lib/modules/6.1/kernel/") + name + ".ko.xz", ""});
    CHECK(mend(kernel_guest(gzip(archive(files)))).edits.empty());
    MemoryGuest built_in = kernel_guest(gzip(archive(kInitramfsTools)));
    built_in.file("/usr/lib/modules/6.1/modules.builtin",
                  "kernel/virtio_pci.ko\nkernel/virtio_blk.ko\nkernel/virtio_scsi.ko\nkernel/sd_mod.ko\n");
    CHECK(mend(built_in).edits.empty());
}

TEST_CASE("dracut gets a hook, an unknown initrd is told and left") {
    const std::string dracut =
        archive({{"usr/", ""}, {"usr/lib/", ""}, {"usr/lib/dracut/", ""}, {"usr/lib/dracut/hooks/", ""}});
    const EditPlan plan = mend(kernel_guest(gzip(dracut)));
    REQUIRE_FALSE(plan.edits.empty());
    const std::string& content = plan.edits[0].content;
    CHECK_THAT(member(content.substr(content.find("070701")), "usr/lib/dracut/hooks/pre-udev/01-vm2oci-drivers.sh"),
               Catch::Contains("virtio_pci virtio_blk"));
    const EditPlan unknown = mend(kernel_guest(gzip(archive({{"init", "x"}}))));
    CHECK(unknown.edits.empty());
    CHECK(unknown.findings.size() == 2);
    const EditPlan broken = mend(kernel_guest("garbage"));
    CHECK(broken.edits.empty());
    CHECK(broken.findings.size() == 1);
}

TEST_CASE("modprobe's index holds every module under its name") {
    ModuleDependencies dependencies =
        parse_module_dependencies("kernel/a-b.ko: kernel/c.ko\nkernel/c.ko:\nkernel/ab.ko.xz:\n");
    const std::string index = format_module_index(dependencies);
    CHECK(index.substr(0, 8) == std::string("\xb0\x07\xf4\x57\x00\x02\x00\x01", 8));
    // Walks the file as libkmod does.
    const auto number = [&](std::size_t at) {
        std::uint32_t value = 0;
        for (std::size_t i = 0; i < 4; ++i)
            value = value << 8 | static_cast<unsigned char>(index.at(at + i));
        return value;
    };
    const auto find = [&](const std::string& name) -> std::string {
        std::uint32_t place = number(8);
        for (std::size_t i = 0;; ++i) {
            std::size_t at = place & 0x0fffffff;
            const bool children = (place & 0x20000000) != 0;
            const unsigned first = children ? static_cast<unsigned char>(index.at(at)) : 1;
            const unsigned last = children ? static_cast<unsigned char>(index.at(at + 1)) : 0;
            if (i == name.size()) {
                if ((place & 0x40000000) == 0)
                    return "";
                at += children ? 2 + 4 * (last - first + 1) : 0;
                return number(at) == 1 ? std::string(index.c_str() + at + 8) : "";
            }
            const unsigned letter = static_cast<unsigned char>(name[i]);
            if (letter < first || letter > last)
                return "";
            place = number(at + 2 + 4 * (letter - first));
            if (place == 0)
                return "";
        }
    };
    CHECK(find("a_b") == "kernel/a-b.ko: kernel/c.ko");
    CHECK(find("c") == "kernel/c.ko:");
    CHECK(find("ab") == "kernel/ab.ko.xz:");
    CHECK(find("a") == "");
    CHECK(find("zz") == "");
}

TEST_CASE("Initrds of mkinitcpio that are made later have the drivers by the way that its version knows") {
    for (const bool folder : {true, false}) {
        MemoryGuest guest = kernel_guest("");
        guest.remove("/boot/initrd.img-6.1")
            .file("/usr/lib/modules/6.1/pkgbase", "linux-lts\n")
            .file("/boot/initramfs-linux-lts.img", archive({{"init_functions", ""}, {"config", ""}}))
            .file("/etc/mkinitcpio.conf", "MODULES=(vmw_pvscsi)");
        if (folder)
            guest.folder("/etc/mkinitcpio.conf.d");
        const EditPlan plan = mend(guest);
        const auto written = [&](const std::string& path) {
            for (const Edit& edit : plan.edits)
                if (edit.path == path && edit.kind == EditKind::write_file)
                    return edit.content;
            return std::string();
        };
        const std::string line = "MODULES+=(virtio_pci virtio_blk virtio_scsi sd_mod virtio_net)\n";
        CHECK(written("/etc/mkinitcpio.conf.d/zz-vm2oci.conf") == (folder ? "# Written by vm2oci.\n" + line : ""));
        CHECK(written("/etc/mkinitcpio.conf") == (folder ? "" : "MODULES=(vmw_pvscsi)\n" + line));
    }
}
