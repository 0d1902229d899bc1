#include "formats/base/endian.hpp"
#include "formats/base/fd.hpp"
#include "formats/tree/seed_iso.hpp"

#include <catch2/catch.hpp>

#include <map>

using namespace vm2oci;

namespace {

std::string text_at(const std::vector<std::byte>& image, std::size_t offset, std::size_t length) {
    REQUIRE(offset + length <= image.size());
    return std::string(as_text(std::span(image).subspan(offset, length)));
}

// The files of the root directory that the volume descriptor in `sector` names, as a reader of ECMA-119 finds them.
std::map<std::string, std::string> files_of(const std::vector<std::byte>& image, std::size_t sector) {
    const std::size_t root = load_le<std::uint32_t>(image.data() + sector * 2048 + 156 + 2);
    CHECK(load_be<std::uint32_t>(image.data() + sector * 2048 + 156 + 6) == root);
    std::map<std::string, std::string> files;
    for (std::size_t at = root * 2048; image[at] != std::byte{0}; at += static_cast<std::size_t>(image[at])) {
        const auto name_length = static_cast<std::size_t>(image[at + 32]);
        const std::string name = text_at(image, at + 33, name_length);
        const std::size_t extent = load_le<std::uint32_t>(image.data() + at + 2);
        const std::size_t length = load_be<std::uint32_t>(image.data() + at + 14);
        if (image[at + 25] == std::byte{0})
            files[name] = text_at(image, extent * 2048, length);
    }
    return files;
}

std::string ucs2(std::string_view text) {
    std::string result;
    for (const char c : text)
        result += std::string(1, '\0') + c;
    return result;
}

} // namespace

TEST_CASE("a seed holds its files under the names that cloud-init looks for, in both directories") {
    SeedFiles files{"#cloud-config\n", "instance-id: x\n", "version: 2\n", std::nullopt};
    const auto image = make_seed_iso(files);
    CHECK(image.size() % 2048 == 0);
    CHECK(text_at(image, 16 * 2048, 7) == std::string("\1CD001\1", 7));
    CHECK(text_at(image, 17 * 2048, 7) == std::string("\2CD001\1", 7));
    CHECK(text_at(image, 18 * 2048, 7) == std::string("\xff"
                                                      "CD001\1",
                                                      7));
    CHECK(text_at(image, 16 * 2048 + 40, 8) == "cidata  ");
    CHECK(load_le<std::uint32_t>(image.data() + 16 * 2048 + 80) * 2048 == image.size());
    const std::map<std::string, std::string> primary = {
        {"meta-data;1", files.meta_data}, {"network-config;1", "version: 2\n"}, {"user-data;1", files.user_data}};
    CHECK(files_of(image, 16) == primary);
    const std::map<std::string, std::string> joliet = {{ucs2("meta-data"), files.meta_data},
                                                       {ucs2("network-config"), "version: 2\n"},
                                                       {ucs2("user-data"), files.user_data}};
    CHECK(files_of(image, 17) == joliet);
}

TEST_CASE("files of every size are whole, and an empty one is a file") {
    for (const std::size_t size : {0U, 1U, 2047U, 2048U, 2049U, 100000U}) {
        const std::string content(size, 'x');
        const auto image = make_seed_iso({content, "m", std::nullopt, content});
        CHECK(files_of(image, 16).at("user-data;1") == content);
        CHECK(files_of(image, 16).at("vendor-data;1") == content);
        CHECK(files_of(image, 16).at("meta-data;1") == "m");
    }
}

TEST_CASE("the same files give the same bytes, and the instance follows the user-data") {
    const SeedFiles files{"a", "b", std::nullopt, std::nullopt};
    CHECK(make_seed_iso(files) == make_seed_iso(files));
    CHECK(default_meta_data("a") == default_meta_data("a"));
    CHECK(default_meta_data("a") != default_meta_data("b"));
    const auto disk = make_seed_disk(files);
    CHECK(disk->size() == make_seed_iso(files).size());
    std::byte label[6];
    disk->read_at(16 * 2048 + 40, label);
    CHECK(as_text(label) == "cidata");
}
