// What the JSON of a LUKS2 header says, member by member (LUKS2 On-Disk Format Specification 1.1.2), and where its
// copies may lie.
#include "formats/luks/header.hpp"
#include "tests/support/luks_builder.hpp"
#include "tests/support/refusal.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

using namespace vm2oci;
using namespace vm2oci::test;
using nlohmann::json;
using Pointer = json::json_pointer;

namespace {

json document() {
    return json::parse(plain_luks_json());
}

// One member of the header, and what it becomes; nothing where it is gone.
struct Change {
    const char* path;
    const char* value;
};

json changed(const Change& change) {
    json made = document();
    const Pointer at(change.path);
    if (std::string(change.value).empty())
        made[at.parent_pointer()].erase(at.back());
    else
        made[at] = json::parse(change.value);
    return made;
}

luks::Header header_of(const json& made) {
    return luks::read_header_2(*make_luks_2(made.dump()));
}

std::string said_of(const Change& change) {
    return refusal_of([&] { return header_of(changed(change)); });
}

} // namespace

TEST_CASE("a header of LUKS2 as cryptsetup writes it says what is needed to open it") {
    const luks::Header header = header_of(document());
    CHECK(header.version == 2);
    CHECK(header.cipher == "aes-xts-plain64");
    CHECK(header.sector == 512);
    CHECK(header.offset == kLuksData);
    CHECK(header.size == kLuksSize - kLuksData);
    CHECK(header.first_number == 0);
    CHECK(header.tokens.empty());
    CHECK(header.unreadable_slots.empty());
    CHECK(header.digest.slots == std::vector<std::uint32_t>{0, 1});
    CHECK(header.digest.kdf.hash == "sha256");
    CHECK(header.digest.kdf.iterations == 7);
    CHECK(header.digest.digest.size() == 32);
    REQUIRE(header.slots.size() == 1);
    const luks::KeySlot& slot = header.slots[0];
    CHECK(slot.number == 0);
    CHECK(slot.key_size == 64);
    CHECK(slot.area_key_size == 64);
    CHECK(slot.area_cipher == "aes-xts-plain64");
    CHECK(slot.area_offset == kLuksArea);
    CHECK(slot.stripes == kLuksStripes);
    CHECK(slot.stripe_hash == "sha256");
    CHECK(slot.priority == 1);
    CHECK(slot.kdf.kind == luks::KdfKind::pbkdf2);
}

TEST_CASE("each member of a header that is wrong is refused in a sentence") {
    struct Row {
        Change change;
        const char* said;
    };
    const Row rows[] = {
        {{"/config", ""}, "corrupt: its header has no config"},
        {{"/config", "[]"}, "corrupt: its header has no config"},
        {{"/config/requirements", R"({"mandatory":["offline-reencrypt"]})"},
         "unsupported: it is being encrypted anew, and that has not ended; let the machine finish it"},
        {{"/config/requirements", R"({"mandatory":["online-reencrypt"]})"},
         "unsupported: it is being encrypted anew, and that has not ended; let the machine finish it"},
        {{"/config/requirements", R"({"mandatory":[]})"}, "accepted"},
        {{"/config/requirements", R"({"optional":["future"]})"}, "accepted"},
        {{"/segments", ""}, "corrupt: its header has no segments"},
        {{"/segments", "{}"}, "corrupt: it has no segment with data"},
        {{"/segments/0", "7"}, "corrupt: a segment of it is damaged"},
        {{"/segments/1", R"({"type":"linear","offset":"65536","size":"dynamic"})"},
         "unsupported: it consists of several segments, as while it is encrypted anew"},
        {{"/segments/0/flags", R"(["backup-final"])"}, "corrupt: it has no segment with data"},
        {{"/segments/0/flags", R"(["in-reencryption"])"}, "accepted"},
        {{"/segments/0/sector_size", "256"}, "corrupt: its sectors have an impossible size"},
        {{"/segments/0/sector_size", "1536"}, "corrupt: its sectors have an impossible size"},
        {{"/segments/0/sector_size", "8192"}, "corrupt: its sectors have an impossible size"},
        {{"/segments/0/sector_size", "4096"}, "accepted"},
        {{"/segments/0/offset", "\"66000\""}, "corrupt: its sectors have an impossible size"},
        {{"/segments/0/offset", "\"\""}, "corrupt: its segment has no number as its offset"},
        {{"/segments/0/offset", "\"65536 \""}, "corrupt: its segment has no number as its offset"},
        {{"/segments/0/offset", "\"+65536\""}, "corrupt: its segment has no number as its offset"},
        {{"/segments/0/offset", "\"18446744073709551616\""}, "corrupt: its segment has no number as its offset"},
        {{"/segments/0/iv_tweak", "\"x\""}, "corrupt: its segment has no number as its iv_tweak"},
        {{"/segments/0/size", "\"dynamics\""}, "corrupt: its segment has no number as its size"},
        {{"/keyslots", ""}, "corrupt: its header has no keyslots"},
        {{"/keyslots", "[]"}, "corrupt: its header has no keyslots"},
        {{"/keyslots", "{}"}, "accepted"},
        {{"/keyslots/0", "null"}, "corrupt: one of its slots for keys is damaged"},
        {{"/digests", ""}, "corrupt: its header has no digests"},
        {{"/digests/0", "\"\""}, "corrupt: a digest of its keys is damaged"},
        {{"/digests/0/segments", "[\"1\"]"}, "corrupt: nothing says which key its data has"},
        {{"/digests/0/digest", "\"AAAAAAAAAAAAAAAAAAAA\""}, "corrupt: a digest of its keys is damaged"},
        {{"/digests/0/digest", "\"AAAAAAAAAAAAAAAAAAAAAA==\""}, "accepted"}, // sixteen bytes
        {{"/digests/0/digest", "\"?\""}, "corrupt: a digest of its keys has no bytes as its digest"},
        {{"/digests/0/keyslots", "[\"32\"]"}, "corrupt: its header numbers something by no number"},
        {{"/digests/0/keyslots", "[\"31\"]"}, "accepted"},
        {{"/digests/0/keyslots", "[\"\"]"}, "corrupt: its header numbers something by no number"},
        {{"/digests/0/keyslots", "[\"1x\"]"}, "corrupt: its header numbers something by no number"},
        {{"/digests/0/type", "\"scrypt\""}, "unsupported: its keys are made by 'scrypt', which is not known"},
    };
    for (const Row& row : rows) {
        CAPTURE(row.change.path, row.change.value);
        CHECK(said_of(row.change) == row.said);
    }
    // Of a digest only PBKDF2 is known.
    json argon = document();
    argon["digests"]["0"].update({{"type", "argon2id"}, {"time", 1}, {"memory", 64}, {"cpus", 1}});
    CHECK(refusal_of([&] { return header_of(argon); }) == "corrupt: a digest of its keys is damaged");
}

