#include "formats/tree/tar_reader.hpp"

#include "formats/base/checked.hpp"
#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/base/fd.hpp"
#include "formats/base/size.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

namespace vm2oci {
namespace {

constexpr std::uint64_t kMaxHeaders = 4'000'000;      // more than any distribution installs files; bounds the time
constexpr std::uint64_t kMaxExtendedHeader = 1 * MiB; // Go, which reads the layers in most clusters, takes as much
constexpr unsigned kMaxExtendedHeaders = 16;          // in front of one member; writers make three at most
constexpr std::uint64_t kMaxContent = std::uint64_t{1} << 62; // sums of a few stay below 2^64

using Block = std::array<std::byte, kTarBlock>;

[[noreturn]] void fail_at(std::uint64_t position, const std::string& why) {
    fail(ErrorKind::corrupt, fmt::format("tar, header at {}: {}", position, why));
}

std::string_view field(const Block& block, std::size_t offset, std::size_t size) {
    return as_text(block).substr(offset, size);
}

std::string text_field(const Block& block, std::size_t offset, std::size_t size) {
    const std::string_view bytes = field(block, offset, size);
    return std::string(bytes.substr(0, bytes.find('\0')));
}

// Octal with blanks or NULs around it, or base-256 (first bit set), as GNU writes what octal cannot hold.
std::optional<std::uint64_t> parse_number(std::string_view bytes) {
    if ((static_cast<unsigned char>(bytes[0]) & 0x80) != 0) {
        std::uint64_t value = static_cast<unsigned char>(bytes[0]) & 0x7f;
        if ((value & 0x40) != 0)
            return std::nullopt; // negative
        for (const char c : bytes.substr(1)) {
            if (value >> 55 != 0)
                return std::nullopt;
            value = value << 8 | static_cast<unsigned char>(c);
        }
        return value;
    }
    const std::size_t first = bytes.find_first_not_of(std::string_view(" \0", 2));
    if (first == std::string_view::npos)
        return 0; // empty fields are usual where a number makes no sense
    bytes.remove_prefix(first);
    bytes = bytes.substr(0, bytes.find_first_of(std::string_view(" \0", 2)));
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(bytes.data(), bytes.data() + bytes.size(), value, 8);
    if (error != std::errc() || end != bytes.data() + bytes.size())
        return std::nullopt;
    return value;
}

std::uint64_t number_field(const Block& block, std::size_t offset, std::size_t size, std::uint64_t position,
                           const char* what) {
    const std::optional<std::uint64_t> value = parse_number(field(block, offset, size));
    if (!value)
        fail_at(position, fmt::format("the {} is no number", what));
    return *value;
}

std::uint64_t decimal(const std::string& text, std::uint64_t position, const char* what) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || text.empty())
        fail_at(position, fmt::format("the {} {} is no number", what, quote_untrusted(text)));
    return value;
}

std::uint32_t device_field(const Block& block, std::size_t offset, std::uint64_t position) {
    const std::uint64_t number = number_field(block, offset, 8, position, "device number");
    if (number > std::numeric_limits<std::uint32_t>::max())
        fail_at(position, "the device number is out of range");
    return static_cast<std::uint32_t>(number);
}

