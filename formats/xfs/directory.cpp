#include "formats/xfs/directory.hpp"

#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace vm2oci::xfs {
namespace {

constexpr std::uint32_t kSingleMagic4 = 0x58443242; // "XD2B": names and their index in one block
constexpr std::uint32_t kSingleMagic5 = 0x58444233; // "XDB3"
constexpr std::uint32_t kNamesMagic4 = 0x58443244;  // "XD2D"
constexpr std::uint32_t kNamesMagic5 = 0x58444433;  // "XDD3"
constexpr std::size_t kNamesHeader4 = 16;
constexpr std::size_t kNamesHeader5 = 64;
constexpr std::size_t kEntryHead = 9;  // inode number, length of the name
constexpr std::size_t kEntryTag = 2;   // its own place in the block
constexpr std::size_t kEntryUnit = 8;  // what entries are multiples of
constexpr std::size_t kSingleTail = 8; // how many index entries there are, and how many of them are stale
constexpr std::size_t kIndexEntry = 8;
constexpr unsigned kUnusedTag = 0xffff;
// Names lie in the first 32 GiB, their index behind them.
constexpr std::uint64_t kNamesEnd = std::uint64_t{32} << 30;

class FolderReader {
  public:
    FolderReader(const Volume& volume, const Inode& inode) : volume_(volume), inode_(inode) {}

    void add_short_form() {
        const std::span<const std::byte> all = inode_.data.bytes;
        if (inode_.size > all.size() || inode_.size < 6)
            damaged();
        const std::span<const std::byte> bytes = all.first(static_cast<std::size_t>(inode_.size));
        const std::size_t count = std::to_integer<std::size_t>(bytes[0]);
        const std::size_t width = bytes[1] != std::byte{0} ? 8 : 4; // of inode numbers
        const std::size_t type_bytes = has_types() ? 1 : 0;
        std::size_t at = 2 + width;
        for (std::size_t i = 0; i < count; ++i) {
            if (at >= bytes.size())
                damaged();
            const std::size_t name_length = std::to_integer<std::size_t>(bytes[at]);
            const std::size_t name_at = at + 3; // behind the place that the entry would have in a block
            const std::size_t number_at = name_at + name_length + type_bytes;
            if (number_at + width > bytes.size())
                damaged();
            const std::uint64_t number = width == 8 ? load_be<std::uint64_t>(bytes.data() + number_at)
                                                    : load_be<std::uint32_t>(bytes.data() + number_at);
            add(text(bytes, name_at, name_length), number);
            at = number_at + width;
        }
        if (at != bytes.size())
            damaged();
    }

    void add_blocks() {
        const std::uint64_t block_size = volume_.geometry().block_size;
        const std::uint64_t in_block = volume_.geometry().folder_block_size / block_size;
        const std::vector<MappedExtent> extents = read_extents(volume_, inode_, inode_.data);
        check_unshared(extents, inode_.number);
        std::vector<std::byte> block(static_cast<std::size_t>(volume_.geometry().folder_block_size));
        std::uint64_t next = 0; // all before is read
        std::uint64_t total = 0;
        for (const MappedExtent& extent : extents) {
            if (extent.logical >= kNamesEnd / block_size)
                break;
            next = std::max(next, extent.logical / in_block * in_block);
            for (; next < std::min(extent.end(), kNamesEnd / block_size); next += in_block) {
                total += block.size();
                if (total > kMaxFolderBytes)
                    too_large();
                add_block(block, next, read_mapped(volume_, extents, next, block, "a folder"));
            }
        }
        if (total == 0)
            damaged();
        if (is_single_ && total != block.size())
            damaged();
    }

    std::vector<DirectoryEntry> finish() {
        std::sort(entries_.begin(), entries_.end(),
                  [](const DirectoryEntry& a, const DirectoryEntry& b) { return a.name < b.name; });
        for (std::size_t i = 1; i < entries_.size(); ++i)
            if (entries_[i].name == entries_[i - 1].name)
                fail(ErrorKind::corrupt, fmt::format("the folder in inode {} holds one name twice", inode_.number));
        return std::move(entries_);
    }

