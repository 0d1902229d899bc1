#include "formats/rpm/header.hpp"

#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"

#include <cstring>
#include <map>
#include <string_view>

namespace vm2oci {
namespace {

// rpm's tags and types of data, as far as they are read (lib/rpmtag.h).
enum class Tag : std::uint32_t {
    name = 1000,
    version = 1001,
    release = 1002,
    epoch = 1003,
    vendor = 1011,
    license = 1014,
    architecture = 1022,
    file_flags = 1037,
    source_rpm = 1044,
    directory_indexes = 1116,
    base_names = 1117,
    directory_names = 1118,
};
constexpr std::uint32_t kInt32 = 4;
constexpr std::uint32_t kString = 6;
constexpr std::uint32_t kStringArray = 8;
constexpr std::uint32_t kTranslatedString = 9;
constexpr std::uint32_t kConfigurationFlag = 1;

[[noreturn]] void fail_damaged_header() {
    fail(ErrorKind::corrupt, "the header of an RPM package is damaged");
}

class Header {
  public:
    explicit Header(std::span<const std::byte> bytes) {
        constexpr std::size_t kEntry = 16;
        if (bytes.size() < 8)
            fail_damaged_header();
        const auto tags = load_be<std::uint32_t>(bytes.data());
        const auto size = load_be<std::uint32_t>(bytes.data() + 4);
        if (tags > kMaxRpmTags || size > kMaxRpmHeaderSize)
            fail(ErrorKind::limit, "the header of an RPM package is larger than rpm allows");
        if (bytes.size() < 8 + tags * kEntry + std::size_t{size})
            fail_damaged_header();
        for (std::uint32_t i = 0; i < tags; ++i) {
            const std::byte* entry = bytes.data() + 8 + i * kEntry;
            entries_[load_be<std::uint32_t>(entry)] = {load_be<std::uint32_t>(entry + 4),
                                                       load_be<std::uint32_t>(entry + 8),
                                                       load_be<std::uint32_t>(entry + 12)};
        }
        store_ = bytes.subspan(8 + tags * kEntry, size);
    }

    std::string text(Tag tag) const {
        const Entry* entry = find(tag);
        if (entry == nullptr || (entry->type != kString && entry->type != kTranslatedString))
            return {};
        std::size_t at = entry->offset;
        return std::string(take_text(at));
    }
    std::vector<std::string_view> texts(Tag tag) const {
        const Entry* entry = find(tag);
        if (entry == nullptr || entry->type != kStringArray)
            return {};
        check_count(*entry);
        std::vector<std::string_view> all;
        std::size_t at = entry->offset;
        for (std::uint32_t i = 0; i < entry->count; ++i)
            all.push_back(take_text(at));
        return all;
    }
    std::vector<std::uint32_t> numbers(Tag tag) const {
        const Entry* entry = find(tag);
        if (entry == nullptr || entry->type != kInt32)
            return {};
        check_count(*entry);
        if (entry->offset > store_.size() || (store_.size() - entry->offset) / 4 < entry->count)
            fail_damaged_header();
        std::vector<std::uint32_t> all;
        for (std::uint32_t i = 0; i < entry->count; ++i)
            all.push_back(load_be<std::uint32_t>(store_.data() + entry->offset + std::size_t{4} * i));
        return all;
    }

  private:
    struct Entry {
        std::uint32_t type;
        std::uint32_t offset;
        std::uint32_t count;
    };

    const Entry* find(Tag tag) const {
        const auto found = entries_.find(static_cast<std::uint32_t>(tag));
        return found == entries_.end() ? nullptr : &found->second;
    }
    static void check_count(const Entry& entry) {
        if (entry.count > kMaxRpmFiles)
            fail(ErrorKind::limit, "an RPM package has more files than any real one");
    }
    std::string_view take_text(std::size_t& at) const {
        if (at >= store_.size())
            fail_damaged_header();
        const char* begin = reinterpret_cast<const char*>(store_.data()) + at;
        const void* end = std::memchr(begin, 0, store_.size() - at);
        if (end == nullptr)
            fail_damaged_header();
        const std::string_view text(begin, static_cast<std::size_t>(static_cast<const char*>(end) - begin));
        at += text.size() + 1;
        return text;
    }

    std::map<std::uint32_t, Entry> entries_;
    std::span<const std::byte> store_;
};

std::vector<RpmFile> read_files(const Header& header) {
    const std::vector<std::string_view> names = header.texts(Tag::base_names);
    const std::vector<std::string_view> folders = header.texts(Tag::directory_names);
    const std::vector<std::uint32_t> indexes = header.numbers(Tag::directory_indexes);
    const std::vector<std::uint32_t> flags = header.numbers(Tag::file_flags);
    if (indexes.size() != names.size())
        fail_damaged_header();
    std::vector<RpmFile> files;
    std::size_t total = 0;
    for (std::size_t i = 0; i < names.size(); ++i) {
        if (indexes[i] >= folders.size())
            fail_damaged_header();
        RpmFile file{std::string(folders[indexes[i]]) + std::string(names[i]),
                     i < flags.size() && (flags[i] & kConfigurationFlag) != 0};
        total += file.path.size();
        if (total > kMaxRpmHeaderSize) // long folders, named again and again
            fail(ErrorKind::limit, "the names of an RPM package's files are longer than any real ones");
        files.push_back(std::move(file));
    }
    return files;
}

} // namespace

std::string RpmPackage::full_version() const {
    return (epoch ? std::to_string(*epoch) + ":" : "") + version + (release.empty() ? "" : "-" + release);
}

RpmPackage parse_rpm_header(std::span<const std::byte> bytes, RpmFiles files) {
    const Header header(bytes);
    RpmPackage package;
    package.name = header.text(Tag::name);
    if (package.name.empty())
        fail_damaged_header();
    if (const std::vector<std::uint32_t> epoch = header.numbers(Tag::epoch); !epoch.empty())
        package.epoch = epoch.front();
    package.version = header.text(Tag::version);
    package.release = header.text(Tag::release);
    package.architecture = header.text(Tag::architecture);
    package.license = header.text(Tag::license);
    package.vendor = header.text(Tag::vendor);
    package.source = header.text(Tag::source_rpm);
    if (files == RpmFiles::read)
        package.files = read_files(header);
    return package;
}

} // namespace vm2oci