// Octal, or base-256 with a sign: times before 1970.
std::int64_t time_field(const Block& block, std::uint64_t position) {
    const std::string_view bytes = field(block, 136, 12);
    if (static_cast<unsigned char>(bytes[0]) == 0xff) {
        std::uint64_t value = std::numeric_limits<std::uint64_t>::max();
        for (const char c : bytes.substr(1))
            value = value << 8 | static_cast<unsigned char>(c);
        const bool fits = bytes.substr(1, 3) == "\xff\xff\xff" && (static_cast<unsigned char>(bytes[4]) & 0x80) != 0;
        if (!fits)
            fail_at(position, "the time is out of range");
        return static_cast<std::int64_t>(value);
    }
    const std::optional<std::uint64_t> value = parse_number(bytes);
    if (!value || *value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
        fail_at(position, "the time is no number");
    return static_cast<std::int64_t>(*value);
}

// "-1234.56", to the nanosecond; what is finer is cut off, as Go does it.
Timestamp pax_time(const std::string& text, std::uint64_t position) {
    constexpr std::size_t digits = 9;
    const std::size_t point = std::min(text.find('.'), text.size());
    const std::string_view whole = std::string_view(text).substr(0, point);
    std::string fraction = text.substr(std::min(point + 1, text.size()));
    Timestamp time;
    const auto [end, error] = std::from_chars(whole.data(), whole.data() + whole.size(), time.seconds);
    if (error != std::errc() || end != whole.data() + whole.size() ||
        fraction.find_first_not_of("0123456789") != std::string::npos)
        fail_at(position, fmt::format("the time {} is no number", quote_untrusted(text)));
    fraction.resize(digits, '0');
    std::from_chars(fraction.data(), fraction.data() + digits, time.nanoseconds);
    if (text[0] != '-' || time.nanoseconds == 0)
        return time;
    if (time.seconds == std::numeric_limits<std::int64_t>::min())
        fail_at(position, "the time is out of range");
    return {time.seconds - 1, 1'000'000'000 - time.nanoseconds};
}

bool checksum_matches(const Block& block, std::uint64_t position) {
    constexpr std::size_t offset = 148;
    constexpr std::size_t size = 8;
    std::uint64_t sum = size * ' ';
    std::int64_t signed_sum = static_cast<std::int64_t>(sum); // what some old writers computed
    for (std::size_t i = 0; i < block.size(); ++i) {
        if (i >= offset && i < offset + size)
            continue;
        sum += std::to_integer<std::uint64_t>(block[i]);
        signed_sum += static_cast<signed char>(block[i]);
    }
    const std::uint64_t stored = number_field(block, offset, size, position, "checksum");
    return stored == sum || std::cmp_equal(stored, signed_sum);
}

TarType type_of(char flag) {
    switch (flag) {
    case '0':
    case '\0':
    case '7': // "contiguous"
    case 'S': // sparse, GNU's form
        return TarType::regular;
    case '1':
        return TarType::hard_link;
    case '2':
        return TarType::symlink;
    case '3':
        return TarType::character_device;
    case '4':
        return TarType::block_device;
    case '5':
        return TarType::directory;
    case '6':
        return TarType::fifo;
    default:
        return TarType::other;
    }
}

constexpr std::array<std::string_view, 6> kReadRecords = {"path", "linkpath", "size", "uid", "gid", "mtime"};

constexpr std::string_view kSparse = "GNU.sparse.";
constexpr std::string_view kAttribute = "SCHILY.xattr.";

// GNU keeps times where POSIX has the prefix. Go, where they are no times, takes the prefix nevertheless, and others do
// not: there the name is in doubt.
bool has_doubtful_prefix(const Block& block) {
    if (field(block, 257, 8) != std::string_view("ustar  \0", 8))
        return false;
    for (const std::size_t offset : {std::size_t{345}, std::size_t{357}}) {
        const std::string_view time = field(block, offset, 12);
        const bool binary = (static_cast<unsigned char>(time[0]) & 0x80) != 0;
        if (time[0] != '\0' && !binary && !parse_number(time))
            return true;
    }
    return false;
}

std::string header_path(const Block& block, std::uint64_t position) {
    std::string path = text_field(block, 0, 100);
    if (has_doubtful_prefix(block))
        fail(ErrorKind::unsupported,
             fmt::format("tar, header at {}: a GNU header with a POSIX prefix, which readers take differently",
                         position));
    // The prefix is POSIX's; GNU's own magic, "ustar  ", has other fields there, and star's is shorter.
    if (field(block, 257, 6) != std::string_view("ustar\0", 6))
        return path;
    const bool is_star = field(block, 508, 4) == std::string_view("tar\0", 4);
    const std::string prefix = text_field(block, 345, is_star ? 131 : 155);
    return prefix.empty() ? path : prefix + "/" + path;
}

bool is_link(TarType type) {
    return type == TarType::hard_link || type == TarType::symlink;
}

// What the header itself says of a member.
TarMember member_of(const Block& block, std::uint64_t header) {
    const char flag = field(block, 156, 1)[0];
    TarMember member;
    member.type = type_of(flag);
    if (flag == 'S' || flag == '7' || member.type == TarType::other)
        member.foreign_type = flag;
    member.stored_path = header_path(block, header);
    member.link_target = text_field(block, 157, 100);
    member.permissions = static_cast<std::uint32_t>(number_field(block, 100, 8, header, "mode") & 07777);
    member.uid = number_field(block, 108, 8, header, "owner");
    member.gid = number_field(block, 116, 8, header, "group");
    member.modified.seconds = time_field(block, header);
    if (member.type == TarType::character_device || member.type == TarType::block_device) {
        member.device_major = device_field(block, 329, header);
        member.device_minor = device_field(block, 337, header);
    }
    return member;
}

void apply_records(const std::map<std::string, std::string>& records, std::uint64_t header, TarMember& member,
                   std::uint64_t& size) {
    for (const auto& [key, value] : records) {
        if (value.empty())
            continue; // takes the record back: the header counts
        if (key == "path")
            member.stored_path = value;
        else if (key == "linkpath")
            member.link_target = value;
        else if (key == "size")
            size = decimal(value, header, "size");
        else if (key == "uid")
            member.uid = decimal(value, header, "owner");
        else if (key == "gid")
            member.gid = decimal(value, header, "group");
        else if (key == "mtime")
            member.modified = pax_time(value, header);
        else if (key.starts_with(kAttribute) && key.size() > kAttribute.size())
            member.attributes.push_back({key.substr(kAttribute.size()), value});
    }
}

void settle_names(std::uint64_t header, TarMember& member) {
    if (member.stored_path.find('\0') != std::string::npos)
        fail_at(header, "the name holds NUL");
    const std::optional<std::string> path = clean_path(member.stored_path);
    if (!path)
        fail(ErrorKind::unsafe, fmt::format("tar, header at {}: the name {} leads out of the root", header,
                                            quote_untrusted(member.stored_path)));
    member.path = *path;
    if (!is_link(member.type))
        member.link_target.clear();
    if (std::max(member.path.size(), member.link_target.size()) > kMaxTarPath)
        fail(ErrorKind::limit,
             fmt::format("tar, header at {}: a name of more than {} bytes, which no system can unpack", header,
                         kMaxTarPath));
}

} // namespace

std::optional<std::string> clean_path(std::string_view path) {
    std::string clean;
    clean.reserve(path.size());
    while (!path.empty()) {
        const std::string_view part = path.substr(0, path.find('/'));
        path.remove_prefix(std::min(part.size() + 1, path.size()));
        if (part.empty() || part == ".")
            continue;
        if (part != "..") {
            clean.append(clean.empty() ? "" : "/").append(part);
            continue;
        }
        if (clean.empty())
            return std::nullopt;
        const std::size_t slash = clean.rfind('/');
        clean.resize(slash == std::string::npos ? 0 : slash);
    }
    return clean;
}

TarReader::TarReader(const ByteSource& archive) : archive_(archive) {}

std::string TarReader::read_text(std::uint64_t size, std::string_view what) {
    if (size > kMaxExtendedHeader)
        fail(ErrorKind::limit, fmt::format("tar, header at {}: {} of {} bytes; at most {} are read",
                                           position_ - kTarBlock, what, size, kMaxExtendedHeader));
    std::string text(size, '\0');
    if (archive_.read_some_at(position_, std::as_writable_bytes(std::span(text))) != size)
        fail_at(position_ - kTarBlock, "the archive ends in it");
    position_ += size + tar_padding(size);
    return text;
}

void TarReader::read_pax_records(std::uint64_t size, Records& records) {
    const std::uint64_t header = position_ - kTarBlock;
    const std::string text = read_text(size, "a pax header");
    std::string_view rest = text;
    // Version 0.0 of sparse members gives their pieces one record a number.
    std::string pieces;
    bool expects_offset = true;
    // Some writers fill the header up with NULs.
    while (!rest.empty() && rest[0] != '\0') {
        std::size_t length = 0;
        const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), length);
        const auto digits = static_cast<std::size_t>(end - rest.data());
        if (error != std::errc() || length > rest.size() || length < digits + 3 || rest[digits] != ' ' ||
            rest[length - 1] != '\n')
            fail_at(header, "a pax record is broken");
        const std::string_view record = rest.substr(digits + 1, length - digits - 2);
        const std::size_t equals = record.find('=');
        if (equals == std::string_view::npos || equals == 0)
            fail_at(header, "a pax record is broken");
        const std::string_view key = record.substr(0, equals);
        const std::string_view value = record.substr(equals + 1);
        if (key == "GNU.sparse.offset" || key == "GNU.sparse.numbytes") {
            if (expects_offset != (key == "GNU.sparse.offset") || value.find(',') != std::string_view::npos)
                fail_at(header, "the pieces of a sparse member are out of order");
            expects_offset = !expects_offset;
            pieces.append(pieces.empty() ? "" : ",").append(value);
        } else if (std::ranges::find(kReadRecords, key) != kReadRecords.end() || key.starts_with(kSparse) ||
                   key.starts_with(kAttribute)) {
            records[std::string(key)] = value;
        }
        rest.remove_prefix(length);
    }
    if (!pieces.empty())
        records["GNU.sparse.map"] = pieces;
}

