#include "formats/luks/volume.hpp"

#include "formats/base/checked.hpp"
#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/luks/crypt_device.hpp"
#include "formats/luks/header.hpp"
#include "formats/luks/key.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <optional>

namespace vm2oci {
namespace {

using luks::Budget;
using luks::Header;
using luks::KeySlot;
using luks::SecretBytes;

Header read_header(const BlockDevice& device) {
    std::array<std::byte, 8> front{};
    if (device.size() >= front.size())
        device.read_at(0, front);
    // The first copy of LUKS2 may be gone; LUKS1 has but one.
    return load_be<std::uint16_t>(front.data() + 6) == 1 && std::to_integer<char>(front[0]) == 'L'
               ? luks::read_header_1(device)
               : luks::read_header_2(device);
}

// nullopt: the passphrase does not fit the slot.
std::optional<SecretBytes> open_slot(const BlockDevice& device, const Header& header, const KeySlot& slot,
                                     std::string_view passphrase, Budget& budget) {
    const SecretBytes area_key =
        luks::derive_key(slot.kdf, std::as_bytes(std::span(passphrase)), slot.area_key_size, budget);
    const luks::SectorCipher cipher(slot.area_cipher, area_key.span(), luks::kSector);
    const std::size_t used = slot.stripes * slot.key_size;
    SecretBytes material(static_cast<std::size_t>(align_up(used, luks::kSector)));
    device.read_at(slot.area_offset, material.span());
    cipher.decrypt(material.span(), 0);
    SecretBytes key = luks::merge_stripes(material.span().first(used), slot.key_size, slot.stripe_hash);
    const SecretBytes digest = luks::derive_key(header.digest.kdf, key.span(), header.digest.digest.size(), budget);
    if (!luks::equal_in_constant_time(digest.span(), header.digest.digest))
        return std::nullopt;
    return key;
}

// What a token is for, as people know it: cryptsetup(8), systemd-cryptenroll(1), clevis(1).
std::string token_name(const std::string& type) {
    constexpr std::pair<std::string_view, std::string_view> kNames[] = {
        {"clevis", "clevis (Tang or TPM2)"},
        {"systemd-tpm2", "a TPM2 (systemd)"},
        {"systemd-fido2", "a FIDO2 key (systemd)"},
        {"systemd-pkcs11", "a smart card (systemd)"},
        {"systemd-recovery", "a recovery key (systemd)"},
        {"luks2-keyring", "the kernel's keyring"}};
    for (const auto& [name, meaning] : kNames)
        if (type == name)
            return std::string(meaning);
    return quote_untrusted(type);
}

std::string reason_of(const Header& header, bool has_keys) {
    std::string reason = !has_keys ? "there is no key to it" : "no key that was given opens it";
    if (header.slots.empty() && header.unreadable_slots.empty())
        reason = "it has no slot that a passphrase opens";
    if (!header.tokens.empty()) {
        std::vector<std::string> names;
        for (const std::string& token : header.tokens)
            if (std::string name = token_name(token); std::find(names.begin(), names.end(), name) == names.end())
                names.push_back(std::move(name));
        reason += fmt::format("; its machine opens it by {}, which is not to be had here: add a passphrase to it there",
                              fmt::join(names, ", "));
    }
    if (!header.unreadable_slots.empty())
        reason += fmt::format("; {} of its slots cannot be read ({})", header.unreadable_slots.size(),
                              header.unreadable_slots.front());
    return reason;
}

} // namespace

LuksVolume open_luks(const std::shared_ptr<const BlockDevice>& device, std::span<const std::string_view> keys,
                     const LuksEffort& effort) {
    const Header header = read_header(*device);
    Budget budget{effort.rounds, effort.argon_bytes, effort.argon_kibibytes};
    LuksVolume volume;
    volume.offset = header.offset;
    volume.sector = header.sector;
    std::optional<Error> problem;
    for (const std::string_view key : keys) {
        for (const KeySlot& slot : header.slots) {
            const std::vector<std::uint32_t>& known = header.digest.slots;
            if (std::find(known.begin(), known.end(), slot.number) == known.end())
                continue; // of another segment
            try {
                if (const auto opened = open_slot(*device, header, slot, key, budget)) {
                    const auto opened_device = std::make_shared<luks::CryptDevice>(device, header, opened->span());
                    volume.device = opened_device;
                    volume.route = [opened_device](const std::shared_ptr<BlockChanges>& encrypted) {
                        return std::make_shared<luks::CryptChanges>(opened_device, encrypted);
                    };
                    return volume;
                }
            } catch (const Error& error) {
                if (error.kind() == ErrorKind::io || error.kind() == ErrorKind::external)
                    throw;
                problem = error; // another slot may be sound
            }
        }
    }
    if (problem)
        throw Error(*problem);
    volume.reason = reason_of(header, !keys.empty());
    return volume;
}

LuksVolume open_luks(const std::shared_ptr<const BlockDevice>& device, std::span<const std::string_view> keys) {
    const Budget whole;
    return open_luks(device, keys, {whole.rounds, whole.argon_bytes, whole.argon_kibibytes});
}

} // namespace vm2oci
