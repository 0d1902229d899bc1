#include "formats/base/error.hpp"
#include "formats/oci/platform.hpp"
#include "formats/oci/select.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;

namespace {

Descriptor image_for(const std::string& architecture, const std::string& variant = "", const std::string& os = "linux",
                     const Annotations& annotations = {}) {
    return {.media_type = media_type::oci_manifest,
            .digest =
                Digest::of(os + architecture + variant + (annotations.empty() ? "" : annotations.begin()->second)),
            .annotations = annotations,
            .platform = Platform{.architecture = architecture, .os = os, .variant = variant}};
}

ImageIndex index_of(std::vector<Descriptor> images) {
    ImageIndex index;
    index.manifests = std::move(images);
    return index;
}

std::string chosen(const ImageIndex& index, const std::string& wanted, std::string_view machine = "amd64") {
    const Descriptor image = choose_manifest(index, wanted, machine);
    return image.platform ? describe_platform(*image.platform) : "none";
}

ErrorKind refusal(const ImageIndex& index, const std::string& wanted, std::string_view machine = "amd64") {
    try {
        choose_manifest(index, wanted, machine);
    } catch (const Error& error) {
        return error.kind();
    }
    FAIL("accepted " << wanted);
    return ErrorKind::io;
}

} // namespace

TEST_CASE("spellings of platforms") {
    for (const auto& [text, canonical] : std::vector<std::pair<std::string, std::string>>{
             {"x86_64", "amd64"},
             {"amd64/v1", "amd64"},
             {"amd64/v3", "amd64/v3"},
             {"aarch64", "arm64"},
             {"arm64/v8", "arm64"},
             {"arm64/8", "arm64"},
             {"aarch64/v8.0", "arm64"},
             {"arm64/v9", "arm64/v9"},
             {"armhf", "arm"},
             {"arm/v7", "arm"},
             {"arm/7", "arm"},
             {"arm/v6", "arm/v6"},
             {"armv6l", "arm/v6"},
             {"ppc64el", "ppc64le"},
             {"loongarch64", "loong64"},
             {"linux/riscv64", "riscv64"},
             {"linux/aarch64", "arm64"},
             {"linux/arm/v6", "arm/v6"},
             {"linux/x86-64/v2", "amd64/v2"},
         }) {
        INFO(text);
        const std::optional<Platform> platform = parse_platform(text);
        REQUIRE(platform);
        CHECK(architecture_text(*platform) == canonical);
    }
    for (const char* wrong : {"", "vax", "arm64/", "arm64/v8/x", "arm64/V8", "/v8", "linux", "linux/",
                              "linux/linux/arm64", "Linux/arm64", "windows/amd64", "arm64/linux/v8", "arm64/../x"}) {
        INFO(wrong);
        CHECK_FALSE(parse_platform(wrong));
    }
    CHECK_FALSE(machine_architecture().empty());
}

TEST_CASE("an index without a wish takes this machine's image") {
    const ImageIndex two = index_of({image_for("s390x"), image_for("arm64", "v8"), image_for("amd64")});
    CHECK(chosen(two, "", "amd64") == "linux/amd64");
    CHECK(chosen(two, "", "arm64") == "linux/arm64/v8");
    CHECK(chosen(two, "", "s390x") == "linux/s390x");
    CHECK(refusal(two, "", "riscv64") == ErrorKind::usage);
    CHECK_THROWS_WITH(choose_manifest(two, "", "riscv64"),
                      Catch::Contains("riscv64") &&
                          Catch::Contains("only for linux/s390x, linux/arm64/v8, linux/amd64"));
    // The only one is taken whatever it is for, unless somebody asks for another.
    const ImageIndex one = index_of({image_for("s390x")});
    CHECK(chosen(one, "", "amd64") == "linux/s390x");
    CHECK(refusal(one, "amd64") == ErrorKind::not_found);
}