  private:
    [[noreturn]] void damaged() const {
        fail(ErrorKind::corrupt, fmt::format("the folder in inode {} is damaged", inode_.number));
    }
    [[noreturn]] void too_large() const {
        fail(ErrorKind::limit, fmt::format("the folder in inode {} is larger than any real one", inode_.number));
    }
    bool has_types() const { return volume_.geometry().file_types == FileTypes::in_entries; }
    static std::string_view text(std::span<const std::byte> bytes, std::size_t at, std::size_t length) {
        return {reinterpret_cast<const char*>(bytes.data() + at), length};
    }

    void add(std::string_view name, std::uint64_t number) {
        if (name == "." || name == "..") {
            if (++own_entries_ > 2)
                fail(ErrorKind::corrupt, fmt::format("the folder in inode {} names itself twice", inode_.number));
            return;
        }
        if (!is_valid_file_name(name))
            fail(ErrorKind::corrupt, fmt::format("the folder in inode {} holds a name that cannot be", inode_.number));
        constexpr std::size_t kNameWithin = 15; // what a string holds without memory of its own
        memory_ += sizeof(DirectoryEntry) + (name.size() > kNameWithin ? name.size() + 17 : 0);
        if (memory_ > kMaxFolderMemory)
            too_large();
        entries_.push_back({std::string(name), NodeId{number}});
    }

    void add_block(std::span<const std::byte> block, std::uint64_t number, std::uint64_t offset) {
        const std::uint32_t magic = load_be<std::uint32_t>(block.data());
        const bool is_v5 = volume_.is_v5();
        const bool is_single = magic == (is_v5 ? kSingleMagic5 : kSingleMagic4);
        if ((!is_single && magic != (is_v5 ? kNamesMagic5 : kNamesMagic4)) || (is_single && number != 0))
            damaged();
        volume_.check_header(block, offset, kFolderDataHeader, inode_.number, "a folder");
        std::size_t end = block.size();
        if (is_single) {
            is_single_ = true;
            end -= kSingleTail;
            const std::uint32_t indexed = load_be<std::uint32_t>(block.data() + end);
            if (indexed > end / kIndexEntry)
                damaged();
            end -= indexed * kIndexEntry;
        }
        add_entries(block.first(end), is_v5 ? kNamesHeader5 : kNamesHeader4);
    }

    void add_entries(std::span<const std::byte> bytes, std::size_t at) {
        if (at > bytes.size())
            damaged();
        while (at < bytes.size()) {
            if (bytes.size() - at < kEntryUnit)
                damaged();
            const std::byte* entry = bytes.data() + at;
            if (load_be<std::uint16_t>(entry) == kUnusedTag) {
                const std::size_t length = load_be<std::uint16_t>(entry + 2);
                if (length == 0 || length % kEntryUnit != 0 || length > bytes.size() - at)
                    damaged();
                at += length;
                continue;
            }
            if (bytes.size() - at < kEntryHead)
                damaged();
            const std::size_t name_length = std::to_integer<std::size_t>(entry[8]);
            const std::size_t used = kEntryHead + name_length + (has_types() ? 1 : 0) + kEntryTag;
            const std::size_t length = (used + kEntryUnit - 1) / kEntryUnit * kEntryUnit;
            if (length > bytes.size() - at || load_be<std::uint16_t>(entry + length - kEntryTag) != at)
                damaged();
            add(text(bytes, at + kEntryHead, name_length), load_be<std::uint64_t>(entry));
            at += length;
        }
    }

    const Volume& volume_;
    const Inode& inode_;
    std::vector<DirectoryEntry> entries_;
    std::uint64_t memory_ = 0;
    unsigned own_entries_ = 0; // "." and ".."
    bool is_single_ = false;
};

} // namespace

std::vector<DirectoryEntry> read_folder(const Volume& volume, const Inode& inode) {
    FolderReader reader(volume, inode);
    if (inode.data.format == ForkFormat::local)
        reader.add_short_form();
    else
        reader.add_blocks();
    return reader.finish();
}

} // namespace vm2oci::xfs
