// LUKS1's fields, each at its limits, and the words for what opens a volume of LUKS2 in its machine.
#include "formats/luks/volume.hpp"
#include "tests/support/luks_builder.hpp"
#include "tests/support/refusal.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;
using namespace vm2oci::test;

namespace {

// LUKS On-Disk Format Specification 1.2.3, figure 1 and table of the key slots.
constexpr std::uint64_t kPayloadAt = 104; // in sectors of 512 bytes
constexpr std::uint64_t kKeyBytesAt = 108;
constexpr std::uint64_t kDigestAt = 112;
constexpr std::uint64_t kDigestSaltAt = 132;
constexpr std::uint64_t kRoundsAt = 164;
constexpr std::uint64_t kUuidAt = 168;
constexpr std::uint64_t kSlotsAt = 208;
constexpr std::uint64_t kSlotBytes = 48;
constexpr std::uint64_t kHeaderBytes = 592;
constexpr std::uint64_t kUsed = kSlotsAt + 2 * kSlotBytes; // of make_luks_1()
constexpr std::uint32_t kInUse = 0x00ac71f3;
constexpr std::uint32_t kFree = 0x0000dead;

constexpr const char* kBadSlot = "corrupt: one of its slots for keys is damaged";
constexpr const char* kBadData = "corrupt: its data lies in its header or outside of the device";

LuksVolume open(const std::shared_ptr<const BlockDevice>& disk) {
    const std::vector<std::string_view> keys = {kLuksPassphrase};
    return open_luks(disk, keys, {100'000, 1U << 20U, 64});
}

LuksBytes bytes_of(const BlockDevice& disk, std::uint64_t offset, std::size_t length) {
    LuksBytes bytes(length);
    disk.read_at(offset, bytes);
    return bytes;
}

// "opened", why no key fits, or the refusal.
std::string said(const std::shared_ptr<const BlockDevice>& disk) {
    std::string reason;
    const std::string refusal = refusal_of([&] {
        const LuksVolume volume = open(disk);
        reason = volume.device ? "opened" : volume.reason;
        return 0;
    });
    return reason.empty() ? refusal : reason;
}

std::string said_with(std::uint64_t offset, std::uint32_t value) {
    const auto disk = make_luks_1();
    put_be<std::uint32_t>(*disk, offset, value);
    return said(disk);
}

} // namespace

TEST_CASE("the data of LUKS1 begin behind the last slot's area, and end with the device's last whole sector") {
    constexpr std::uint32_t kAfterArea = kLuksArea / 512 + 1; // three stripes of 64 bytes are one sector
    for (const std::uint32_t sector : {kAfterArea, std::uint32_t{kLuksSize / 512 - 1}}) {
        CAPTURE(sector);
        const auto disk = make_luks_1();
        put_be<std::uint32_t>(*disk, kPayloadAt, sector);
        const LuksVolume volume = open(disk);
        REQUIRE(volume.device);
        CHECK(volume.offset == sector * 512);
        CHECK(volume.device->size() == kLuksSize - sector * 512);
    }
    for (const std::uint32_t sector :
         {1u, 2u, kAfterArea - 1, std::uint32_t{kLuksSize / 512}, std::uint32_t{kLuksSize / 512 + 1}, 0xffffffffu}) {
        CAPTURE(sector);
        CHECK(said_with(kPayloadAt, sector) == kBadData);
    }
    CHECK(said_with(kPayloadAt, 0) ==
          "unsupported: its data lies apart from its header; join them, or decrypt it in the machine");
    const LuksBytes whole = bytes_of(*make_luks_1(), 0, kLuksSize);
    for (const std::uint64_t more : {1u, 511u, 512u}) {
        CAPTURE(more);
        const auto longer = std::make_shared<MemoryDevice>(kLuksSize + more);
        longer->put(0, whole);
        CHECK(open(longer).device->size() == kLuksSize - kLuksData + more / 512 * 512);
    }
}

TEST_CASE("a header of LUKS1 has 592 bytes") {
    const auto whole = make_luks_1();
    for (const std::size_t length : {8u, 200u, 591u}) {
        CAPTURE(length);
        const auto cut = std::make_shared<MemoryDevice>(length);
        cut->put(0, bytes_of(*whole, 0, length));
        CHECK(said(cut) == "corrupt: its header is cut");
    }
    const auto alone = std::make_shared<MemoryDevice>(kHeaderBytes);
    alone->put(0, bytes_of(*whole, 0, kHeaderBytes));
    CHECK(said(alone) == kBadData);
}

TEST_CASE("each of the eight slots of LUKS1 opens it, and none where all are free") {
    const LuksBytes slot = bytes_of(*make_luks_1(), kUsed, kSlotBytes);
    for (std::uint64_t number = 0; number < 8; ++number) {
        CAPTURE(number);
        const auto disk = make_luks_1();
        put_be<std::uint32_t>(*disk, kUsed, kFree);
        CHECK(said(disk) == "it has no slot that a passphrase opens");
        disk->put(kSlotsAt + number * kSlotBytes, slot);
        CHECK(said(disk) == "opened");
        put_be<std::uint32_t>(*disk, kSlotsAt + (number + 1) % 8 * kSlotBytes, kInUse ^ 1);
        CHECK(said(disk) == kBadSlot);
        put_be<std::uint32_t>(*disk, kSlotsAt + (number + 1) % 8 * kSlotBytes, 0);
        CHECK(said(disk) == kBadSlot);
    }
}

TEST_CASE("keys and stripes of LUKS1 have limits of their own") {
    for (const std::uint32_t size : {0u, 513u, 0x80000000u})
        CHECK(said_with(kKeyBytesAt, size) == "corrupt: its key has an impossible size");
    CHECK_THAT(said_with(kKeyBytesAt, 512), !Catch::Contains("impossible size"));
    for (const std::uint32_t stripes : {0u, 16385u, 0x80000000u})
        CHECK(said_with(kUsed + 44, stripes) == kBadSlot);
    CHECK(said_with(kUsed + 44, 16384) == kBadData); // sound by itself, and a MiB long
    // 64 sectors from sector 64 on end where the data begin.
    CHECK(said_with(kUsed + 44, 512) == "no key that was given opens it");
    CHECK(said_with(kUsed + 44, 513) == kBadData);
}

TEST_CASE("every bit of LUKS1's digest and salts counts, and none of its name") {
    const auto flipped = [](std::uint64_t at, std::uint8_t mask) {
        const auto disk = make_luks_1();
        const LuksBytes byte = bytes_of(*disk, at, 1);
        disk->fill(at, 1, static_cast<std::uint8_t>(std::to_integer<unsigned>(byte[0]) ^ mask));
        return said(disk);
    };
    const struct {
        std::uint64_t at;
        std::uint64_t length;
        const char* said;
    } rows[] = {
        {kDigestAt, 20, "no key that was given opens it"}, {kDigestSaltAt, 32, "no key that was given opens it"},
        {kUsed + 8, 32, "no key that was given opens it"}, {kRoundsAt + 3, 1, "no key that was given opens it"},
        {kUsed + 7, 1, "no key that was given opens it"},  {kUuidAt, 40, "opened"}};
    for (const auto& row : rows)
        for (std::uint64_t i = 0; i < row.length; ++i) {
            CAPTURE(row.at, i);
            CHECK(flipped(row.at + i, 0x80) == row.said);
            CHECK(flipped(row.at + i, 0x40) == row.said);
        }
}

TEST_CASE("what opens a volume in its machine is said in people's words, once and in the header's order") {
    const struct {
        const char* tokens;
        const char* names;
    } rows[] = {
        {R"({"0":{"type":"clevis"}})", "clevis (Tang or TPM2)"},
        {R"({"0":{"type":"systemd-tpm2"}})", "a TPM2 (systemd)"},
        {R"({"0":{"type":"systemd-fido2"}})", "a FIDO2 key (systemd)"},
        {R"({"0":{"type":"systemd-pkcs11"}})", "a smart card (systemd)"},
        {R"({"0":{"type":"systemd-recovery"}})", "a recovery key (systemd)"},
        {R"({"0":{"type":"luks2-keyring"}})", "the kernel's keyring"},
        {R"({"0":{"type":"ssh"}})", "'ssh'"},
        {R"({"0":{"type":"clevis"},"1":{"type":"ssh"},"2":{"type":"clevis"}})", "clevis (Tang or TPM2), 'ssh'"},
    };
    for (const auto& row : rows) {
        CAPTURE(row.tokens);
        const auto disk =
            make_luks_2(luks_json("{\"0\":" + luks_slot_json(luks_pbkdf2_json(3)) + "}", 512, row.tokens));
        CHECK(said(disk) == "opened");
        CHECK(open_luks(disk, {}).reason == "there is no key to it; its machine opens it by " + std::string(row.names) +
                                                ", which is not to be had here: add a passphrase to it there");
    }
}
