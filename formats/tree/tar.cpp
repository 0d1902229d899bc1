#include "formats/tree/tar.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace vm2oci {
namespace {

// A field of the ustar header.
struct Field {
    std::size_t offset;
    std::size_t size;
};

constexpr Field kName{0, 100};
constexpr Field kMode{100, 8};
constexpr Field kUid{108, 8};
constexpr Field kGid{116, 8};
constexpr Field kSize{124, 12};
constexpr Field kModified{136, 12};
constexpr Field kChecksum{148, 8};
constexpr Field kType{156, 1};
constexpr Field kLinkName{157, 100};
constexpr Field kMagic{257, 8};
constexpr Field kUserName{265, 32};
constexpr Field kGroupName{297, 32};
constexpr Field kDeviceMajor{329, 8};
constexpr Field kDeviceMinor{337, 8};
constexpr Field kPrefix{345, 155};

class UstarBlock {
  public:
    UstarBlock() : bytes_(kTarBlock, '\0') { put_text(kMagic, std::string_view("ustar\00000", 8)); }

    // The caller has seen to it that it fits.
    void put_text(Field field, std::string_view text) { bytes_.replace(field.offset, text.size(), text); }

    // Leading zeros and a NUL. False: too large for the field, which then says 0.
    bool put_octal(Field field, std::uint64_t value) {
        const bool fits = value < std::uint64_t{1} << (3 * (field.size - 1));
        put_text(field, fmt::format("{:0{}o}", fits ? value : 0, field.size - 1));
        return fits;
    }

    // Big-endian behind a first byte of 0x80.
    void put_base256(Field field, std::uint64_t value) {
        bytes_[field.offset] = static_cast<char>(0x80);
        for (std::size_t i = 1; i < field.size; ++i) {
            const std::size_t shift = 8 * (field.size - 1 - i);
            bytes_[field.offset + i] = static_cast<char>(shift < 64 ? value >> shift & 0xff : 0);
        }
    }

    std::string finish() {
        put_text(kChecksum, "        ");
        std::uint64_t sum = 0;
        for (const char c : bytes_)
            sum += static_cast<unsigned char>(c);
        put_text(kChecksum, fmt::format("{:06o}", sum) + std::string("\0 ", 2));
        return std::move(bytes_);
    }

  private:
    std::string bytes_;
};

class PaxRecords {
  public:
    void add(std::string_view key, std::string_view value) {
        // The length counts its own digits.
        const std::size_t rest = key.size() + value.size() + 3; // blank, '=', newline
        std::size_t length = rest + 1;
        while (std::to_string(length).size() + rest != length)
            length = std::to_string(length).size() + rest;
        text_ += fmt::format("{} {}={}\n", length, key, value);
    }

    bool empty() const { return text_.empty(); }
    const std::string& text() const { return text_; }

