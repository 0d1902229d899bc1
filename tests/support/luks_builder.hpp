// Encrypted volumes in memory, of both versions, with a passphrase that costs nothing to try.
#pragma once

#include "formats/base/base64.hpp"
#include "formats/base/sha256.hpp"
#include "formats/luks/key.hpp"
#include "tests/support/memory_device.hpp"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <array>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

namespace vm2oci::test {

inline constexpr std::string_view kLuksPassphrase = "correct horse";
inline constexpr std::uint64_t kLuksArea = 32768; // of the first slot
inline constexpr std::uint64_t kLuksData = 65536;
inline constexpr std::uint64_t kLuksSize = 65536 + 32768;
inline constexpr std::size_t kLuksStripes = 3;

using LuksBytes = std::vector<std::byte>;

inline LuksBytes luks_pattern(std::size_t size, unsigned seed) {
    LuksBytes bytes(size);
    for (std::size_t i = 0; i < size; ++i)
        bytes[i] = static_cast<std::byte>((i * 31 + i / 251 + seed) & 0xff);
    return bytes;
}

// Sectors of AES-256-XTS with their numbers, in units of 512 bytes.
inline void luks_encrypt(std::span<std::byte> bytes, std::span<const std::byte> key, std::uint64_t sector,
                         std::uint64_t number) {
    EVP_CIPHER_CTX* context = EVP_CIPHER_CTX_new();
    for (; !bytes.empty(); bytes = bytes.subspan(sector), number += sector / 512) {
        std::array<unsigned char, 16> start{};
        for (std::size_t i = 0; i < 8; ++i)
            start[i] = static_cast<unsigned char>(number >> (8 * i));
        int length = 0;
        auto* data = reinterpret_cast<unsigned char*>(bytes.data());
        EVP_EncryptInit_ex(context, EVP_aes_256_xts(), nullptr, reinterpret_cast<const unsigned char*>(key.data()),
                           start.data());
        EVP_EncryptUpdate(context, data, &length, data, static_cast<int>(sector));
    }
    EVP_CIPHER_CTX_free(context);
}

inline luks::Kdf luks_kdf(unsigned seed, std::uint32_t iterations = 7) {
    luks::Kdf kdf;
    kdf.hash = "sha256";
    kdf.iterations = iterations;
    kdf.salt = luks_pattern(32, seed);
    return kdf;
}

inline LuksBytes luks_volume_key() {
    return luks_pattern(64, 99);
}

// The volume's key, spread over stripes and encrypted with what the passphrase becomes.
inline LuksBytes luks_area(const luks::Kdf& kdf) {
    luks::Budget budget;
    const LuksBytes key = luks_volume_key();
    LuksBytes material = luks_pattern(64 * kLuksStripes, 5);
    std::fill(material.end() - 64, material.end(), std::byte{0});
    const luks::SecretBytes mixed = luks::merge_stripes(material, 64, "sha256");
    for (std::size_t i = 0; i < 64; ++i)
        material[64 * (kLuksStripes - 1) + i] = mixed.span()[i] ^ key[i];
    material.resize(512);
    const luks::SecretBytes area_key = luks::derive_key(kdf, std::as_bytes(std::span(kLuksPassphrase)), 64, budget);
    luks_encrypt(material, area_key.span(), 512, 0);
    return material;
}

inline LuksBytes luks_digest(std::size_t size) {
    luks::Budget budget;
    const luks::SecretBytes digest = luks::derive_key(luks_kdf(2), luks_volume_key(), size, budget);
    return {digest.span().begin(), digest.span().end()};
}

inline std::string luks_base64(const LuksBytes& bytes) {
    return encode_base64({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

inline void put_luks_data(MemoryDevice& disk, std::uint64_t sector) {
    LuksBytes data = luks_pattern(kLuksSize - kLuksData, 1);
    luks_encrypt(data, luks_volume_key(), sector, 0);
    disk.put(kLuksData, data);
}

template <class T>
void put_be(MemoryDevice& disk, std::uint64_t offset, T value) {
    std::array<std::byte, sizeof value> bytes{};
    for (std::size_t i = 0; i < bytes.size(); ++i)
        bytes[bytes.size() - 1 - i] = static_cast<std::byte>(value >> (8 * i));
    disk.put(offset, bytes);
}

inline std::shared_ptr<MemoryDevice> make_luks_1() {
    auto disk = std::make_shared<MemoryDevice>(kLuksSize);
    disk->put(0, std::string_view("LUKS\xba\xbe", 6));
    put_be<std::uint16_t>(*disk, 6, 1);
    disk->put(8, std::string_view("aes"));
    disk->put(40, std::string_view("xts-plain64"));
    disk->put(72, std::string_view("sha256"));
    put_be<std::uint32_t>(*disk, 104, kLuksData / 512);
    put_be<std::uint32_t>(*disk, 108, 64);
    disk->put(112, luks_digest(20));
    disk->put(132, luks_kdf(2).salt);
    put_be<std::uint32_t>(*disk, 164, 7);
    disk->put(168, std::string_view("11111111-2222-3333-4444-555555555555"));
    for (std::uint64_t slot = 0; slot < 8; ++slot)
        put_be<std::uint32_t>(*disk, 208 + 48 * slot, 0x0000dead);
    const std::uint64_t slot = 208 + 48 * 2;
    put_be<std::uint32_t>(*disk, slot, 0x00ac71f3);
    put_be<std::uint32_t>(*disk, slot + 4, 7);
    disk->put(slot + 8, luks_kdf(3).salt);
    put_be<std::uint32_t>(*disk, slot + 40, kLuksArea / 512);
    put_be<std::uint32_t>(*disk, slot + 44, kLuksStripes);
    disk->put(kLuksArea, luks_area(luks_kdf(3)));
    put_luks_data(*disk, 512);
    return disk;
}

inline std::string luks_slot_json(const std::string& kdf) {
    return fmt::format(
        R"({{"type":"luks2","key_size":64,"af":{{"type":"luks1","stripes":{},"hash":"sha256"}},)"
        R"("area":{{"type":"raw","offset":"{}","size":"4096","encryption":"aes-xts-plain64","key_size":64}},)"
        R"("kdf":{}}})",
        kLuksStripes, kLuksArea, kdf);
}

inline std::string luks_pbkdf2_json(unsigned seed) {
    return fmt::format(R"({{"type":"pbkdf2","hash":"sha256","iterations":7,"salt":"{}"}})",
                       luks_base64(luks_kdf(seed).salt));
}

inline std::string luks_json(const std::string& slots, std::uint64_t sector = 512, const std::string& tokens = "{}") {
    return fmt::format(
        R"({{"keyslots":{},"tokens":{},"segments":{{"0":{{"type":"crypt","offset":"{}","size":"dynamic",)"
        R"("iv_tweak":"0","encryption":"aes-xts-plain64","sector_size":{}}}}},"digests":{{"0":{{"type":"pbkdf2",)"
        R"("keyslots":["0","1"],"segments":["0"],"hash":"sha256","iterations":7,"salt":"{}","digest":"{}"}}}},)"
        R"("config":{{"json_size":"12288","keyslots_size":"32768"}}}})",
        slots, tokens, kLuksData, sector, luks_base64(luks_kdf(2).salt), luks_base64(luks_digest(32)));
}

// A copy of the header, with its checksum.
inline void put_luks_2(MemoryDevice& disk, std::uint64_t offset, const std::string& json, std::uint64_t sequence) {
    constexpr std::uint64_t kHeader = 16384;
    MemoryDevice header(kHeader);
    header.put(0, std::string_view(offset == 0 ? "LUKS\xba\xbe" : "SKUL\xba\xbe", 6));
    put_be<std::uint16_t>(header, 6, 2);
    put_be<std::uint64_t>(header, 8, kHeader);
    put_be<std::uint64_t>(header, 16, sequence);
    header.put(72, std::string_view("sha256"));
    header.put(168, std::string_view("11111111-2222-3333-4444-555555555555"));
    put_be<std::uint64_t>(header, 256, offset);
    header.put(4096, std::string_view(json).substr(0, kHeader - 4096));
    LuksBytes bytes(kHeader);
    header.read_at(0, bytes);
    const Sha256Sum sum = sha256(bytes);
    std::copy(sum.begin(), sum.end(), bytes.begin() + 448);
    disk.put(offset, bytes);
}

inline std::shared_ptr<MemoryDevice> make_luks_2(const std::string& json, std::uint64_t sector = 512) {
    auto disk = std::make_shared<MemoryDevice>(kLuksSize);
    put_luks_2(*disk, 0, json, 3);
    put_luks_2(*disk, 16384, json, 3);
    disk->put(kLuksArea, luks_area(luks_kdf(3)));
    put_luks_data(*disk, sector);
    return disk;
}

inline std::string plain_luks_json() {
    return luks_json("{\"0\":" + luks_slot_json(luks_pbkdf2_json(3)) + "}");
}

} // namespace vm2oci::test
