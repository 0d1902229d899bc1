#include "formats/fat/names.hpp"

#include "formats/base/endian.hpp"
#include "formats/base/utf16.hpp"

#include <algorithm>
#include <cctype>

namespace vm2oci::fat {
namespace {

constexpr unsigned kLastPart = 0x40;
constexpr unsigned kMaxParts = 20;
constexpr std::size_t kUnitsPerPart = 13;
constexpr unsigned kLowerBase = 0x08; // in the byte that Windows NT reserved
constexpr unsigned kLowerExtension = 0x10;

unsigned checksum_of(const EntryBytes& entry) {
    unsigned sum = 0;
    for (std::size_t i = 0; i < 11; ++i)
        sum = (((sum & 1) << 7) + (sum >> 1) + std::to_integer<unsigned>(entry[i])) & 0xff;
    return sum;
}

std::string field(const EntryBytes& entry, std::size_t at, std::size_t width, bool lower) {
    std::string text;
    for (std::size_t i = at; i < at + width; ++i) {
        unsigned byte = std::to_integer<unsigned>(entry[i]);
        if (i == 0 && byte == 0x05) // stands for a first byte of 0xe5, which would mean "deleted"
            byte = 0xe5;
        if (byte >= 0x80 || byte < 0x20 || byte == '/')
            byte = '_';
        text += static_cast<char>(lower ? std::tolower(static_cast<int>(byte)) : static_cast<int>(byte));
    }
    while (!text.empty() && text.back() == ' ')
        text.pop_back();
    return text;
}

} // namespace

std::string short_name(const EntryBytes& entry) {
    const unsigned flags = std::to_integer<unsigned>(entry[12]);
    std::string name = field(entry, 0, 8, (flags & kLowerBase) != 0);
    const std::string extension = field(entry, 8, 3, (flags & kLowerExtension) != 0);
    if (!extension.empty())
        name += "." + extension;
    return name;
}

void LongName::clear() {
    units_.clear();
    next_part_ = 0;
}

void LongName::add(const EntryBytes& entry) {
    const unsigned order = std::to_integer<unsigned>(entry[0]);
    const unsigned part = order & 0x3f;
    const unsigned checksum = std::to_integer<unsigned>(entry[13]);
    if ((order & kLastPart) != 0 && part >= 1 && part <= kMaxParts) {
        units_.assign(part * kUnitsPerPart, 0);
        next_part_ = part;
        checksum_ = checksum;
    }
    if (units_.empty() || part != next_part_ || part == 0 || checksum != checksum_) {
        clear();
        return;
    }
    std::size_t unit = (part - 1) * kUnitsPerPart;
    for (const auto& [at, count] : {std::pair<std::size_t, std::size_t>{1, 5}, {14, 6}, {28, 2}})
        for (std::size_t i = 0; i < count; ++i)
            units_[unit++] = load_le<std::uint16_t>(entry.data() + at + 2 * i);
    --next_part_;
}

std::optional<std::string> LongName::take(const EntryBytes& entry) {
    const bool complete = !units_.empty() && next_part_ == 0 && checksum_ == checksum_of(entry);
    std::optional<std::string> name;
    if (complete) {
        units_.erase(std::find(units_.begin(), units_.end(), 0), units_.end());
        name = utf16_to_utf8(units_);
    }
    clear();
    return name;
}

} // namespace vm2oci::fat