TEST_CASE("spellings and variants of entries match") {
    const ImageIndex index = index_of({image_for("x86_64"), image_for("aarch64", "8"), image_for("arm", "v5"),
                                       image_for("arm", "v6"), image_for("arm64", "v9")});
    CHECK(chosen(index, "amd64") == "linux/x86_64");
    CHECK(chosen(index, "x86_64") == "linux/x86_64");
    CHECK(chosen(index, "arm64") == "linux/aarch64/8");
    CHECK(chosen(index, "arm64/v8") == "linux/aarch64/8");
    CHECK(chosen(index, "arm64/v9") == "linux/arm64/v9");
    CHECK(chosen(index, "arm") == "linux/arm/v6");
    CHECK(chosen(index, "arm/v5") == "linux/arm/v5");
    CHECK(refusal(index, "arm/v8") == ErrorKind::not_found);
    CHECK(chosen(index_of({image_for("amd64", "v4"), image_for("amd64", "v2"), image_for("s390x")}), "amd64") ==
          "linux/amd64/v2");
    CHECK(chosen(index_of({image_for("amd64", "v2"), image_for("amd64")}), "amd64") == "linux/amd64");
}

TEST_CASE("other systems are not chosen and are listed") {
    const ImageIndex index =
        index_of({image_for("amd64", "", "windows"), image_for("arm", "v7"), image_for("amd64", "", "freebsd")});
    CHECK(refusal(index, "amd64") == ErrorKind::not_found);
    CHECK_THROWS_WITH(choose_manifest(index, "amd64", "amd64"),
                      Catch::Contains("windows/amd64, linux/arm/v7, freebsd/amd64"));
    CHECK(refusal(index, "", "amd64") == ErrorKind::usage);
    const std::string escape = "evil\x1b[2J";
    CHECK_THROWS_WITH(choose_manifest(index_of({image_for(escape), image_for("arm")}), "amd64", "amd64"),
                      !Catch::Contains("\x1b"));
}

TEST_CASE("entries that are no images do not make a choice hard") {
    Descriptor attestation = image_for("amd64");
    attestation.annotations["vnd.docker.reference.type"] = "attestation-manifest";
    Descriptor foreign = image_for("amd64");
    foreign.media_type = "application/vnd.example.thing";
    const ImageIndex index =
        index_of({attestation, image_for("unknown", "", "unknown"), foreign, image_for("ppc64le")});
    CHECK(chosen(index, "", "amd64") == "linux/ppc64le");
    CHECK(refusal(index_of({attestation}), "") == ErrorKind::not_found);
}

TEST_CASE("of podman's disks the one for QEMU is taken") {
    const ImageIndex index = index_of({image_for("amd64"), image_for("x86_64", "", "linux", {{"disktype", "wsl"}}),
                                       image_for("x86_64", "", "linux", {{"disktype", "hyperv"}}),
                                       image_for("x86_64", "", "linux", {{"disktype", "qemu"}}),
                                       image_for("aarch64", "", "linux", {{"disktype", "applehv"}})});
    CHECK(choose_manifest(index, "amd64", "arm64").annotations.at("disktype") == "qemu");
    CHECK(choose_manifest(index, "", "arm64").annotations.at("disktype") == "applehv");
}

TEST_CASE("images that state no platform") {
    Descriptor plain = image_for("amd64");
    plain.platform.reset();
    Descriptor other = plain;
    other.digest = Digest::of("other");
    CHECK(chosen(index_of({plain, image_for("arm64")}), "arm64") == "linux/arm64");
    CHECK(refusal(index_of({plain, image_for("arm64")}), "amd64") == ErrorKind::not_found);
    CHECK(refusal(index_of({plain, image_for("arm64")}), "", "amd64") == ErrorKind::usage);
    CHECK(chosen(index_of({plain}), "amd64") == "none");
    CHECK(refusal(index_of({plain, other}), "") == ErrorKind::usage);
    CHECK(refusal(index_of({plain, other}), "amd64") == ErrorKind::usage);
    CHECK(chosen(index_of({plain, other, image_for("amd64")}), "") == "linux/amd64");
}