void TarReader::place_content(TarMember& member, const Records& records, std::span<const std::byte> header,
                              std::uint64_t stored) {
    const std::uint64_t begin = position_;
    const bool has_content = member.type == TarType::regular || member.type == TarType::other;
    if (!has_content)
        stored = 0;
    std::optional<SparseLayout> layout;
    const bool is_gnu = std::to_integer<char>(header[156]) == 'S';
    const auto number = [&](std::string_view bytes) {
        const std::optional<std::uint64_t> value = parse_number(bytes);
        if (!value)
            fail_at(begin - kTarBlock, "a number of its sparse map is none");
        return *value;
    };
    with_context(fmt::format("tar, header at {}", begin - kTarBlock), [&] {
        layout = is_gnu ? read_gnu_sparse(header, archive_, begin, number)
                        : read_pax_sparse(records, archive_, begin, stored);
        if (!layout)
            return;
        if (member.type != TarType::regular)
            fail(ErrorKind::corrupt, "a sparse member that is no file");
        // GNU's map stands in front of what the header counts, and that of POSIX 1.0 is part of it.
        check_sparse_layout(*layout, is_gnu ? stored : stored - layout->map_bytes);
        extents_ += layout->extents.size();
        if (extents_ > kMaxTarExtents)
            fail(ErrorKind::limit, "the archive's sparse members have more pieces than are read");
    });
    member.content_offset = begin + (layout ? layout->map_bytes : 0);
    member.content_size = layout ? layout->size : stored;
    const std::uint64_t end = begin + (is_gnu ? layout->map_bytes : 0);
    if (layout)
        member.extents = std::make_shared<const std::vector<TarExtent>>(std::move(layout->extents));
    position_ = checked_add(end, align_up(stored, kTarBlock), "the tar member's end");
}

