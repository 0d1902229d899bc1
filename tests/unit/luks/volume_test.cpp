// LUKS of both versions: what is decrypted, what a key opens, and what is refused before it costs anything.
#include "formats/block/overlay.hpp"
#include "formats/luks/cipher.hpp"
#include "formats/luks/volume.hpp"
#include "tests/support/luks_builder.hpp"

#include <catch2/catch.hpp>

#include <chrono>

using namespace vm2oci;
using namespace vm2oci::test;

namespace {

constexpr LuksEffort kLittle{100'000, 1U << 20U, 64};

LuksVolume open(const std::shared_ptr<const BlockDevice>& disk,
                std::vector<std::string_view> keys = {kLuksPassphrase}) {
    return open_luks(disk, keys, kLittle);
}

void check_content(const LuksVolume& volume) {
    REQUIRE(volume.device);
    const LuksBytes wanted = luks_pattern(kLuksSize - kLuksData, 1);
    REQUIRE(volume.device->size() == wanted.size());
    CHECK(volume.offset == kLuksData);
    LuksBytes all(wanted.size());
    volume.device->read_at(0, all);
    CHECK(all == wanted);
    // Within a sector, over its end, and over several.
    for (const auto& [offset, length] : {std::pair{5u, 7u}, {500u, 40u}, {4090u, 9000u}, {32767u, 1u}}) {
        LuksBytes part(length);
        volume.device->read_at(offset, part);
        CHECK(std::equal(part.begin(), part.end(), wanted.begin() + offset));
    }
    CHECK(volume.device->extent_at(3).kind == ExtentKind::data);
    CHECK_THROWS_AS(volume.device->read_at(wanted.size(), std::span(all).first(1)), Error);
}

std::string replaced(std::string text, const std::string& what, const std::string& with) {
    const std::size_t at = text.find(what);
    if (at == std::string::npos)
        FAIL("the test changes nothing: " + what);
    return text.replace(at, what.size(), with);
}

std::string message_of(const std::string& json) {
    try {
        return open(make_luks_2(json)).reason;
    } catch (const Error& error) {
        return error.what();
    }
}

} // namespace

TEST_CASE("both versions are decrypted, in sectors of each size") {
    check_content(open(make_luks_1()));
    for (const std::uint64_t sector : {512u, 1024u, 2048u, 4096u}) {
        INFO(sector);
        const std::string json = luks_json("{\"0\":" + luks_slot_json(luks_pbkdf2_json(3)) + "}", sector);
        check_content(open(make_luks_2(json, sector)));
        CHECK(open(make_luks_2(json, sector)).sector == sector);
    }
}

TEST_CASE("what is written is encrypted as dm-crypt does, in sectors of each size") {
    for (const std::uint64_t sector : {512u, 1024u, 2048u, 4096u}) {
        INFO(sector);
        const std::string json = luks_json("{\"0\":" + luks_slot_json(luks_pbkdf2_json(3)) + "}", sector);
        const auto disk = make_luks_2(json, sector);
        const auto overlay = std::make_shared<OverlayDevice>(disk);
        const LuksVolume volume = open(overlay);
        REQUIRE(volume.route);
        const auto changes = volume.route(overlay);
        LuksBytes wanted = luks_pattern(kLuksSize - kLuksData, 1);
        for (const auto& [offset, length] :
             {std::pair{5u, 7u}, {500u, 40u}, {4090u, 9000u}, {32767u, 1u}, {0u, 512u}, {8192u, 4096u}, {16384u, 0u}}) {
            const LuksBytes part = luks_pattern(length, offset + 77);
            changes->write_at(offset, part);
            std::copy(part.begin(), part.end(), wanted.begin() + offset);
        }
        changes->write_zeros(20000, 5000);
        std::fill_n(wanted.begin() + 20000, 5000, std::byte{0});
        LuksBytes read(wanted.size());
        volume.device->read_at(0, read);
        CHECK(read == wanted);
        // On the disk it is what the test's own encryption makes of it.
        LuksBytes stored(wanted.size());
        overlay->read_at(kLuksData, stored);
        luks_encrypt(wanted, luks_volume_key(), sector, 0);
        CHECK(stored == wanted);
        // The header is nobody's to write.
        LuksBytes before(kLuksData);
        LuksBytes after(kLuksData);
        disk->read_at(0, before);
        overlay->read_at(0, after);
        CHECK(before == after);
        CHECK_THROWS_AS(changes->write_at(kLuksSize - kLuksData - 1, std::span(read).first(2)), Error);
        CHECK_THROWS_AS(changes->write_at(~std::uint64_t{0}, std::span(read).first(2)), Error);
        CHECK_THROWS_AS(changes->discard(kLuksSize - kLuksData, 1), Error);
        // What is discarded in part is kept: the rest of its sector is still of use.
        changes->discard(1, 2 * 4096 - 1);
        overlay->read_at(kLuksData, stored);
        CHECK(std::equal(stored.begin(), stored.begin() + static_cast<std::ptrdiff_t>(sector), wanted.begin()));
        CHECK(std::all_of(stored.begin() + 4096, stored.begin() + 8192, [](std::byte b) { return b == std::byte{0}; }));
        CHECK(std::equal(stored.begin() + 8192, stored.end(), wanted.begin() + 8192));
    }
}

TEST_CASE("CBC with numbers that are encrypted is written as it is read") {
    for (const char* mode : {"cbc-essiv:sha256", "cbc-plain", "cbc-plain64", "xts-plain"}) {
        INFO(mode);
        const std::string specification = "aes-" + std::string(mode);
        const LuksBytes key = luks_pattern(specification.starts_with("aes-xts") ? 64 : 32, 9);
        const luks::SectorCipher cipher(specification, key, 512);
        LuksBytes bytes = luks_pattern(4096, 3);
        cipher.encrypt(bytes, 1000);
        CHECK(bytes != luks_pattern(4096, 3));
        cipher.decrypt(bytes, 1000);
        CHECK(bytes == luks_pattern(4096, 3));
    }
}

TEST_CASE("a slot by argon2 opens it, within what it may cost") {
    luks::Kdf kdf = luks_kdf(3);
    kdf.kind = luks::KdfKind::argon2id;
    kdf.passes = 2;
    kdf.kibibytes = 64;
    kdf.lanes = 2;
    const std::string json =
        luks_json("{\"0\":" +
                  luks_slot_json(fmt::format(R"({{"type":"argon2id","time":2,"memory":64,"cpus":2,"salt":"{}"}})",
                                             luks_base64(kdf.salt))) +
                  "}");
    const auto disk = make_luks_2(json);
    disk->put(kLuksArea, luks_area(kdf));
    check_content(open(disk));
    CHECK(message_of(replaced(json, "\"memory\":64", "\"memory\":128")).find("asks for") != std::string::npos);
    CHECK(message_of(replaced(json, "\"time\":2", "\"time\":4000000000")).find("more computing") != std::string::npos);
    CHECK(message_of(replaced(json, "\"cpus\":2", "\"cpus\":4000000000")).find("does not take") != std::string::npos);
    CHECK(message_of(replaced(json, "\"cpus\":2", "\"cpus\":0")).find("does not take") != std::string::npos);
    CHECK(message_of(replaced(json, "argon2id", "scrypt")).find("scrypt") != std::string::npos);
}

TEST_CASE("a key that does not fit is told, and the next one is tried") {
    for (const auto& disk : {make_luks_1(), make_luks_2(plain_luks_json())}) {
        CHECK(open(disk, {"wrong"}).device == nullptr);
        CHECK(open(disk, {"wrong"}).reason == "no key that was given opens it");
        CHECK(open(disk, {}).reason == "there is no key to it");
        check_content(open(disk, {"wrong", kLuksPassphrase}));
    }
}

TEST_CASE("what opens it in its machine is named where no passphrase does") {
    const auto reason = [](const std::string& tokens) {
        return open(make_luks_2(luks_json("{\"0\":" + luks_slot_json(luks_pbkdf2_json(3)) + "}", 512, tokens)), {"x"})
            .reason;
    };
    CHECK(reason(R"({"0":{"type":"clevis","keyslots":["1"]}})").find("Tang") != std::string::npos);
    CHECK(reason(R"({"0":{"type":"systemd-tpm2"},"1":{"type":"systemd-tpm2"}})").find("TPM2") != std::string::npos);
    CHECK(reason(R"({"0":{"type":"systemd-fido2"}})").find("FIDO2") != std::string::npos);
    CHECK(reason("{\"0\":{\"type\":\"new\\u001b[2J\"}}").find('\x1b') == std::string::npos);
    CHECK(reason("{}") == "no key that was given opens it");
}

TEST_CASE("of two headers the newer sound one counts") {
    const std::string stale = replaced(plain_luks_json(), "\"offset\":\"65536\"", "\"offset\":\"69632\"");
    const auto disk = make_luks_2(plain_luks_json());
    put_luks_2(*disk, 0, stale, 2);
    check_content(open(disk));
    put_luks_2(*disk, 0, plain_luks_json(), 4);
    put_luks_2(*disk, 16384, stale, 3);
    check_content(open(disk));
    SECTION("the first is damaged, or gone") {
        put_luks_2(*disk, 16384, plain_luks_json(), 3);
        disk->fill(4100, 1, 'x');
        check_content(open(disk));
        disk->fill(0, 16384, 0);
        check_content(open(disk));
    }
    SECTION("both are damaged") {
        disk->fill(4100, 1, 'x');
        disk->fill(16384 + 4100, 1, 'x');
        CHECK_THROWS_WITH(open(disk), Catch::Contains("checksum"));
    }
}

TEST_CASE("slots that are of no use hinder no other: of a reencryption, damaged, of the future, of another key") {
    for (const char* other :
         {R"({"type":"reencrypt","mode":"encrypt","key_size":1,"direction":"backward","area":{"type":"datashift"}})",
          R"({"type":"luks2"})", R"({"type":"future"})",
          R"({"type":"luks2","key_size":64,"kdf":{"type":"x","salt":""}})"})
        check_content(open(
            make_luks_2(luks_json(fmt::format("{{\"0\":{},\"1\":{}}}", luks_slot_json(luks_pbkdf2_json(3)), other)))));
    // A slot that belongs to no digest of the data.
    const std::string json = luks_json("{\"5\":" + luks_slot_json(luks_pbkdf2_json(3)) + "}");
    CHECK(open(make_luks_2(json)).device == nullptr);
}

TEST_CASE("a volume that was LUKS1 once has a digest of twenty bytes") {
    const std::string json = replaced(plain_luks_json(), luks_base64(luks_digest(32)), luks_base64(luks_digest(20)));
    check_content(open(make_luks_2(json)));
}

TEST_CASE("what is not read is refused by name") {
    const std::string json = plain_luks_json();
    for (const auto& [what, with, said] : std::vector<std::array<std::string, 3>>{
             {"\"encryption\":\"aes-xts-plain64\",\"sector_size\"",
              "\"encryption\":\"serpent-xts-plain64\",\"sector_size\"", "serpent-xts-plain64"},
             {"\"encryption\":\"aes-xts-plain64\",\"sector_size\"", "\"encryption\":\"aes-xts-benbi\",\"sector_size\"",
              "benbi"},
             {"\"encryption\":\"aes-xts-plain64\",\"sector_size\"", "\"encryption\":\"aes-adiantum\",\"sector_size\"",
              "adiantum"},
             {"\"keyslots_size\":\"32768\"", "\"requirements\":{\"mandatory\":[\"online-reencrypt-v2\"]}",
              "encrypted anew"},
             {"\"keyslots_size\":\"32768\"", "\"requirements\":{\"mandatory\":[\"opal\"]}", "opal"},
             {"\"sector_size\":512", "\"sector_size\":512,\"integrity\":{\"type\":\"hmac(sha256)\"}", "integrity"},
             {"\"type\":\"crypt\"", "\"type\":\"hw-opal\"", "hw-opal"},
             {"\"segments\":{", "\"segments\":{\"1\":{\"type\":\"crypt\",\"offset\":\"0\"},", ""},
             {"\"offset\":\"65536\"", "\"offset\":\"0\"", "apart from its header"},
             {"\"hash\":\"sha256\",\"iterations\":7,\"salt\"", "\"hash\":\"whirlpool2\",\"iterations\":7,\"salt\"",
              "whirlpool2"}}) {
        INFO(with);
        const auto disk = make_luks_2(replaced(json, what, with));
        CHECK_THROWS_WITH(open(disk), Catch::Contains(said));
    }
    // What was before a reencryption is no data.
    const std::string backup =
        replaced(json, "\"segments\":{", "\"segments\":{\"1\":{\"type\":\"crypt\",\"flags\":[\"backup-previous\"]},");
    check_content(open(make_luks_2(backup)));
}

TEST_CASE("a hostile header of LUKS2 is refused at once") {
    const auto begin = std::chrono::steady_clock::now();
    const std::string json = plain_luks_json();
    const std::string iterations = "\"iterations\":7,\"salt\"";
    for (const auto& [what, with] : std::vector<std::pair<std::string, std::string>>{
             {"\"keyslots\":{\"0\":{\"type\"", "\"keyslots\":{\"99\":{\"type\""},
             {"\"stripes\":3", "\"stripes\":4000000000"},
             {"\"stripes\":3", "\"stripes\":18446744073709551615"},
             {"\"stripes\":3", "\"stripes\":0"},
             {"\"key_size\":64", "\"key_size\":18446744073709551615"},
             {"\"key_size\":64", "\"key_size\":0"},
             {"\"size\":\"4096\"", "\"size\":\"16\""},
             {"\"offset\":\"32768\"", "\"offset\":\"18446744073709551104\""},
             {"\"offset\":\"32768\"", "\"offset\":\"-1\""},
             {iterations, "\"iterations\":4294967295,\"salt\""},
             {iterations, "\"iterations\":0,\"salt\""},
             {"\"size\":\"dynamic\"", "\"size\":\"18446744073709551104\""},
             {"\"size\":\"dynamic\"", "\"size\":\"0\""},
             {"\"offset\":\"65536\"", "\"offset\":\"18446744073709551104\""},
             {"\"offset\":\"65536\"", "\"offset\":\"16384\""},
             {"\"offset\":\"65536\"", "\"offset\":\"65537\""},
             {"\"sector_size\":512", "\"sector_size\":1"},
             {"\"sector_size\":512", "\"sector_size\":1073741824"},
             {"\"segments\":{\"0\"", "\"segments\":{\"1\""},
             {"\"keyslots\":{", "\"keyslots\":{\"a\":[],"},
             {"\"digests\":{", "\"digests\":[{"},
             {"{\"keyslots\"", std::string(5000, '[') + "{\"keyslots\""},
             {"{\"keyslots\"", "x"},
             {"\"config\"", "\"keyslots\""}}) {
        INFO(what << " -> " << with.substr(0, 60));
        std::string changed = replaced(json, what, with);
        bool is_refused = false;
        try {
            is_refused = open(make_luks_2(changed)).device == nullptr;
        } catch (const Error& error) {
            is_refused = error.kind() != ErrorKind::io && error.kind() != ErrorKind::external;
        }
        CHECK(is_refused);
    }
    CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(5));
}

