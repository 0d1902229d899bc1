// LUKS2: two copies of a binary header with a checksum, and JSON behind each.
//
// Source of the format: LUKS2 On-Disk Format Specification 1.1.2.
#include "formats/base/base64.hpp"
#include "formats/base/checked.hpp"
#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/base/size.hpp"
#include "formats/luks/cipher.hpp"
#include "formats/luks/header.hpp"
#include "formats/oci/json.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cstring>
#include <limits>

namespace vm2oci::luks {
namespace {

using nlohmann::json;

constexpr std::size_t kBinary = 4096;
constexpr std::size_t kSumAt = 448;
constexpr std::size_t kSumSize = 64;
constexpr std::uint64_t kSmallest = 16 * KiB;
constexpr std::uint64_t kLargest = 4 * MiB;
constexpr std::size_t kMaxSlots2 = 32;
constexpr std::size_t kMaxTokens = 32;

struct Copy {
    std::uint64_t sequence = 0;
    std::uint64_t size = 0;
    std::string text; // JSON
};

std::string field(std::span<const std::byte> bytes, std::size_t at, std::size_t width) {
    std::string text(reinterpret_cast<const char*>(bytes.data()) + at, width);
    text.resize(std::min(text.find('\0'), text.size()));
    return text;
}

// nullopt: there is none at this place. Error{corrupt}.
std::optional<Copy> read_copy(const BlockDevice& device, std::uint64_t offset) {
    std::vector<std::byte> bytes(kBinary);
    if (offset > device.size() || bytes.size() > device.size() - offset)
        return std::nullopt;
    device.read_at(offset, bytes);
    const std::string_view magic(offset == 0 ? "LUKS\xba\xbe" : "SKUL\xba\xbe", 6);
    if (std::memcmp(bytes.data(), magic.data(), magic.size()) != 0 || load_be<std::uint16_t>(bytes.data() + 6) != 2)
        return std::nullopt;
    Copy copy;
    copy.size = load_be<std::uint64_t>(bytes.data() + 8);
    copy.sequence = load_be<std::uint64_t>(bytes.data() + 16);
    if (load_be<std::uint64_t>(bytes.data() + 256) != offset)
        fail(ErrorKind::corrupt, "its header belongs to another place");
    if (!std::has_single_bit(copy.size) || copy.size < kSmallest || copy.size > kLargest ||
        copy.size > device.size() - offset || (offset != 0 && copy.size != offset))
        fail(ErrorKind::corrupt, "its header has an impossible size");
    const std::string algorithm = field(bytes, 72, 32);
    bytes.resize(static_cast<std::size_t>(copy.size));
    device.read_at(offset + kBinary, std::span(bytes).subspan(kBinary));
    std::array<std::byte, kSumSize> said;
    std::copy_n(bytes.begin() + kSumAt, kSumSize, said.begin());
    std::fill_n(bytes.begin() + kSumAt, kSumSize, std::byte{0});
    const SecretBytes sum = hash_of(algorithm, bytes);
    if (sum.size() > kSumSize || !std::equal(sum.span().begin(), sum.span().end(), said.begin()))
        fail(ErrorKind::corrupt, "the checksum of its header is wrong");
    copy.text = field(bytes, kBinary, bytes.size() - kBinary);
    return copy;
}

// The newer one of the copies that are sound.
Copy read_newest(const BlockDevice& device) {
    std::optional<Copy> newest;
    std::optional<Error> problem;
    for (std::uint64_t offset = 0; offset <= kLargest; offset = offset == 0 ? kSmallest : offset * 2) {
        try {
            std::optional<Copy> copy = read_copy(device, offset);
            if (copy && (!newest || copy->sequence > newest->sequence))
                newest = std::move(copy);
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::corrupt && error.kind() != ErrorKind::unsupported)
                throw;
            if (!problem)
                problem = error;
        }
    }
    if (newest)
        return std::move(*newest);
    if (problem)
        throw Error(*problem);
    fail(ErrorKind::corrupt, "there is no header of LUKS2");
}

// Numbers beyond 32 bits are strings of decimal digits.
std::uint64_t large_number(const json& object, const char* name, std::string_view what) {
    const std::string text = required_string(object, name, what);
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (text.empty() || error != std::errc() || end != text.data() + text.size())
        fail(ErrorKind::corrupt, fmt::format("{} has no number as its {}", what, name));
    return value;
}

std::uint32_t small_number(const json& object, const char* name, std::string_view what) {
    return checked_cast<std::uint32_t>(required_unsigned(object, name, what), name);
}

std::vector<std::byte> bytes_of(const json& object, const char* name, std::string_view what) {
    const std::optional<std::string> bytes = decode_base64(required_string(object, name, what));
    if (!bytes || bytes->size() > 4 * KiB)
        fail(ErrorKind::corrupt, fmt::format("{} has no bytes as its {}", what, name));
    const auto* begin = reinterpret_cast<const std::byte*>(bytes->data());
    return {begin, begin + bytes->size()};
}

const json& member(const json& object, const char* name, std::string_view what) {
    const json* found = find_field(object, name);
    if (found == nullptr || !found->is_object())
        fail(ErrorKind::corrupt, fmt::format("{} has no {}", what, name));
    return *found;
}

std::uint32_t slot_number(const std::string& key) {
    std::uint32_t value = 0;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), value);
    if (key.empty() || error != std::errc() || end != key.data() + key.size() || value >= kMaxSlots2)
        fail(ErrorKind::corrupt, "its header numbers something by no number");
    return value;
}