  private:
    std::string text_;
};

char type_flag(const Entry& entry) {
    if (entry.hard_link_to)
        return '1';
    switch (entry.status.type) {
    case FileType::regular:
        return '0';
    case FileType::directory:
        return '5';
    case FileType::symlink:
        return '2';
    case FileType::character_device:
        return '3';
    case FileType::block_device:
        return '4';
    case FileType::fifo:
        return '6';
    case FileType::socket:
        break;
    }
    fail(ErrorKind::unsupported, "tar cannot hold the socket " + quote_untrusted(entry.path));
}

bool is_ascii(std::string_view text) {
    return std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

bool is_utf8(std::string_view text) {
    std::size_t at = 0;
    while (at < text.size()) {
        const auto byte = [&](std::size_t index) { return static_cast<unsigned char>(text[index]); };
        const unsigned char first = byte(at);
        const std::size_t length = first < 0x80                     ? 1
                                   : first >= 0xc2 && first < 0xe0  ? 2
                                   : first >= 0xe0 && first < 0xf0  ? 3
                                   : first >= 0xf0 && first <= 0xf4 ? 4
                                                                    : 0;
        if (length == 0 || at + length > text.size())
            return false;
        for (std::size_t i = 1; i < length; ++i)
            if ((byte(at + i) & 0xc0) != 0x80)
                return false;
        const bool overlong = (first == 0xe0 && byte(at + 1) < 0xa0) || (first == 0xf0 && byte(at + 1) < 0x90);
        const bool surrogate = first == 0xed && byte(at + 1) >= 0xa0;
        const bool beyond = first == 0xf4 && byte(at + 1) >= 0x90;
        if (overlong || surrogate || beyond)
            return false;
        at += length;
    }
    return true;
}

// Where to cut a path into prefix and name; npos: it needs a pax record.
std::size_t prefix_length(std::string_view path) {
    // Where there is no slash any more, npos ends this, too.
    for (std::size_t slash = path.find('/'); slash <= kPrefix.size; slash = path.find('/', slash + 1)) {
        const std::size_t name = path.size() - slash - 1;
        if (slash > 0 && name > 0 && name <= kName.size)
            return slash;
    }
    return std::string_view::npos;
}

void put_path(UstarBlock& block, PaxRecords& records, const std::string& path) {
    if (is_ascii(path) && path.size() <= kName.size) {
        block.put_text(kName, path);
    } else if (const std::size_t cut = prefix_length(path); is_ascii(path) && cut != std::string_view::npos) {
        block.put_text(kPrefix, std::string_view(path).substr(0, cut));
        block.put_text(kName, std::string_view(path).substr(cut + 1));
    } else {
        records.add("path", path);
        block.put_text(kName, std::string_view(path).substr(0, kName.size));
    }
}

void put_link(UstarBlock& block, PaxRecords& records, const std::string& target) {
    if (!is_ascii(target) || target.size() > kLinkName.size)
        records.add("linkpath", target);
    block.put_text(kLinkName, std::string_view(target).substr(0, kLinkName.size));
}

void put_owner_name(UstarBlock& block, PaxRecords& records, Field field, const char* key, const std::string& name) {
    if (is_ascii(name) && name.size() < field.size)
        block.put_text(field, name);
    else
        records.add(key, name);
}

void put_number(UstarBlock& block, PaxRecords& records, Field field, const char* key, std::uint64_t value) {
    if (!block.put_octal(field, value))
        records.add(key, std::to_string(value));
}

// Decimal seconds with a fraction, as pax has it: -1 s and 250,000,000 ns above it is "-0.75".
std::string pax_time(const Timestamp& time) {
    if (time.nanoseconds == 0)
        return std::to_string(time.seconds);
    const bool negative = time.seconds < 0;
    const std::uint64_t whole =
        negative ? ~static_cast<std::uint64_t>(time.seconds) : static_cast<std::uint64_t>(time.seconds);
    const std::uint32_t fraction = negative ? 1'000'000'000 - time.nanoseconds : time.nanoseconds;
    std::string text = fmt::format("{}{}.{:09}", negative ? "-" : "", whole, fraction);
    text.erase(text.find_last_not_of('0') + 1);
    return text;
}

void put_time(UstarBlock& block, PaxRecords& records, const Timestamp& time) {
    const bool fits = time.seconds >= 0 && block.put_octal(kModified, static_cast<std::uint64_t>(time.seconds));
    if (time.seconds < 0)
        block.put_octal(kModified, 0);
    if (!fits || time.nanoseconds != 0)
        records.add("mtime", pax_time(time));
}

bool needs_binary_names(const Entry& entry) {
    return !is_utf8(entry.path) || !is_utf8(entry.link_target) || (entry.hard_link_to && !is_utf8(*entry.hard_link_to));
}

void refuse_nul(const std::string& name) {
    if (name.find('\0') != std::string::npos)
        fail(ErrorKind::unsupported, "tar cannot hold a name with NUL: " + quote_untrusted(name));
}

std::string pax_block(const PaxRecords& records, const std::string& path) {
    std::string name = "PaxHeaders/" + path.substr(path.find_last_of('/', path.size() - 2) + 1);
    std::ranges::replace_if(
        name, [](char c) { return static_cast<unsigned char>(c) >= 0x80; }, '_');
    name.resize(std::min(name.size(), kName.size));
    UstarBlock block;
    block.put_text(kName, name);
    block.put_octal(kMode, 0644);
    block.put_octal(kUid, 0);
    block.put_octal(kGid, 0);
    block.put_octal(kSize, records.text().size());
    block.put_octal(kModified, 0);
    block.put_text(kType, "x");
    block.put_octal(kDeviceMajor, 0);
    block.put_octal(kDeviceMinor, 0);
    return block.finish() + records.text() + std::string(tar_padding(records.text().size()), '\0');
}

// `stored`: of a file without its holes, what follows the header.
std::string make_header(const Entry& entry, const TarOwnerNames& owners, TarSizes sizes,
                        std::optional<std::uint64_t> stored) {
    const FileStatus& status = entry.status;
    const char type = type_flag(entry);
    // The root folder of a tree has the empty path; "./" is how archives name it.
    std::string path = entry.path.empty() ? "." : entry.path;
    if (type == '5')
        path += '/';
    const std::string target = entry.hard_link_to.value_or(entry.link_target);
    refuse_nul(path);
    refuse_nul(target);

    UstarBlock block;
    PaxRecords records;
    if (needs_binary_names(entry))
        records.add("hdrcharset", "BINARY");
    if (stored) {
        records.add("GNU.sparse.major", "1");
        records.add("GNU.sparse.minor", "0");
        records.add("GNU.sparse.name", path);
        records.add("GNU.sparse.realsize", std::to_string(status.size));
        const std::size_t name = path.rfind('/') + 1; // 0 without a slash
        path.insert(name, "GNUSparseFile.0/");
    }
    put_path(block, records, path);
    put_link(block, records, target);
    block.put_octal(kMode, status.permissions & 07777);
    put_number(block, records, kUid, "uid", status.uid);
    put_number(block, records, kGid, "gid", status.gid);
    const std::uint64_t size = type == '0' ? stored.value_or(status.size) : 0;
    if (sizes == TarSizes::pax)
        put_number(block, records, kSize, "size", size);
    else if (!block.put_octal(kSize, size))
        block.put_base256(kSize, size);
    put_time(block, records, status.modified);
    block.put_text(kType, std::string_view(&type, 1));
    put_owner_name(block, records, kUserName, "uname", owners.user);
    put_owner_name(block, records, kGroupName, "gname", owners.group);
    const bool is_device = type == '3' || type == '4';
    if (!block.put_octal(kDeviceMajor, is_device ? status.device_major : 0) ||
        !block.put_octal(kDeviceMinor, is_device ? status.device_minor : 0))
        fail(ErrorKind::unsupported, "tar cannot hold the device number of " + quote_untrusted(entry.path));
    for (const ExtendedAttribute& attribute : entry.attributes) {
        // '=' ends a key: two readers would split such a record differently.
        if (attribute.name.find_first_of(std::string_view("=\0", 2)) != std::string::npos)
            fail(ErrorKind::unsupported, "tar cannot hold the attribute " + quote_untrusted(attribute.name));
        records.add("SCHILY.xattr." + attribute.name, attribute.value);
    }
    return records.empty() ? block.finish() : pax_block(records, path) + block.finish();
}

} // namespace

std::string tar_header(const Entry& entry, const TarOwnerNames& owners, TarSizes sizes) {
    return make_header(entry, owners, sizes, std::nullopt);
}

std::string tar_sparse_header(const Entry& entry, std::uint64_t stored) {
    return make_header(entry, {}, TarSizes::pax, stored);
}

std::string tar_sparse_map(const std::vector<DataRange>& pieces) {
    std::string map = fmt::format("{}\n", pieces.size());
    for (const DataRange& piece : pieces)
        map += fmt::format("{}\n{}\n", piece.offset, piece.length);
    map.append(tar_padding(map.size()), '\0');
    return map;
}

} // namespace vm2oci