TEST_CASE("a slot that is not understood is remembered, and why") {
    struct Row {
        Change change;
        const char* said; // "" where it is of no use, but understood
    };
    const Row rows[] = {
        {{"/keyslots/0/type", "\"reencrypt\""}, ""},
        {{"/keyslots/0/area/type", "\"journal\""}, ""},
        {{"/keyslots/0/kdf", ""}, "a slot for keys has no kdf"},
        {{"/keyslots/0/area", ""}, "a slot for keys has no area"},
        {{"/keyslots/0/af", ""}, "a slot for keys has no af"},
        {{"/keyslots/0/kdf/type", "\"argon2d\""}, "its keys are made by 'argon2d', which is not known"},
        {{"/keyslots/0/kdf/salt", "\"?\""}, "a slot for keys has no bytes as its salt"},
        {{"/keyslots/0/area/offset", "\"0x8000\""}, "a slot for keys has no number as its offset"},
        {{"/keyslots/0/area/size", "\"511\""},
         "one of its slots for keys is damaged"}, // three keys of 64 bytes: a sector
        {{"/keyslots/0/af/stripes", "0"}, "one of its slots for keys is damaged"},
        {{"/keyslots/0/af/stripes", "16385"}, "one of its slots for keys is damaged"},
        {{"/keyslots/0/key_size", "0"}, "one of its slots for keys is damaged"},
        {{"/keyslots/0/key_size", "513"}, "one of its slots for keys is damaged"},
        {{"/keyslots/0/area/key_size", "0"}, "one of its slots for keys is damaged"},
        {{"/keyslots/0/area/key_size", "513"}, "one of its slots for keys is damaged"},
    };
    for (const Row& row : rows) {
        CAPTURE(row.change.path, row.change.value);
        const luks::Header header = header_of(changed(row.change));
        CHECK(header.slots.empty());
        const std::string said = row.said;
        CHECK(header.unreadable_slots == (said.empty() ? std::vector<std::string>{} : std::vector<std::string>{said}));
    }
    CHECK(header_of(changed({"/keyslots/0/area/size", "\"512\""})).slots.size() == 1);
    CHECK(header_of(changed({"/keyslots/0/key_size", "512"})).slots.size() == 1);
}

TEST_CASE("slots are tried by their priority, and in their order where it is one") {
    json made = document();
    const json slot = made["keyslots"]["0"];
    const auto with = [&](const char* name, const char* priority) {
        made["keyslots"][name] = slot;
        if (*priority != 0)
            made["keyslots"][name]["priority"] = json::parse(priority);
    };
    with("1", "0");
    with("2", "2");
    with("3", "");
    with("4", "18446744073709551615");
    std::vector<std::uint32_t> order;
    for (const luks::KeySlot& each : header_of(made).slots)
        order.push_back(each.number);
    CHECK(order == std::vector<std::uint32_t>{2, 4, 0, 3, 1});
}

