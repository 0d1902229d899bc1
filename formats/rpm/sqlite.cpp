// The rows of the table Packages in an SQLite file, and no more of SQLite than that takes (sqlite.org, "Database File
// Format"): tables are trees of pages; long rows go on in chains of overflow pages; a write-ahead log holds newer
// pages.
#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"
#include "formats/rpm/readers.hpp"

#include <algorithm>
#include <bit>
#include <map>
#include <optional>
#include <string_view>

namespace vm2oci::rpm {
namespace {

[[noreturn]] void fail_damaged_sqlite() {
    fail(ErrorKind::corrupt, "the RPM database (SQLite) is damaged");
}

// Where in the log the newest committed state of each page lies.
class Log {
  public:
    Log(const RpmDatabaseFile& database, std::uint32_t page_size) {
        constexpr std::uint64_t kHeader = 32;
        constexpr std::uint64_t kFrameHeader = 24;
        if (database.log == nullptr || database.log_size < kHeader)
            return;
        const std::vector<std::byte> header = read_bytes(*database.log, database.log_size, 0, kHeader);
        const auto magic = load_be<std::uint32_t>(header.data());
        if ((magic & ~1u) != 0x377f0682 || load_be<std::uint32_t>(header.data() + 8) != page_size)
            return; // not begun, as SQLite sees it
        is_big_endian_ = (magic & 1) != 0;
        add(std::span(header).first(24));
        if (!matches(header.data() + 24))
            return;
        std::map<std::uint32_t, std::uint64_t> pending;
        for (std::uint64_t at = kHeader; database.log_size - at >= kFrameHeader + page_size;
             at += kFrameHeader + page_size) {
            const std::vector<std::byte> frame =
                read_bytes(*database.log, database.log_size, at, kFrameHeader + page_size);
            if (!std::equal(frame.begin() + 8, frame.begin() + 16, header.begin() + 16))
                return; // left from before
            add(std::span(frame).first(8));
            add(std::span(frame).subspan(kFrameHeader));
            if (!matches(frame.data() + 16))
                return;
            pending[load_be<std::uint32_t>(frame.data())] = at + kFrameHeader;
            const auto pages = load_be<std::uint32_t>(frame.data() + 4);
            if (pages == 0)
                continue;
            for (const auto& [page, offset] : pending)
                offsets_[page] = offset;
            pending.clear();
            pages_ = pages;
        }
    }

    std::optional<std::uint64_t> find(std::uint32_t page) const {
        const auto found = offsets_.find(page);
        return found == offsets_.end() ? std::nullopt : std::optional(found->second);
    }
    // Of the database after the last commit; nullopt: the log changes nothing.
    std::optional<std::uint32_t> pages() const { return pages_; }

  private:
    void add(std::span<const std::byte> bytes) {
        const auto word = [&](std::size_t at) {
            return is_big_endian_ ? load_be<std::uint32_t>(bytes.data() + at)
                                  : load_le<std::uint32_t>(bytes.data() + at);
        };
        for (std::size_t at = 0; at + 8 <= bytes.size(); at += 8) {
            sum_[0] += word(at) + sum_[1];
            sum_[1] += word(at + 4) + sum_[0];
        }
    }
    bool matches(const std::byte* stored) const {
        return load_be<std::uint32_t>(stored) == sum_[0] && load_be<std::uint32_t>(stored + 4) == sum_[1];
    }

    bool is_big_endian_ = false;
    std::uint32_t sum_[2] = {0, 0};
    std::map<std::uint32_t, std::uint64_t> offsets_;
    std::optional<std::uint32_t> pages_;
};

struct Cursor {
    std::span<const std::byte> bytes;
    std::size_t at = 0;

    std::uint64_t varint() {
        std::uint64_t value = 0;
        for (int i = 0; i < 9; ++i) {
            if (at >= bytes.size())
                fail_damaged_sqlite();
            const auto byte = static_cast<std::uint64_t>(bytes[at++]);
            if (i == 8)
                return value << 8 | byte;
            value = value << 7 | (byte & 0x7f);
            if ((byte & 0x80) == 0)
                break;
        }
        return value;
    }
};

struct Column {
    std::uint64_t type = 0;
    std::span<const std::byte> bytes;

    bool is_text() const { return type >= 13 && type % 2 == 1; }
    bool is_blob() const { return type >= 12 && type % 2 == 0; }
    std::string_view text() const { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }
    std::uint64_t integer() const {
        if (type == 9)
            return 1;
        std::uint64_t value = 0;
        for (const std::byte byte : bytes)
            value = value << 8 | static_cast<std::uint64_t>(byte);
        return type >= 1 && type <= 6 ? value : 0;
    }
};

std::vector<Column> parse_record(std::span<const std::byte> record) {
    constexpr std::uint64_t kSizes[] = {0, 1, 2, 3, 4, 6, 8, 8, 0, 0};
    Cursor header{record};
    const std::uint64_t header_size = header.varint();
    if (header_size > record.size())
        fail_damaged_sqlite();
    header.bytes = record.first(static_cast<std::size_t>(header_size));
    std::vector<Column> columns;
    std::uint64_t at = header_size;
    while (header.at < header.bytes.size()) {
        const std::uint64_t type = header.varint();
        if (type == 10 || type == 11)
            fail_damaged_sqlite();
        const std::uint64_t size = type < 10 ? kSizes[type] : (type - 12) / 2;
        if (size > record.size() - at)
            fail_damaged_sqlite();
        columns.push_back({type, record.subspan(static_cast<std::size_t>(at), static_cast<std::size_t>(size))});
        at += size;
    }
    return columns;
}

class Database {
  public:
    explicit Database(const RpmDatabaseFile& file)
        : file_(file), page_size_(read_page_size(file)), log_(file, page_size_) {
        const std::vector<std::byte> head = page(1);
        usable_ = page_size_ - static_cast<std::uint32_t>(head[20]);
        if (usable_ < 480)
            fail_damaged_sqlite();
        pages_ = log_.pages().value_or(static_cast<std::uint32_t>(file.size / page_size_));
        visited_.resize(std::size_t{pages_} + 1);
    }

