#include "formats/base/error.hpp"
#include "formats/base/fd.hpp"
#include "formats/oci/layer_writer.hpp"
#include "formats/oci/memory_store.hpp"
#include "formats/tree/tar.hpp"
#include "tests/support/small_disk.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tools/flows/convert.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <fstream>
#include <sstream>
#include <stdexcept>

using namespace vm2oci;
namespace fs = std::filesystem;

namespace {

std::string text_of(const fs::path& path) {
    std::ostringstream text;
    text << std::ifstream(path, std::ios::binary).rdbuf();
    return text.str();
}

void write_text(const fs::path& path, const std::string& text) {
    std::ofstream(path, std::ios::binary) << text;
}

// A container image with a program and one package, and what converting it stands on.
struct Bench {
    test::TemporaryFolder folder{};
    std::shared_ptr<MemoryStore> image = std::make_shared<MemoryStore>();
    std::shared_ptr<MemoryStore> made = std::make_shared<MemoryStore>();
    unsigned destinations = 0;
    ConvertRequest request{};

    Bench() {
        MemoryDestination destination(image);
        LayerWriter layer(destination, CompressionSpec{Compression::gzip, 1}, {});
        const auto add = [&](const std::string& path, const std::string& text) {
            Entry entry;
            entry.path = path;
            entry.status.permissions = 0755;
            entry.status.size = text.size();
            layer.write(as_bytes(tar_header(entry) + text + std::string(tar_padding(text.size()), '\0')));
        };
        add("bin/app", "a program");
        add("var/lib/dpkg/status", "Package: app\nStatus: install ok installed\nVersion: 1.5\nArchitecture: amd64\n");
        add("etc/os-release", "ID=debian\nVERSION_ID=12\nPRETTY_NAME=\"Debian of an image\"\n");
        layer.write(std::vector<std::byte>(kTarEndSize));
        ImageContents contents;
        contents.layers.push_back(layer.finish());
        contents.entrypoint = {"/bin/app"};
        ImageOptions options;
        options.architecture = "amd64";
        destination.publish(assemble_image(options, contents, destination));
        write_text(folder.path() / "kernel", test::elf_head() + std::string(4096, 'k'));
        write_text(folder.path() / "agent", "the agent");
        request.source_name = "the image";
        request.destination_name = "the result";
        request.source = ImageReference(LayoutReference{"nowhere", "app"});
        request.image.created = 7;
    }

    ConvertEngine engine() {
        ConvertEngine engine;
        engine.open_container = [this](auto&&...) {
            ContainerSource source;
            source.images = std::make_unique<MemorySource>(image);
            source.image = read_image(*source.images, "");
            source.image.verifier =
                std::make_shared<ContentVerifier>(source.image.parsed_manifest, source.image.config);
            return std::optional(std::move(source));
        };
        engine.open_machine = [](auto&&...) -> SourceMachine { throw std::logic_error("no machine is asked for"); };
        engine.open_destination = [this](auto&&...) {
            ++destinations;
            return std::make_unique<MemoryDestination>(made, "web");
        };
        return engine;
    }

    void run() { convert(request, engine(), {}); }
    void to_kata(const char* name) {
        request.destination = DiskReference{(folder.path() / name).string(), std::nullopt};
        request.shape = KataRequest{folder.path() / "agent"};
    }
    BundleRequest to_bundle() {
        request.destination = ImageReference(LayoutReference{"nowhere", "web"});
        BundleRequest bundle;
        bundle.kernel = KernelOrigin::file;
        bundle.kernel_file = folder.path() / "kernel";
        return bundle;
    }
};

} // namespace

TEST_CASE("a container image becomes Kata's files, twice the same, with its packages") {
    Bench bench;
    bench.request.sbom = bench.folder.path() / "s.json";
    for (const char* name : {"first", "second"}) {
        bench.to_kata(name);
        bench.run();
    }
    const fs::path first = bench.folder.path() / "first";
    const fs::path second = bench.folder.path() / "second";
    for (const char* name : {"kata-containers.img", "kata-containers-initrd.img"}) {
        INFO(name);
        const std::string bytes = text_of(first / name);
        CHECK_FALSE(bytes.empty());
        CHECK(bytes == text_of(second / name));
    }
    CHECK(text_of(first / "50-vm2oci.toml").find((first / "kata-containers.img").string()) != std::string::npos);
    CHECK(text_of(bench.request.sbom).find("Debian of an image") != std::string::npos);
    CHECK(nlohmann::json::parse(text_of(bench.request.sbom)).dump().find("\"1.5\"") != std::string::npos);
}

TEST_CASE("a bundle of a container image can tell of its packages") {
    Bench bench;
    bench.request.shape = bench.to_bundle();
    bench.request.sbom = bench.folder.path() / "s.json";
    bench.run();
    CHECK(text_of(bench.request.sbom).find("\"1.5\"") != std::string::npos);
    CHECK_NOTHROW(read_image(*std::make_unique<MemorySource>(bench.made, "web"), ""));
}

TEST_CASE("what a container image has not is refused before anything is written") {
    Bench bench;
    SECTION("a kernel of its own") {
        BundleRequest bundle = bench.to_bundle();
        bundle.kernel = KernelOrigin::guest;
        bench.request.shape = bundle;
        CHECK_THROWS_WITH(bench.run(), Catch::Contains("brings no kernel"));
    }
    SECTION("an initramfs of its own") {
        BundleRequest bundle = bench.to_bundle();
        bundle.initramfs = InitramfsChoice::none;
        bench.request.shape = bundle;
        CHECK_THROWS_AS(bench.run(), Error);
    }
    SECTION("a guest that is changed") {
        bench.request.shape = bench.to_bundle();
        bench.request.edits.sysprep = {"machine-id"};
        CHECK_THROWS_WITH(bench.run(), Catch::Contains("belong into the image"));
    }
    SECTION("a host name, in a guest image for Kata") {
        bench.to_kata("kata");
        bench.request.edits.hostname = "web";
        CHECK_THROWS_WITH(bench.run(), Catch::Contains("belong into the image"));
        CHECK_FALSE(fs::exists(bench.folder.path() / "kata"));
    }
    CHECK_THROWS_AS(MemorySource(bench.made, "web").resolve(), Error);
}
