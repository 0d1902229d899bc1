#include "formats/base/error.hpp"
#include "formats/block/empty.hpp"
#include "tools/flows/open_source.hpp"
#include "tools/flows/reference.hpp"

#include <catch2/catch.hpp>

#include <memory>
#include <string>

using namespace vm2oci;

TEST_CASE("a reference is an image, a disk with a format, or a disk") {
    const auto disk = [](const std::string& text) { return std::get<DiskReference>(parse_reference(text)); };
    CHECK(disk("qcow2:a/b:c").path == "a/b:c");
    CHECK(disk("qcow2:a/b:c").format == DiskFormat::qcow2);
    CHECK(disk("raw:/dev/sda").format == DiskFormat::raw);
    CHECK_FALSE(disk("web 01.img").format);
    CHECK(disk("./oci:x").path == "./oci:x");
    CHECK(std::holds_alternative<ImageReference>(parse_reference("oci:images:web")));
    for (const char* nothing : {"", "raw:", "qcow2:"})
        CHECK_THROWS_AS(parse_reference(nothing), Error);
}

TEST_CASE("a backing file's format stands behind its path") {
    CHECK(parse_backing_file("base.img:raw").path == "base.img");
    CHECK(parse_backing_file("base.img:raw").format == DiskFormat::raw);
    CHECK(parse_backing_file("a:b:qcow2").path == "a:b");
    CHECK(parse_backing_file("a:vmdk").format == DiskFormat::vmdk);
    CHECK(parse_backing_file("a:vmfs").path == "a:vmfs");
    CHECK_FALSE(parse_backing_file("a:vmfs").format);
}

TEST_CASE("what belongs to one disk of a machine says its number") {
    const auto same = [](const std::string& word, std::size_t disk, const std::string& text) {
        const WordOfDisk parsed = parse_word_of_disk(word);
        return parsed.disk == disk && parsed.text == text;
    };
    CHECK(same("base.vmdk", 1, "base.vmdk"));
    CHECK(same("2=data base.vmdk:raw", 2, "data base.vmdk:raw"));
    CHECK(same("12=a=b", 12, "a=b"));
    CHECK(same("1=a", 1, "a"));
    CHECK(same("./2=a", 1, "./2=a"));
    CHECK(same("v2=a", 1, "v2=a"));
    CHECK(same("=a", 1, "=a"));
    CHECK(same("2024", 1, "2024"));
    for (const char* nothing : {"0=a", "1001=a", "99999999999999999999999=a"})
        CHECK_THROWS_WITH(parse_word_of_disk(nothing), Catch::Contains("counted from 1"));
}

TEST_CASE("another tag takes the place of tag and digest") {
    CHECK(to_string(with_tag(*parse_image_reference("oci:images:web"), "new")) == "oci:images:new");
    CHECK(to_string(with_tag(*parse_image_reference("oci-archive:a.tar"), "new")) == "oci-archive:a.tar:new");
    const std::string digest = "@sha256:" + std::string(64, 'a');
    CHECK(to_string(with_tag(*parse_image_reference("docker://r.example/a:b" + digest), "new")) ==
          "docker://r.example/a:new");
}

TEST_CASE("what works on one disk refuses a machine with several, by their names") {
    SourceMachine machine;
    for (const char* name : {"system.raw", "data.raw"})
        machine.disks.push_back({name, {std::make_shared<EmptyDevice>(512), nullptr, {}}});
    CHECK(machine.boot_disk().name == "system.raw");
    CHECK_THROWS_WITH(only_disk(machine), Catch::Contains("1 system.raw, 2 data.raw"));
    machine.disks.pop_back();
    CHECK(only_disk(machine).name == "system.raw");
}
