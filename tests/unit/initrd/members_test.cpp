// Whole initrds: archives, compressed and not, one behind the other, as dracut, initramfs-tools, mkinitcpio and
// mkinitfs lay them out.
#include "formats/initrd/members.hpp"
#include "tests/unit/initrd/initrd_fixture.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;
using test::cpio;

namespace {

// Writes down what it is told.
class Listener final : public InitrdVisitor {
  public:
    bool visit(const CpioMember& member, CpioReader& reader) override {
        told += member.path + ";";
        if (wants_content)
            told += reader.content() + ";";
        return member.path != stop_at;
    }
    void part_begins(const std::string& compression) override { told += "[" + compression + " "; }
    void part_ended(const InitrdPart& part) override {
        told += "]" + part.compression + ":" + std::to_string(part.unpacked) + " ";
    }

    std::string told;
    bool wants_content = false;
    std::string stop_at;
};

void walk(const std::string& initrd, Listener& listener) {
    visit_initrd(
        [&](std::uint64_t offset, std::size_t length) {
            return offset < initrd.size() ? initrd.substr(static_cast<std::size_t>(offset), length) : std::string();
        },
        listener);
}

std::string told_of(const std::string& initrd, bool wants_content = false) {
    Listener listener;
    listener.wants_content = wants_content;
    walk(initrd, listener);
    return listener.told;
}

std::string refusal(const std::string& initrd, ErrorKind kind = ErrorKind::corrupt) {
    return test::refusal_of([&] { told_of(initrd); }, kind);
}

std::string padded(std::string bytes, std::size_t unit) {
    bytes.resize((bytes.size() + unit - 1) / unit * unit);
    return bytes;
}

const std::string kMicrocode = cpio({{"kernel/x86/microcode/GenuineIntel.bin", "microcode"}});
const std::string kMain = cpio({{"init", "#!/bin/sh"}, {"bin", "", 040755}});

} // namespace

TEST_CASE("initrds of distributions are walked from the first archive to the last") {
    struct Row {
        const char* who;
        std::string initrd;
        std::string told;
    };
    const std::string plain = "]none:" + std::to_string(padded(kMicrocode, 512).size()) + " ";
    const std::string main = std::to_string(kMain.size());
    const std::string intel = "kernel/x86/microcode/GenuineIntel.bin;";
    const Row rows[] = {
        {"initramfs-tools without microcode", test::gzip(kMain), "[gzip init;bin;]gzip:" + main + " "},
        {"Debian 12", padded(kMicrocode, 512) + test::zstd(kMain),
         intel + plain + "[zstd init;bin;]zstd:" + main + " "},
        {"RHEL 7", padded(kMicrocode, 512) + test::gzip(kMain), intel + plain + "[gzip init;bin;]gzip:" + main + " "},
        {"SLES 12", padded(kMicrocode, 512) + test::xz(kMain), intel + plain + "[xz init;bin;]xz:" + main + " "},
        {"bzip2", test::bzip2(kMain), "[bzip2 init;bin;]bzip2:" + main + " "},
        {"SLES 11 with lzma", test::lzma_alone(kMain), "[lzma init;bin;]lzma:" + main + " "},
        {"not compressed", kMain, "init;bin;]none:" + main + " "},
        {"two compressed ones, as GRUB joins files", test::gzip(kMain) + test::xz(kMicrocode),
         "[gzip init;bin;]gzip:" + main + " [xz " + intel + "]xz:" + std::to_string(kMicrocode.size()) + " "},
        {"a plain one behind, as what adds files does", test::zstd(kMain) + std::string(3, '\0') + kMicrocode,
         "[zstd init;bin;]zstd:" + main + " " + intel + "]none:" + std::to_string(kMicrocode.size()) + " "},
    };
    for (const Row& row : rows) {
        CAPTURE(row.who);
        CHECK(told_of(row.initrd) == row.told);
        // Boot loaders fill up to pages.
        CHECK(told_of(padded(row.initrd, 4096)).substr(0, 15) == row.told.substr(0, 15));
    }
}

