#include "formats/block/vmdk/descriptor.hpp"

#include "formats/base/ascii.hpp"
#include "formats/base/checked.hpp"
#include "formats/base/escape.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace vm2oci::vmdk {
namespace {

struct TypeName {
    std::string_view name;
    ExtentType type;
};
constexpr std::array kTypeNames = {
    TypeName{"SPARSE", ExtentType::sparse},      TypeName{"FLAT", ExtentType::flat},
    TypeName{"VMFS", ExtentType::vmfs},          TypeName{"VMFSSPARSE", ExtentType::vmfs_sparse},
    TypeName{"SESPARSE", ExtentType::se_sparse}, TypeName{"ZERO", ExtentType::zero},
};

// The kinds of disks that consist of nothing but files.
constexpr std::array<std::string_view, 8> kCreateTypes = {
    "monolithicSparse", "monolithicFlat", "twoGbMaxExtentSparse", "twoGbMaxExtentFlat", "vmfs",
    "vmfsSparse",       "seSparse",       "streamOptimized"};

bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r';
}

std::string_view trim(std::string_view text) {
    while (!text.empty() && is_blank(text.front()))
        text.remove_prefix(1);
    while (!text.empty() && is_blank(text.back()))
        text.remove_suffix(1);
    return text;
}

// The next word of a line, which loses it.
std::string_view take_word(std::string_view& line) {
    line = trim(line);
    const auto end = std::ranges::find_if(line, is_blank) - line.begin();
    const std::string_view word = line.substr(0, static_cast<std::size_t>(end));
    line.remove_prefix(word.size());
    return word;
}

std::optional<std::uint64_t> parse_number(std::string_view text, int base) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
    return error == std::errc() && end == text.data() + text.size() && !text.empty() ? std::optional(value)
                                                                                     : std::nullopt;
}

[[noreturn]] void fail_line(std::string_view line, std::string_view problem) {
    fail(ErrorKind::corrupt, fmt::format("the descriptor's line {} {}", quote_untrusted(line, 80), problem));
}

std::uint32_t parse_content_id(std::string_view value, std::string_view line) {
    const std::optional<std::uint64_t> id = parse_number(value, 16);
    if (!id || *id > 0xffffffff)
        fail_line(line, "holds no content ID");
    return static_cast<std::uint32_t>(*id);
}

// ACCESS SECTORS TYPE ["NAME" [OFFSET]]
ExtentLine parse_extent(std::string_view line) {
    std::string_view rest = line;
    const std::string_view access = take_word(rest);
    if (access != "RW")
        fail(ErrorKind::unsupported, fmt::format("the descriptor's extent {} is not for reading and writing, and other "
                                                 "readers leave it out; convert the disk with the tool that made it",
                                                 quote_untrusted(line, 80)));
    ExtentLine extent;
    const std::optional<std::uint64_t> sectors = parse_number(take_word(rest), 10);
    if (!sectors || *sectors == 0)
        fail_line(line, "tells no size");
    extent.sectors = *sectors;
    const std::string_view type = take_word(rest);
    const auto found = std::ranges::find(kTypeNames, type, &TypeName::name);
    if (found == kTypeNames.end())
        fail(
            ErrorKind::unsupported,
            fmt::format("the descriptor's extent {} is of a kind that is not read here; convert the disk with the tool "
                        "that made it",
                        quote_untrusted(line, 80)));
    extent.type = found->type;
    rest = trim(rest);
    if (extent.type == ExtentType::zero) {
        if (!rest.empty())
            fail_line(line, "has something behind its type");
        return extent;
    }
    const std::size_t close = rest.starts_with('"') ? rest.find('"', 1) : std::string_view::npos;
    if (close == std::string_view::npos || close == 1)
        fail_line(line, "names no file");
    extent.name = rest.substr(1, close - 1);
    const std::string_view offset = trim(rest.substr(close + 1));
    const bool is_flat = extent.type == ExtentType::flat || extent.type == ExtentType::vmfs;
    if (offset.empty() && extent.type != ExtentType::flat)
        return extent;
    const std::optional<std::uint64_t> file_sector = parse_number(offset, 10);
    if (!is_flat || !file_sector)
        fail_line(line, is_flat ? "tells no place in its file" : "has something behind its name");
    extent.file_sector = *file_sector;
    return extent;
}

bool is_extent_line(std::string_view line) {
    return std::ranges::any_of(std::array<std::string_view, 3>{"RW", "RDONLY", "NOACCESS"}, [&](std::string_view word) {
        return line.starts_with(word) && line.size() > word.size() && is_blank(line[word.size()]);
    });
}

std::string_view unquote(std::string_view value) {
    return value.size() >= 2 && value.front() == '"' && value.back() == '"' ? value.substr(1, value.size() - 2) : value;
}