    // Rows of the table whose tree begins at `root`, in order.
    template <class Visit>
    void for_each_row(std::uint32_t root, Visit&& visit) {
        std::vector<std::uint32_t> pending{root};
        while (!pending.empty()) {
            const std::uint32_t number = pending.back();
            pending.pop_back();
            const std::vector<std::byte> bytes = enter(number);
            const std::size_t at = number == 1 ? 100 : 0;
            const auto kind = static_cast<unsigned>(bytes[at]);
            const std::size_t cells = load_be<std::uint16_t>(bytes.data() + at + 3);
            constexpr unsigned kInterior = 5;
            constexpr unsigned kLeaf = 13;
            const std::size_t pointers = at + (kind == kInterior ? 12 : 8);
            if ((kind != kInterior && kind != kLeaf) || pointers + 2 * cells > usable_)
                fail_damaged_sqlite();
            if (kind == kInterior)
                pending.push_back(load_be<std::uint32_t>(bytes.data() + at + 8));
            for (std::size_t i = 0; i < cells; ++i) {
                // The last child is visited last: the stack takes them from behind.
                const std::size_t index = kind == kInterior ? cells - 1 - i : i;
                const std::size_t cell = load_be<std::uint16_t>(bytes.data() + pointers + 2 * index);
                if (cell + 4 > usable_)
                    fail_damaged_sqlite();
                if (kind == kInterior)
                    pending.push_back(load_be<std::uint32_t>(bytes.data() + cell));
                else
                    visit(read_payload(bytes, cell));
            }
        }
    }

  private:
    static std::uint32_t read_page_size(const RpmDatabaseFile& file) {
        const std::vector<std::byte> head = read_bytes(*file.file, file.size, 0, 20);
        const std::uint32_t size = load_be<std::uint16_t>(head.data() + 16);
        const std::uint32_t actual = size == 1 ? 65536 : size;
        if (actual < 512 || !std::has_single_bit(actual))
            fail_damaged_sqlite();
        return actual;
    }

    std::vector<std::byte> page(std::uint32_t number) const {
        if (const std::optional<std::uint64_t> in_log = log_.find(number))
            return read_bytes(*file_.log, file_.log_size, *in_log, page_size_);
        return read_bytes(*file_.file, file_.size, (std::uint64_t{number} - 1) * page_size_, page_size_);
    }
    // The same for a page that no other page may name.
    std::vector<std::byte> enter(std::uint32_t number) {
        if (number == 0 || number > pages_ || visited_[number])
            fail_damaged_sqlite();
        visited_[number] = true;
        return page(number);
    }

    std::vector<std::byte> read_payload(const std::vector<std::byte>& bytes, std::size_t cell) {
        Cursor cursor{std::span(bytes).first(usable_), cell};
        const std::uint64_t size = cursor.varint();
        cursor.varint(); // the row's number
        if (size > std::uint64_t{pages_} * page_size_)
            fail_damaged_sqlite();
        // How much of a row stays in its page: "Cell payload overflow pages" in the format's description.
        std::uint64_t local = size;
        if (const std::uint64_t most = usable_ - 35; size > most) {
            const std::uint64_t least = (usable_ - 12) * 32 / 255 - 23;
            local = least + (size - least) % (usable_ - 4);
            if (local > most)
                local = least;
        }
        if (local + (local < size ? 4 : 0) > usable_ - cursor.at)
            fail_damaged_sqlite();
        const auto begin = bytes.begin() + static_cast<std::ptrdiff_t>(cursor.at);
        std::vector<std::byte> payload(begin, begin + static_cast<std::ptrdiff_t>(local));
        if (local == size)
            return payload;
        std::uint32_t next = load_be<std::uint32_t>(bytes.data() + cursor.at + local);
        while (payload.size() < size) {
            const std::vector<std::byte> overflow = enter(next);
            next = load_be<std::uint32_t>(overflow.data());
            const std::uint64_t step = std::min<std::uint64_t>(usable_ - 4, size - payload.size());
            payload.insert(payload.end(), overflow.begin() + 4,
                           overflow.begin() + 4 + static_cast<std::ptrdiff_t>(step));
        }
        return payload;
    }

    const RpmDatabaseFile& file_;
    std::uint32_t page_size_;
    Log log_;
    std::uint32_t usable_ = 0;
    std::uint32_t pages_ = 0;
    std::vector<bool> visited_;
};

} // namespace

void read_sqlite(const RpmDatabaseFile& file, const VisitRpmHeader& visit) {
    Database database(file);
    std::uint64_t root = 0;
    database.for_each_row(1, [&](const std::vector<std::byte>& row) {
        // type, name, table, root page, SQL
        const std::vector<Column> columns = parse_record(row);
        if (columns.size() >= 4 && columns[0].is_text() && columns[0].text() == "table" && columns[1].is_text() &&
            columns[1].text() == "Packages")
            root = columns[3].integer();
    });
    if (root == 0 || root > 0xffffffff)
        fail(ErrorKind::corrupt, "the RPM database holds no table of packages");
    database.for_each_row(static_cast<std::uint32_t>(root), [&](const std::vector<std::byte>& row) {
        // hnum, which is the row's number, and blob
        const std::vector<Column> columns = parse_record(row);
        if (columns.size() < 2 || !columns[1].is_blob())
            fail_damaged_sqlite();
        visit(columns[1].bytes);
    });
}

} // namespace vm2oci::rpm