TEST_CASE("a hostile header of LUKS1 is refused at once") {
    const auto begin = std::chrono::steady_clock::now();
    constexpr std::uint64_t kSlot2 = 208 + 48 * 2;
    for (const auto& [offset, value] : std::vector<std::pair<std::uint64_t, std::uint32_t>>{{104, 0},
                                                                                            {104, 1},
                                                                                            {104, 0xffffffff},
                                                                                            {108, 0},
                                                                                            {108, 0xffffffff},
                                                                                            {108, 20},
                                                                                            {164, 0},
                                                                                            {164, 0xffffffff},
                                                                                            {kSlot2, 1},
                                                                                            {kSlot2 + 4, 0},
                                                                                            {kSlot2 + 4, 0xffffffff},
                                                                                            {kSlot2 + 40, 0xffffffff},
                                                                                            {kSlot2 + 44, 0},
                                                                                            {kSlot2 + 44, 0xffffffff},
                                                                                            {8, 0x73657270},
                                                                                            {40, 0x6c727700},
                                                                                            {72, 0x78787878}}) {
        INFO(offset << " " << value);
        const auto disk = make_luks_1();
        put_be<std::uint32_t>(*disk, offset, value);
        bool is_refused = false;
        try {
            is_refused = open(disk).device == nullptr;
        } catch (const Error& error) {
            is_refused = error.kind() != ErrorKind::io && error.kind() != ErrorKind::external;
        }
        CHECK(is_refused);
    }
    CHECK_THROWS_AS(open(std::make_shared<MemoryDevice>(100)), Error);
    CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(5));
}

TEST_CASE("a header that cannot be read is an error, not damage") {
    const auto disk = make_luks_2(plain_luks_json());
    disk->fail_reads(kLuksArea, 512);
    CHECK_THROWS_WITH(open(disk), Catch::Contains("on purpose"));
}