// Takes each key once at most: two readers may differ on which one counts.
class DescriptorParser {
  public:
    void add_line(std::string_view line) {
        line = trim(line);
        if (line.empty() || line.starts_with('#'))
            return;
        if (is_extent_line(line)) {
            if (result_.extents.size() == kMaxExtents)
                fail(ErrorKind::limit, fmt::format("the disk has more than {} extents", kMaxExtents));
            result_.extents.push_back(parse_extent(line));
            return;
        }
        const std::size_t equals = line.find('=');
        if (equals == std::string_view::npos)
            fail_line(line, "is neither an extent nor a setting");
        add_setting(trim(line.substr(0, equals)), trim(line.substr(equals + 1)), line);
    }
    Descriptor finish();

  private:
    void add_setting(std::string_view written_key, std::string_view value, std::string_view line);

    Descriptor result_;
    std::optional<std::string> version_;
    std::optional<std::string> create_type_;
    std::optional<std::uint32_t> content_id_;
    std::optional<std::uint32_t> parent_content_id_;
};

// VMware does not tell the letters of keys apart.
void DescriptorParser::add_setting(std::string_view written_key, std::string_view value, std::string_view line) {
    const std::string key = to_lower_ascii(written_key);
    const auto once = [&](const auto& taken) {
        if (taken)
            fail_line(line, "repeats a setting");
    };
    if (key == "version") {
        once(version_);
        version_ = value;
    } else if (key == "createtype") {
        once(create_type_);
        create_type_ = unquote(value);
    } else if (key == "cid") {
        once(content_id_);
        content_id_ = parse_content_id(value, line);
    } else if (key == "parentcid") {
        once(parent_content_id_);
        parent_content_id_ = parse_content_id(value, line);
    } else if (key == "parentfilenamehint") {
        result_.parent_hint = unquote(value);
    } else if (key == "isnativesnapshot" && unquote(value) != "no") {
        fail(ErrorKind::unsupported, "the disk is a snapshot that its storage keeps, and its data is not in its files");
    }
}

Descriptor DescriptorParser::finish() {
    if (!version_)
        fail(ErrorKind::corrupt, "the descriptor of the VMDK tells no version");
    if (*version_ != "1" && *version_ != "2" && *version_ != "3")
        fail(ErrorKind::unsupported,
             fmt::format("version {} of VMDK descriptors is not known here", quote_untrusted(*version_, 20)));
    if (!create_type_)
        fail(ErrorKind::corrupt, "the descriptor of the VMDK tells no createType");
    if (std::ranges::find(kCreateTypes, *create_type_) == kCreateTypes.end())
        fail(ErrorKind::unsupported, fmt::format("the VMDK is of the kind {}, which is not read here; convert it with "
                                                 "the tool that made it",
                                                 quote_untrusted(*create_type_, 40)));
    if (!content_id_)
        fail(ErrorKind::corrupt, "the descriptor of the VMDK tells no content ID (CID)");
    // Without it nobody knows whether the disk is whole.
    if (!parent_content_id_)
        fail(ErrorKind::corrupt, "the descriptor of the VMDK does not tell whether it has a parent (parentCID)");
    if (result_.extents.empty())
        fail(ErrorKind::corrupt, "the descriptor of the VMDK names no extents");
    result_.create_type = *create_type_;
    result_.content_id = *content_id_;
    constexpr std::uint32_t kNoParent = 0xffffffff;
    if (*parent_content_id_ != kNoParent)
        result_.parent_content_id = parent_content_id_;
    return std::move(result_);
}

} // namespace

std::string_view to_string(ExtentType type) {
    return std::ranges::find(kTypeNames, type, &TypeName::type)->name;
}

std::uint64_t Descriptor::sectors() const {
    std::uint64_t sum = 0;
    for (const ExtentLine& extent : extents)
        sum = checked_add(sum, extent.sectors, "size of the disk");
    checked_multiply(sum, kSectorBytes, "size of the disk");
    return sum;
}

Descriptor parse_descriptor(std::string_view text) {
    if (text.size() > kMaxDescriptorBytes)
        fail(ErrorKind::limit,
             fmt::format("the VMDK descriptor has {} bytes; the limit is {}", text.size(), kMaxDescriptorBytes));
    if (text.starts_with("\xff\xfe") || text.starts_with("\xfe\xff"))
        fail(ErrorKind::unsupported,
             "the descriptor of the VMDK is written in UTF-16, which VMware does not read, either; save it as UTF-8");
    if (text.starts_with("\xef\xbb\xbf")) // of an editor
        text.remove_prefix(3);
    text = text.substr(0, text.find('\0'));
    DescriptorParser parser;
    while (!text.empty()) {
        const std::size_t end = text.find('\n');
        parser.add_line(text.substr(0, end));
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    }
    return parser.finish();
}

} // namespace vm2oci::vmdk