Kdf read_kdf(const json& object, std::string_view what) {
    Kdf kdf;
    kdf.salt = bytes_of(object, "salt", what);
    const std::string type = required_string(object, "type", what);
    if (type == "pbkdf2") {
        kdf.hash = required_string(object, "hash", what);
        kdf.iterations = small_number(object, "iterations", what);
    } else if (type == "argon2i" || type == "argon2id") {
        kdf.kind = type == "argon2i" ? KdfKind::argon2i : KdfKind::argon2id;
        kdf.passes = small_number(object, "time", what);
        kdf.kibibytes = small_number(object, "memory", what);
        kdf.lanes = small_number(object, "cpus", what);
    } else {
        fail(ErrorKind::unsupported, fmt::format("its keys are made by {}, which is not known", quote_untrusted(type)));
    }
    return kdf;
}

// nullopt: it holds no key that a passphrase opens.
std::optional<KeySlot> read_slot(const std::string& key, const json& object) {
    constexpr std::string_view kWhat = "a slot for keys";
    if (required_string(object, "type", kWhat) != "luks2")
        return std::nullopt;
    KeySlot slot;
    slot.number = slot_number(key);
    slot.kdf = read_kdf(member(object, "kdf", kWhat), kWhat);
    slot.key_size = static_cast<std::size_t>(required_unsigned(object, "key_size", kWhat));
    const json& area = member(object, "area", kWhat);
    if (required_string(area, "type", kWhat) != "raw")
        return std::nullopt;
    slot.area_cipher = required_string(area, "encryption", kWhat);
    slot.area_key_size = static_cast<std::size_t>(required_unsigned(area, "key_size", kWhat));
    slot.area_offset = large_number(area, "offset", kWhat);
    const std::uint64_t area_size = large_number(area, "size", kWhat);
    const json& stripes = member(object, "af", kWhat);
    slot.stripes = static_cast<std::size_t>(required_unsigned(stripes, "stripes", kWhat));
    slot.stripe_hash = required_string(stripes, "hash", kWhat);
    if (find_field(object, "priority") != nullptr)
        slot.priority = static_cast<int>(std::min<std::uint64_t>(required_unsigned(object, "priority", kWhat), 2));
    if (slot.stripes == 0 || slot.stripes > kMaxStripes || slot.key_size == 0 || slot.key_size > kMaxKeySize ||
        slot.area_key_size == 0 || slot.area_key_size > kMaxKeySize ||
        align_up(slot.stripes * slot.key_size, kSector) > area_size)
        fail(ErrorKind::corrupt, "one of its slots for keys is damaged");
    return slot;
}

void read_slots(const json& document, Header& header) {
    const json& slots = member(document, "keyslots", "its header");
    if (slots.size() > kMaxSlots2)
        fail(ErrorKind::corrupt, "it has more slots for keys than there can be");
    for (const auto& [key, object] : slots.items()) {
        if (!object.is_object())
            fail(ErrorKind::corrupt, "one of its slots for keys is damaged");
        // Another slot may open it all the same.
        try {
            if (std::optional<KeySlot> slot = read_slot(key, object))
                header.slots.push_back(std::move(*slot));
        } catch (const Error& error) {
            header.unreadable_slots.emplace_back(error.what());
        }
    }
    std::stable_sort(header.slots.begin(), header.slots.end(),
                     [](const KeySlot& a, const KeySlot& b) { return a.priority > b.priority; });
}

