#include "formats/base/error.hpp"
#include "formats/oci/reference.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;

namespace {

const std::string kHex(64, 'a');

RegistryReference registry(const std::string& text) {
    return std::get<RegistryReference>(parse_image_reference(text).value());
}

ErrorKind refusal(const std::string& text) {
    try {
        parse_image_reference(text);
    } catch (const Error& error) {
        return error.kind();
    }
    FAIL("accepted: " << text);
    return ErrorKind::io;
}

} // namespace

TEST_CASE("layouts and archives: the first colon ends the path") {
    CHECK(parse_image_reference("oci:dir") == ImageReference(LayoutReference{"dir", std::nullopt}));
    CHECK(parse_image_reference("oci:/a/b.c:v1") == ImageReference(LayoutReference{"/a/b.c", "v1"}));
    CHECK(parse_image_reference("oci:dir:registry.example:5000/disk:v1") ==
          ImageReference(LayoutReference{"dir", "registry.example:5000/disk:v1"}));
    CHECK(parse_image_reference("oci-archive:a.tar:x--y") == ImageReference(ArchiveReference{"a.tar", "x--y"}));
    CHECK(parse_image_reference("oci-archive:a.tar") == ImageReference(ArchiveReference{"a.tar", std::nullopt}));
    CHECK(parse_image_reference("null:") == ImageReference(NullReference{}));
    CHECK(parse_image_reference("oci:a/b@sha256:" + kHex) == ImageReference(LayoutReference{"a/b", "sha256:" + kHex}));
    CHECK(parse_image_reference("oci-archive:b.tar@sha256:" + kHex) ==
          ImageReference(ArchiveReference{"b.tar", "sha256:" + kHex}));
    CHECK(parse_image_reference("oci:a@sha256:v1") == ImageReference(LayoutReference{"a@sha256", "v1"}));
    for (const char* wrong :
         {"oci:", "oci::v1", "oci:dir:", "oci:dir:-a", "oci:dir:a-", "oci:dir:a---b", "oci:dir:a..b", "oci:dir:a b",
          "oci:dir:a//b", "oci:C:\\x", "oci-archive:", "null:x", "oci:dir:a\xc3\xa9"})
        CHECK(refusal(wrong) == ErrorKind::usage);
}

TEST_CASE("disks are no image references") {
    for (const char* disk : {"disk.qcow2", "qcow2:a", "raw:a", "", "oci", "/oci:x", "./oci:x", "OCI:x", "nullx"})
        CHECK(parse_image_reference(disk) == std::nullopt);
}

TEST_CASE("stores that only skopeo knows are named with the line that helps") {
    for (const char* text : {"docker-archive:a.tar", "docker-archive:/x/a.tar:web:1", "dir:/x", "docker-daemon:web:1",
                             "containers-storage:localhost/web", "containers-storage:[overlay@/x]web"}) {
        INFO(text);
        CHECK(refusal(text) == ErrorKind::unsupported);
        CHECK_THROWS_WITH(parse_image_reference(text), Catch::Contains("skopeo copy ") && Catch::Contains(text));
    }
    CHECK_THROWS_WITH(parse_image_reference("dir:a b"), Catch::Contains("skopeo copy 'dir:a b' oci:DIR:TAG"));
    for (const char* disk : {"./dir:x", "directory:x", "DIR:x"})
        CHECK(parse_image_reference(disk) == std::nullopt);
}

TEST_CASE("registries") {
    CHECK(registry("docker://registry.example/team/disk:v1") ==
          RegistryReference{"registry.example", 0, "team/disk", "v1", {}});
    CHECK(registry("docker://localhost/disk") == RegistryReference{"localhost", 0, "disk", "latest", {}});
    CHECK(registry("docker://localhost:5000/disk:1") == RegistryReference{"localhost", 5000, "disk", "1", {}});
    CHECK(registry("docker://host:5000/a/b/c") == RegistryReference{"host", 5000, "a/b/c", "latest", {}});
    CHECK(registry("docker://127.0.0.1:5000/d__e--f.g") ==
          RegistryReference{"127.0.0.1", 5000, "d__e--f.g", "latest", {}});
    CHECK(registry("docker://[::1]:5000/disk") == RegistryReference{"[::1]", 5000, "disk", "latest", {}});
    CHECK(registry("docker://[::1]/disk") == RegistryReference{"[::1]", 0, "disk", "latest", {}});
    CHECK(registry("docker://docker.io/debian:12") == RegistryReference{"docker.io", 0, "library/debian", "12", {}});
    CHECK(registry("docker://r.example/disk@sha256:" + kHex) ==
          RegistryReference{"r.example", 0, "disk", "", Digest::parse("sha256:" + kHex)});
    CHECK(registry("docker://r.example:5000/disk:v1@sha256:" + kHex) ==
          RegistryReference{"r.example", 5000, "disk", "v1", Digest::parse("sha256:" + kHex)});
    CHECK(registry("docker://r.example/disk:" + std::string(128, 'x')).tag.size() == 128);
}

TEST_CASE("what a registry would not take is refused here") {
    for (const std::string& wrong : {std::string("docker:x"),
                                     std::string("docker://"),
                                     std::string("docker://host"),
                                     std::string("docker:///x"),
                                     std::string("docker://team/disk"),
                                     std::string("docker://r.example/"),
                                     std::string("docker://r.example/Disk"),
                                     std::string("docker://r.example/a//b"),
                                     std::string("docker://r.example/a/"),
                                     std::string("docker://r.example/-a"),
                                     std::string("docker://r.example/a___b"),
                                     std::string("docker://r.example/a..b"),
                                     std::string("docker://r.example/a._b"),
                                     std::string("docker://r.example/../b"),
                                     std::string("docker://r.example:0/a"),
                                     std::string("docker://r.example:65536/a"),
                                     std::string("docker://r.example:/a"),
                                     std::string("docker://r.example:5x/a"),
                                     std::string("docker://-r.example/a"),
                                     std::string("docker://user@r.example/a"),
                                     std::string("docker://user:pw@r.example/a"),
                                     std::string("docker://r.example/a:"),
                                     std::string("docker://r.example/a:.x"),
                                     "docker://r.example/a:" + std::string(129, 'x'),
                                     std::string("docker://r.example/a@sha256:12"),
                                     std::string("docker://r.example/a@"),
                                     "docker://r.example/a:@sha256:" + kHex,
                                     "docker://r.example/a@sha256:" + kHex + ":v1",
                                     "docker://r.example/" + std::string(250, 'a'),
                                     std::string("docker://[::1/a"),
                                     std::string("docker://[]/a"),
                                     std::string("docker://r.example/a?b"),
                                     std::string("docker://r..example/a")}) {
        INFO(wrong);
        CHECK(refusal(wrong) == ErrorKind::usage);
    }
}

TEST_CASE("a reference prints as it is parsed") {
    for (const std::string& text :
         {std::string("oci:dir"), std::string("oci:a/b:c:d"), std::string("oci-archive:x.tar:v"), std::string("null:"),
          std::string("docker://localhost:5000/a/b:v1"), "docker://r.example/a@sha256:" + kHex,
          "docker://r.example/a:v1.2@sha256:" + kHex, "oci:a:v1@sha256:" + kHex, "oci:a:sha256:" + kHex}) {
        CHECK(to_string(parse_image_reference(text).value()) == text);
    }
    CHECK(to_string(parse_image_reference("docker://docker.io/debian").value()) ==
          "docker://docker.io/library/debian:latest");
}