std::optional<TarReader::Block> TarReader::read_header(const Extended& before) {
    if (++headers_ > kMaxHeaders)
        fail(ErrorKind::limit, fmt::format("the tar has more than {} members", kMaxHeaders));
    const std::uint64_t header = position_;
    Block block;
    const std::size_t got = archive_.read_some_at(position_, block);
    const bool is_end =
        got == 0 || (got == kTarBlock && std::ranges::all_of(block, [](std::byte b) { return b == std::byte{0}; }));
    if (is_end && !before.is_empty())
        fail_at(header, "the archive ends behind an extended header");
    if (is_end)
        return std::nullopt;
    if (got != kTarBlock)
        fail_at(header, "the archive ends in it");
    if (!checksum_matches(block, header))
        fail_at(header, "the checksum does not match");
    position_ += kTarBlock;
    return block;
}

TarReader::HeaderKind TarReader::take_extended(char flag, std::uint64_t size, std::uint64_t header,
                                               Extended& extended) {
    const auto read_name = [&](std::string_view what) {
        std::string name = read_text(size, what);
        name.resize(std::min(name.find('\0'), name.size()));
        return name;
    };
    switch (flag) {
    case 'x':
        extended.records.clear(); // the last one counts, as in Go
        read_pax_records(size, extended.records);
        return HeaderKind::extended;
    case 'L':
        extended.long_name = read_name("a long name");
        return HeaderKind::extended;
    case 'K':
        extended.long_link = read_name("a long link");
        return HeaderKind::extended;
    case 'g':
        break;
    default:
        return HeaderKind::member;
    }
    // Defaults for all that follows, which readers apply or ignore as they like: only comments do no harm.
    if (!extended.is_empty())
        fail(
            ErrorKind::unsupported,
            fmt::format("tar, header at {}: a global header between a member's headers, which readers take differently",
                        header));
    Records global;
    read_pax_records(size, global);
    for (const auto& [key, value] : global)
        if (key != "uid" && key != "gid" && key != "mtime" && !key.starts_with(kAttribute))
            fail(ErrorKind::unsupported, fmt::format("tar, header at {}: a global {}", header, quote_untrusted(key)));
    return HeaderKind::global;
}