TEST_CASE("a part's bytes are counted with the zeros between and behind its archives") {
    const std::string both = padded(kMain, 512) + padded(kMicrocode, 1024);
    CHECK(told_of(test::gzip(both)) ==
          "[gzip init;bin;kernel/x86/microcode/GenuineIntel.bin;]gzip:" + std::to_string(both.size()) + " ");
    CHECK(told_of(both) == "init;bin;kernel/x86/microcode/GenuineIntel.bin;]none:" + std::to_string(both.size()) + " ");
    // Zeros at the very beginning belong to no part.
    CHECK(told_of(std::string(1024, '\0') + kMain) == "init;bin;]none:" + std::to_string(kMain.size()) + " ");
}

TEST_CASE("nothing, and nothing but zeros, holds nothing") {
    CHECK(told_of("").empty());
    CHECK(told_of(std::string(100000, '\0')).empty());
    CHECK(told_of(test::gzip("")) == "[gzip ]gzip:0 ");
    CHECK(told_of(test::gzip(std::string(77, '\0'))) == "[gzip ]gzip:77 ");
    CHECK(told_of(cpio({})) == "]none:124 ");
}

TEST_CASE("contents are given to who asks, and passed over else") {
    std::vector<test::CpioFile> files;
    std::string expected;
    std::string names;
    for (std::size_t length = 0; length < 9; ++length) {
        files.push_back({"f" + std::to_string(length), std::string(length, static_cast<char>('a' + length))});
        expected += files.back().name + ";" + files.back().content + ";";
        names += files.back().name + ";";
    }
    const std::string archive = cpio(files);
    CHECK(told_of(archive, true) == expected + "]none:" + std::to_string(archive.size()) + " ");
    CHECK(told_of(archive) == names + "]none:" + std::to_string(archive.size()) + " ");
    CHECK(told_of(cpio(files, "070702"), true) == expected + "]none:" + std::to_string(archive.size()) + " ");
}

TEST_CASE("names are told without what is in front of them") {
    const std::string told =
        told_of(cpio({{"./init", ""}, {"/etc/passwd", ""}, {".//x", ""}, {".", ""}, {"a/./b", ""}}));
    CHECK(told.substr(0, told.find(']')) == "init;etc/passwd;x;.;a/./b;");
}

TEST_CASE("a visitor that has heard enough is told no more, and nothing more is read") {
    Listener listener;
    listener.stop_at = "init";
    const std::string initrd = test::gzip(kMain) + std::string(3'000'000, 'x'); // which would be refused
    std::uint64_t read_to = 0;
    visit_initrd(
        [&](std::uint64_t offset, std::size_t length) {
            read_to = offset + length;
            return initrd.substr(static_cast<std::size_t>(offset), length);
        },
        listener);
    CHECK(listener.told == "[gzip init;");
    CHECK(read_to <= 1 << 20);
    // Also inside of a plain part.
    Listener other;
    other.stop_at = "init";
    walk(kMain + "garbage", other);
    CHECK(other.told == "init;");
}

