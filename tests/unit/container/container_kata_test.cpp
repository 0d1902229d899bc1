#include "formats/base/error.hpp"
#include "formats/base/fd.hpp"
#include "formats/oci/layer_writer.hpp"
#include "formats/oci/memory_store.hpp"
#include "formats/tree/tar.hpp"
#include "libconvert/container/container_guest.hpp"
#include "libconvert/container/container_kata.hpp"
#include "libconvert/inspect/package_database.hpp"
#include "libconvert/package/image_assembly.hpp"
#include "libconvert/source/content_verifier.hpp"
#include "tests/support/temporary_folder.hpp"

#include <catch2/catch.hpp>
#include <elf.h>

#include <cstring>
#include <fstream>
#include <map>

using namespace vm2oci;

namespace {

struct Member {
    std::string path;
    FileType type = FileType::regular;
    std::string text{}; // or the target of a link
};

// An image of one layer, with what reading it takes.
class Image {
  public:
    explicit Image(const std::vector<Member>& members) : source_(store_) {
        MemoryDestination destination(store_);
        LayerWriter layer(destination, CompressionSpec{Compression::gzip, 1}, {});
        for (const Member& member : members) {
            Entry entry;
            entry.path = member.path;
            entry.status.type = member.type;
            entry.status.permissions = member.type == FileType::directory ? 0755 : 0644;
            if (member.type == FileType::symlink)
                entry.link_target = member.text;
            if (member.type == FileType::regular)
                entry.status.size = member.text.size();
            layer.write(as_bytes(tar_header(entry)));
            if (member.type == FileType::regular)
                layer.write(as_bytes(member.text + std::string(tar_padding(member.text.size()), '\0')));
        }
        layer.write(std::vector<std::byte>(kTarEndSize));
        ImageContents contents;
        contents.layers.push_back(layer.finish());
        ImageOptions options;
        options.architecture = "amd64";
        destination.publish(assemble_image(options, contents, destination));
        content_ = read_image(source_, "");
        content_.verifier = std::make_shared<ContentVerifier>(content_.parsed_manifest, content_.config);
    }

    PreparedKata kata(const std::filesystem::path& agent) {
        KataOptions options;
        options.agent = agent;
        options.time = 7;
        PreparedKata prepared = prepare_container_kata(source_, content_, options, operation_);
        content_.verifier->finish(operation_);
        return prepared;
    }
    OpenedGuest guest() { return guest_of_container(std::make_shared<ContainerFiles>(source_, content_, operation_)); }

  private:
    std::shared_ptr<MemoryStore> store_ = std::make_shared<MemoryStore>();
    MemorySource source_;
    ImageContent content_;
    OperationContext operation_;
};

struct TextSink final : ByteSink {
    void write(std::span<const std::byte> bytes) override { text += as_text(bytes); }
    std::string text;
};

struct Seen final : TreeSink {
    void add(const Entry& entry, const FileContent* content) override {
        TextSink sink;
        if (content != nullptr)
            content->copy_to(sink);
        files[entry.path] = {entry, sink.text};
    }
    std::map<std::string, std::pair<Entry, std::string>> files;
};

Seen tree_of(const PreparedKata& prepared) {
    Seen seen;
    prepared.tree->export_tree(seen, {});
    return seen;
}

std::filesystem::path write(const test::TemporaryFolder& folder, const std::string& name, const std::string& bytes) {
    std::ofstream(folder.path() / name, std::ios::binary) << bytes;
    return folder.path() / name;
}

// A program of which nothing but its header is there.
std::string elf_program(std::uint16_t machine, const std::string& interpreter = "") {
    Elf64_Ehdr header{};
    std::memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = ELFCLASS64;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    header.e_ident[EI_VERSION] = EV_CURRENT;
    header.e_type = ET_EXEC;
    header.e_machine = machine;
    header.e_version = EV_CURRENT;
    header.e_ehsize = sizeof header;
    header.e_phentsize = sizeof(Elf64_Phdr);
    header.e_phoff = sizeof header;
    header.e_phnum = interpreter.empty() ? 0 : 1;
    std::string bytes(reinterpret_cast<const char*>(&header), sizeof header);
    if (interpreter.empty())
        return bytes;
    Elf64_Phdr segment{};
    segment.p_type = PT_INTERP;
    segment.p_offset = sizeof header + sizeof segment;
    segment.p_filesz = interpreter.size() + 1;
    bytes.append(reinterpret_cast<const char*>(&segment), sizeof segment);
    return bytes + interpreter + '\0';
}

} // namespace