TEST_CASE("there are at most 32 slots, and as many tokens are named") {
    json made = document();
    for (int i = 1; i < 32; ++i)
        made["keyslots"][std::to_string(i)] = made["keyslots"]["0"];
    CHECK(header_of(made).slots.size() == 32);
    made["keyslots"]["32"] = made["keyslots"]["0"];
    CHECK(refusal_of([&] { return header_of(made); }) == "corrupt: it has more slots for keys than there can be");

    json tokens = document();
    for (int i = 0; i < 40; ++i)
        tokens["tokens"][std::to_string(i)] = {{"type", "clevis"}};
    CHECK(header_of(tokens).tokens.size() == 32);
    tokens["tokens"] = json::array({1, 2});
    CHECK(header_of(tokens).tokens.empty());
}

TEST_CASE("an argon2 slot says what it costs") {
    json made = document();
    made["keyslots"]["0"]["kdf"] = {{"type", "argon2i"}, {"time", 4}, {"memory", 65536}, {"cpus", 2}, {"salt", "AAAA"}};
    const luks::Kdf kdf = header_of(made).slots.at(0).kdf;
    CHECK(kdf.kind == luks::KdfKind::argon2i);
    CHECK(kdf.passes == 4);
    CHECK(kdf.kibibytes == 65536);
    CHECK(kdf.lanes == 2);
    CHECK(kdf.salt.size() == 3);
    made["keyslots"]["0"]["kdf"]["type"] = "argon2id";
    CHECK(header_of(made).slots.at(0).kdf.kind == luks::KdfKind::argon2id);
    made["keyslots"]["0"]["kdf"]["memory"] = std::uint64_t{1} << 32U;
    CHECK(header_of(made).unreadable_slots.size() == 1);
}

TEST_CASE("a fixed size of the data is rounded to its sectors, and one that reaches beyond the disk is refused") {
    const auto size_of = [](const std::string& size, int sector) {
        json made = document();
        made["segments"]["0"]["size"] = size;
        made["segments"]["0"]["sector_size"] = sector;
        return header_of(made).size;
    };
    CHECK(size_of("8191", 512) == 7680);
    CHECK(size_of("8191", 4096) == 4096);
    CHECK(size_of("32768", 4096) == 32768);
    CHECK_THROWS_AS(size_of("33280", 512), Error);
}

TEST_CASE("each place that the specification gives the second copy is looked at, and no other") {
    for (std::uint64_t size = 16384; size <= 4194304; size *= 2) {
        CAPTURE(size);
        json made = document();
        made["segments"]["0"]["offset"] = std::to_string(2 * size);
        const std::string text = made.dump();
        // The second copy alone; the first is gone.
        MemoryDevice header(size);
        header.put(0, std::string_view("SKUL\xba\xbe", 6));
        put_be<std::uint16_t>(header, 6, 2);
        put_be<std::uint64_t>(header, 8, size);
        put_be<std::uint64_t>(header, 16, 1);
        header.put(72, std::string_view("sha256"));
        put_be<std::uint64_t>(header, 256, size);
        header.put(4096, text);
        LuksBytes bytes(size);
        header.read_at(0, bytes);
        const Sha256Sum sum = sha256(bytes);
        std::copy(sum.begin(), sum.end(), bytes.begin() + 448);
        MemoryDevice disk(2 * size + 4096);
        disk.put(size, bytes);
        CHECK(luks::read_header_2(disk).offset == 2 * size);
        MemoryDevice elsewhere(3 * size + 4096);
        elsewhere.put(size + 512, bytes);
        CHECK(refusal_of([&] { return luks::read_header_2(elsewhere); }) == "corrupt: there is no header of LUKS2");
    }
}

TEST_CASE("a copy is checked before a word of it is believed") {
    const auto said = [](std::uint64_t at, auto value) {
        const auto disk = make_luks_2(plain_luks_json());
        disk->fill(16384, 16384, 0);
        put_be(*disk, at, value);
        return refusal_of([&] { return luks::read_header_2(*disk); });
    };
    CHECK(said(6, std::uint16_t{3}) == "corrupt: there is no header of LUKS2");
    CHECK(said(256, std::uint64_t{16384}) == "corrupt: its header belongs to another place");
    for (const std::uint64_t size : {0ULL, 8192ULL, 20480ULL, 131072ULL, 8388608ULL, 1ULL << 63U})
        CHECK(said(8, size) == "corrupt: its header has an impossible size");
    CHECK(said(448, std::uint64_t{0}) == "corrupt: the checksum of its header is wrong");
    CHECK(said(16, std::uint64_t{9}) == "corrupt: the checksum of its header is wrong");
    // A sum of another hash than the header names, and a hash that nobody has.
    CHECK(said(72, std::uint64_t{0x7368613531320000}) == "corrupt: the checksum of its header is wrong"); // sha512
    CHECK(said(72, std::uint64_t{0x6e6f6e6500000000}).substr(0, 12) == "unsupported:");                   // none
}