TEST_CASE("bytes are asked for in order, each once, until there are none") {
    std::vector<test::CpioFile> files;
    for (unsigned i = 0; i < 30; ++i)
        files.push_back({"firmware/" + std::to_string(i), std::string(100'000, static_cast<char>('a' + i % 26))});
    const std::string initrd = cpio(files);
    Listener listener;
    std::uint64_t next = 0;
    bool ended = false;
    visit_initrd(
        [&](std::uint64_t offset, std::size_t length) {
            CHECK(offset == next);
            CHECK_FALSE(ended);
            // As little as it is: a reader may give less than it is asked for.
            std::string bytes = offset < initrd.size() ? initrd.substr(static_cast<std::size_t>(offset), length) : "";
            next += bytes.size();
            ended = bytes.empty();
            return bytes;
        },
        listener);
    CHECK(next == initrd.size());
    CHECK(listener.told.ends_with("]none:" + std::to_string(initrd.size()) + " "));
}

TEST_CASE("a magic number across the border of two reads is seen whole") {
    // The first read is a MiB; an archive ends shortly before it, and a compressed one begins there.
    for (std::size_t before = 0; before < 8; ++before) {
        CAPTURE(before);
        const std::size_t end = (1 << 20) - before;
        std::string first = cpio({{"first", std::string(end - 400, 'x')}});
        REQUIRE(first.size() <= end);
        first.resize(end);
        const std::string told = told_of(first + test::xz(kMain));
        CHECK(told == "first;]none:" + std::to_string(end) + " [xz init;bin;]xz:" + std::to_string(kMain.size()) + " ");
    }
}

TEST_CASE("what is not known is told apart from what is not read") {
    constexpr const char* kUnknown = "it is compressed in a way that is not known here";
    CHECK(refusal("what is this", ErrorKind::unsupported) == kUnknown);
    CHECK(refusal("x", ErrorKind::unsupported) == kUnknown);
    CHECK(refusal(kMain + "MZ is a signature behind it", ErrorKind::unsupported) == kUnknown);
    CHECK(refusal(test::gzip(kMain) + "\x1f", ErrorKind::unsupported) == kUnknown);
    CHECK(refusal(std::string("\x89LZO\0\r\n\x1a\n", 9), ErrorKind::unsupported) ==
          "it is compressed by lzo, which is not read");
    Listener listener;
    CHECK_THROWS_AS(walk(std::string("\x89LZO\0\r\n\x1a\n", 9), listener), Error);
    CHECK(listener.told == "[lzo ");
}

TEST_CASE("something else than archives inside of a stream is refused") {
    constexpr const char* kElse = "it holds something else than cpio archives";
    CHECK(refusal(test::gzip("an ELF file, say")) == kElse);
    CHECK(refusal(test::zstd(kMain + "tail")) == kElse);
    CHECK(refusal(test::gzip(test::gzip(kMain))) == kElse); // packed twice
    // The older form of cpio, as SUSE's of old were not either.
    CHECK(refusal(test::gzip("070707" + std::string(200, '0'))) ==
          "this is no cpio archive of the kind that the kernel reads");
    CHECK(refusal("0" + std::string(200, ' ')) == "this is no cpio archive of the kind that the kernel reads");
}

TEST_CASE("an archive that is cut anywhere is refused with what it ends in") {
    const std::string archive = cpio({{"a", "12345"}, {"folder", "", 040755}});
    for (std::size_t length = 1; length < archive.size(); ++length) {
        const std::string words = refusal(archive.substr(0, length));
        if (!words.starts_with("the cpio archive ends inside "))
            FAIL("cut at " << length << ": " << words);
    }
    CHECK(refusal(archive.substr(0, 50)) == "the cpio archive ends inside a header");
    CHECK(refusal(archive.substr(0, 111)) == "the cpio archive ends inside a name");
    CHECK(refusal(archive.substr(0, 114)) == "the cpio archive ends inside a member");
    CHECK(refusal(test::xz(archive.substr(0, 114))) == "the cpio archive ends inside a member");
}

TEST_CASE("numbers in a header that are none, and names of impossible lengths, are refused") {
    const std::string archive = cpio({{"a", "12345"}});
    for (const std::size_t field : {std::size_t{1}, std::size_t{6}, std::size_t{11}})
        for (const std::size_t digit : {std::size_t{0}, std::size_t{7}}) {
            CAPTURE(field, digit);
            std::string changed = archive;
            changed[6 + field * 8 + digit] = 'g';
            CHECK(refusal(changed) == "a header of the cpio archive is broken");
        }
    const auto with_name_size = [&](const char* digits) {
        std::string changed = archive;
        changed.replace(6 + 11 * 8, 8, digits);
        return refusal(changed + std::string(8192, 'x'));
    };
    constexpr const char* kImpossible = "a name in the cpio archive has an impossible length";
    CHECK(with_name_size("00000000") == kImpossible);
    CHECK(with_name_size("00001001") == kImpossible);
    CHECK(with_name_size("ffffffff") == kImpossible);
    CHECK(with_name_size("00001000") != kImpossible); // PATH_MAX
}

TEST_CASE("what reads the file ends the walk by what it throws") {
    Listener listener;
    CHECK_THROWS_WITH(
        visit_initrd([&](std::uint64_t, std::size_t) -> std::string { fail(ErrorKind::io, "the disk is gone"); },
                     listener),
        "the disk is gone");
    const std::string compressed = test::gzip(kMain).substr(0, 60);
    unsigned reads = 0;
    CHECK_THROWS_WITH(visit_initrd(
                          [&](std::uint64_t, std::size_t) -> std::string {
                              if (++reads > 1)
                                  fail(ErrorKind::io, "the disk is gone now");
                              return compressed;
                          },
                          listener),
                      "the disk is gone now");
}