TEST_CASE("an image without anything gets what a sandbox needs") {
    const test::TemporaryFolder folder;
    Image image({{"hello", FileType::regular, "a program"}});
    const Seen seen = tree_of(image.kata(write(folder, "agent", "the agent")));
    CHECK(seen.files.at("sbin/init").second == "the agent");
    CHECK(seen.files.at("sbin/init").first.status.permissions == 0755);
    CHECK(seen.files.at("hello").second == "a program");
    for (const char* place : {"proc", "sys", "dev", "run", "tmp"})
        CHECK(seen.files.at(place).first.status.type == FileType::directory);
    CHECK(seen.files.at("tmp").first.status.permissions == 01777);
    CHECK(seen.files.at("etc/resolv.conf").first.status.type == FileType::regular);
    CHECK(seen.files.count("usr/bin/kata-agent") == 0);
}

TEST_CASE("links of an image are followed on the way, and what is replaced stays whole under its other names") {
    const test::TemporaryFolder folder;
    Image image({{"usr/sbin", FileType::directory},
                 {"sbin", FileType::symlink, "usr/sbin"},
                 {"bin/busybox", FileType::regular, "busybox"},
                 {"usr/sbin/init", FileType::symlink, "../../bin/busybox"},
                 {"etc/resolv.conf", FileType::symlink, "../run/systemd/resolve/stub-resolv.conf"},
                 {"tmp", FileType::directory}});
    const Seen seen = tree_of(image.kata(write(folder, "agent", "the agent")));
    CHECK(seen.files.at("sbin").first.status.type == FileType::symlink);
    CHECK(seen.files.at("usr/sbin/init").second == "the agent");
    CHECK(seen.files.at("bin/busybox").second == "busybox");
    // Nothing can be mounted on a link.
    CHECK(seen.files.at("etc/resolv.conf").first.status.type == FileType::regular);
    CHECK(seen.files.at("tmp").first.status.permissions == 0755); // the image's own
}

TEST_CASE("a file that is there to be mounted on stays, and systemd gets a unit") {
    const test::TemporaryFolder folder;
    Image image({{"usr/lib/systemd/systemd", FileType::regular, "x"},
                 {"sbin/init", FileType::symlink, "../usr/lib/systemd/systemd"},
                 {"etc/resolv.conf", FileType::regular, "nameserver 192.0.2.1\n"}});
    const Seen seen = tree_of(image.kata(write(folder, "agent", "the agent")));
    CHECK(seen.files.at("usr/bin/kata-agent").second == "the agent");
    CHECK(seen.files.at("sbin/init").first.status.type == FileType::symlink);
    CHECK(seen.files.at("etc/resolv.conf").second == "nameserver 192.0.2.1\n");
    CHECK(seen.files.at("etc/systemd/system/systemd-udevd.service").first.link_target == "/dev/null");
    CHECK(seen.files.at("etc/systemd/system/kata-agent.service").second.find("ExecStart=/usr/bin/kata-agent") !=
          std::string::npos);
}

TEST_CASE("an agent that cannot run in the image is refused") {
    const test::TemporaryFolder folder;
    const std::string loader = "/lib64/ld-linux-x86-64.so.2";
    Image bare({{"hello", FileType::regular, "x"}});
    CHECK_NOTHROW(bare.kata(write(folder, "static", elf_program(EM_X86_64))));
    Image again({{"hello", FileType::regular, "x"}});
    CHECK_THROWS_WITH(again.kata(write(folder, "arm", elf_program(EM_AARCH64))),
                      Catch::Contains("another architecture"));
    CHECK_THROWS_WITH(again.kata(write(folder, "linked", elf_program(EM_X86_64, loader))), Catch::Contains(loader));
    Image with_loader({{"lib64/ld-linux-x86-64.so.2", FileType::regular, "x"}});
    CHECK_NOTHROW(with_loader.kata(write(folder, "linked", elf_program(EM_X86_64, loader))));
}

TEST_CASE("the packages of an image are those of its databases") {
    Image image(
        {{"var/lib/dpkg/status.d/base", FileType::regular, "Package: base-files\nVersion: 12.4\nArchitecture: amd64\n"},
         {"etc/os-release", FileType::symlink, "../usr/lib/os-release"},
         {"usr/lib/os-release", FileType::regular, "ID=debian\nVERSION_ID=12\n"}});
    const OpenedGuest guest = image.guest();
    REQUIRE(guest.guest);
    const PackageDatabase database = read_package_database(*guest.guest, PackageLicenses::read);
    REQUIRE(database.packages.size() == 1);
    CHECK(database.packages.front().name == "base-files");
    CHECK(guest.guest->read_file("/etc/os-release", 100) == "ID=debian\nVERSION_ID=12\n");
    CHECK(guest.guest->read_range("/etc/os-release", 3, 6) == "debian");
    CHECK(guest.guest->list("/var/lib") == std::vector<std::string>{"dpkg"});
    CHECK_FALSE(guest.guest->status("/nothing", FinalLink::follow));
}