TarMember TarReader::read_member(const Block& block, std::uint64_t size, std::uint64_t header, Extended extended) {
    const char flag = field(block, 156, 1)[0];
    TarMember member = member_of(block, header);
    apply_records(extended.records, header, member, size);
    // Of GNU's name and pax's, Go takes GNU's.
    if (extended.long_name && !extended.long_name->empty())
        member.stored_path = *std::move(extended.long_name);
    if (extended.long_link && !extended.long_link->empty())
        member.link_target = *std::move(extended.long_link);
    if (size > kMaxContent)
        fail_at(header, "the size is out of range");
    // Version 7 tar had no type for folders. Only the name that counts in the end tells.
    if (flag == '\0' && member.stored_path.ends_with('/')) {
        if (size != 0)
            fail_at(header, "a folder that has content");
        member.type = TarType::directory;
    }
    // POSIX' sparse members have a name of their own beside one for readers that do not know them.
    if (const auto name = extended.records.find("GNU.sparse.name");
        name != extended.records.end() && !name->second.empty() && flag != 'S')
        member.stored_path = name->second;
    settle_names(header, member);
    place_content(member, extended.records, block, size);
    return member;
}

std::optional<TarMember> TarReader::next() {
    Extended extended;
    for (unsigned count = 0;; ++count) {
        const std::uint64_t header = position_;
        if (count > kMaxExtendedHeaders)
            fail_at(header, fmt::format("more than {} extended headers in front of one member", kMaxExtendedHeaders));
        const std::optional<Block> block = read_header(extended);
        if (!block)
            return std::nullopt;
        const std::uint64_t size = number_field(*block, 124, 12, header, "size");
        if (size > kMaxContent)
            fail_at(header, "the size is out of range");
        const HeaderKind kind = take_extended(field(*block, 156, 1)[0], size, header, extended);
        if (kind == HeaderKind::member)
            return read_member(*block, size, header, std::move(extended));
        if (kind == HeaderKind::global)
            count = 0;
    }
}

} // namespace vm2oci
