// The hash access method of Berkeley DB, versions 8 to 10, as rpm before 2020 kept its Packages in it. Every package is
// an item of a page, or, as nearly all are, a chain of pages (db_page.h, hash.h).
#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"
#include "formats/rpm/readers.hpp"

#include <algorithm>
#include <bit>

namespace vm2oci::rpm {
namespace {

constexpr std::uint32_t kMagic = 0x061561;
constexpr std::size_t kPageHeader = 26;
enum PageType : unsigned { kUnsortedHash = 2, kOverflow = 7, kHash = 13 };
enum ItemType : unsigned { kKeyData = 1, kOffPage = 3 };

[[noreturn]] void fail_damaged_hash() {
    fail(ErrorKind::corrupt, "the RPM database (Berkeley DB) is damaged");
}

class HashFile {
  public:
    HashFile(const RpmDatabaseFile& database, const VisitRpmHeader& visit) : database_(database), visit_(visit) {
        const std::vector<std::byte> meta = read_bytes(*database.file, database.size, 0, 32);
        swapped_ = load_le<std::uint32_t>(meta.data() + 12) != kMagic;
        page_size_ = number<std::uint32_t>(meta, 20);
        if (page_size_ < 512 || page_size_ > 65536 || !std::has_single_bit(page_size_))
            fail_damaged_hash();
        if (meta[24] != std::byte{0})
            fail(ErrorKind::unsupported, "the RPM database is encrypted");
        pages_ = database.size / page_size_;
    }

    void read() {
        for (std::uint64_t page = 1; page < pages_; ++page) {
            const std::vector<std::byte> bytes = load(page);
            const auto type = static_cast<unsigned>(bytes[25]);
            if (type == kHash || type == kUnsortedHash)
                read_items(bytes);
        }
    }

  private:
    template <class Integer>
    Integer number(const std::vector<std::byte>& bytes, std::size_t at) const {
        if (at + sizeof(Integer) > bytes.size())
            fail_damaged_hash();
        const auto value = load_le<Integer>(bytes.data() + at);
        return swapped_ ? byte_swap(value) : value;
    }

    std::vector<std::byte> load(std::uint64_t page) const {
        return read_bytes(*database_.file, database_.size, page * page_size_, page_size_);
    }

    // Keys and values in turn.
    void read_items(const std::vector<std::byte>& page) {
        const std::size_t count = number<std::uint16_t>(page, 20);
        for (std::size_t i = 1; i < count; i += 2) {
            const std::size_t at = number<std::uint16_t>(page, kPageHeader + 2 * i);
            const std::size_t end = number<std::uint16_t>(page, kPageHeader + 2 * (i - 1));
            if (at >= end || end > page.size())
                fail_damaged_hash();
            const auto type = static_cast<unsigned>(page[at]);
            // The item with key 0 counts packages.
            if (type == kKeyData && end - at - 1 > 4)
                visit_(std::span(page).subspan(at + 1, end - at - 1));
            else if (type == kOffPage)
                visit_(read_chain(number<std::uint32_t>(page, at + 4), number<std::uint32_t>(page, at + 8)));
        }
    }

    std::vector<std::byte> read_chain(std::uint64_t page, std::uint64_t length) {
        if (length > database_.size)
            fail_damaged_hash();
        std::vector<std::byte> content;
        while (content.size() < length) {
            if (++followed_ > pages_) // chains that share pages, or go in circles
                fail_damaged_hash();
            const std::vector<std::byte> bytes = load(page);
            const std::size_t used = number<std::uint16_t>(bytes, 22);
            if (static_cast<unsigned>(bytes[25]) != kOverflow || used == 0 || used > bytes.size() - kPageHeader)
                fail_damaged_hash();
            const auto begin = bytes.begin() + kPageHeader;
            content.insert(content.end(), begin,
                           begin + static_cast<std::ptrdiff_t>(std::min<std::uint64_t>(used, length - content.size())));
            page = number<std::uint32_t>(bytes, 16);
            if (page == 0 && content.size() < length)
                fail_damaged_hash();
        }
        return content;
    }

    const RpmDatabaseFile& database_;
    const VisitRpmHeader& visit_;
    bool swapped_ = false;
    std::uint32_t page_size_ = 0;
    std::uint64_t pages_ = 0;
    std::uint64_t followed_ = 0;
};

} // namespace

void read_berkeley_hash(const RpmDatabaseFile& database, const VisitRpmHeader& visit) {
    HashFile(database, visit).read();
}

} // namespace vm2oci::rpm