// The number of the segment that holds the data.
std::string read_segment(const BlockDevice& device, const json& document, Header& header) {
    constexpr std::string_view kWhat = "its segment";
    std::string found;
    for (const auto& [key, object] : member(document, "segments", "its header").items()) {
        if (!object.is_object())
            fail(ErrorKind::corrupt, "a segment of it is damaged");
        // Of a reencryption: how it was before.
        const std::vector<std::string> flags = optional_strings(object, "flags", kWhat);
        if (std::any_of(flags.begin(), flags.end(), [](const std::string& f) { return f.starts_with("backup-"); }))
            continue;
        if (!found.empty())
            fail(ErrorKind::unsupported, "it consists of several segments, as while it is encrypted anew");
        found = key;
        const std::string type = required_string(object, "type", kWhat);
        if (type != "crypt")
            fail(ErrorKind::unsupported, fmt::format("its data is of the kind {}", quote_untrusted(type)));
        if (find_field(object, "integrity") != nullptr)
            fail(ErrorKind::unsupported, "its sectors have tags of their integrity, which only dm-integrity reads");
        header.cipher = required_string(object, "encryption", kWhat);
        header.sector = required_unsigned(object, "sector_size", kWhat);
        header.offset = large_number(object, "offset", kWhat);
        header.first_number = large_number(object, "iv_tweak", kWhat);
        if (!std::has_single_bit(header.sector) || header.sector < kSector || header.sector > 4 * KiB ||
            header.offset % kSector != 0)
            fail(ErrorKind::corrupt, "its sectors have an impossible size");
        if (required_string(object, "size", kWhat) == "dynamic")
            header.size = header.offset < device.size() ? align_down(device.size() - header.offset, header.sector) : 0;
        else
            header.size = align_down(large_number(object, "size", kWhat), header.sector);
    }
    if (found.empty())
        fail(ErrorKind::corrupt, "it has no segment with data");
    return found;
}

void read_digest(const json& document, const std::string& segment, Header& header) {
    constexpr std::string_view kWhat = "a digest of its keys";
    for (const auto& [key, object] : member(document, "digests", "its header").items()) {
        if (!object.is_object())
            fail(ErrorKind::corrupt, "a digest of its keys is damaged");
        const std::vector<std::string> segments = optional_strings(object, "segments", kWhat);
        if (std::find(segments.begin(), segments.end(), segment) == segments.end())
            continue;
        header.digest.kdf = read_kdf(object, kWhat);
        header.digest.digest = bytes_of(object, "digest", kWhat);
        for (const std::string& slot : optional_strings(object, "keyslots", kWhat))
            header.digest.slots.push_back(slot_number(slot));
        if (header.digest.kdf.kind != KdfKind::pbkdf2 || header.digest.digest.size() < 16)
            fail(ErrorKind::corrupt, "a digest of its keys is damaged");
        return;
    }
    fail(ErrorKind::corrupt, "nothing says which key its data has");
}

// What a reader must know of; a reencryption that has not ended is among it.
void check_requirements(const json& document) {
    const json* requirements = find_field(member(document, "config", "its header"), "requirements");
    if (requirements == nullptr)
        return;
    for (const std::string& name : optional_strings(*requirements, "mandatory", "its header")) {
        if (name.starts_with("online-reencrypt") || name == "offline-reencrypt")
            fail(ErrorKind::unsupported,
                 "it is being encrypted anew, and that has not ended; let the machine finish it");
        fail(ErrorKind::unsupported, fmt::format("it needs {}, which is not known", quote_untrusted(name)));
    }
}

void read_tokens(const json& document, Header& header) {
    const json* tokens = find_field(document, "tokens");
    if (tokens == nullptr || !tokens->is_object())
        return;
    for (const auto& [key, object] : tokens->items())
        if (object.is_object() && header.tokens.size() < kMaxTokens)
            header.tokens.push_back(optional_string(object, "type", "a token"));
}

} // namespace

Header read_header_2(const BlockDevice& device) {
    const Copy copy = read_newest(device);
    const json document = parse_untrusted_json(copy.text, "its header");
    Header header;
    header.version = 2;
    check_requirements(document);
    const std::string segment = read_segment(device, document, header);
    read_slots(document, header);
    read_digest(document, segment, header);
    read_tokens(document, header);
    check_data(device, header, 2 * copy.size);
    return header;
}

} // namespace vm2oci::luks
