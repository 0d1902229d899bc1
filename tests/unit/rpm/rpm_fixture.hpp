// Headers and databases of rpm, made by the formats' descriptions: rpm's docs/format.md and lib/backend/ndb/rpmpkg.c,
// Berkeley DB's dbinc/db_page.h and hash.h.
#pragma once

#include "formats/base/error.hpp"
#include "formats/rpm/database.hpp"
#include "formats/rpm/header.hpp"
#include "tests/support/memory_source.hpp"

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci::test {

inline void append_number(std::string& bytes, std::uint64_t value, unsigned size, bool big_endian) {
    for (unsigned i = 0; i < size; ++i)
        bytes += static_cast<char>(value >> 8 * (big_endian ? size - 1 - i : i));
}

inline void put_number(std::string& bytes, std::size_t at, std::uint64_t value, unsigned size,
                       bool big_endian = false) {
    std::string raw;
    append_number(raw, value, size, big_endian);
    bytes.replace(at, size, raw);
}

// A header as a database keeps it: without magic, numbers big-endian, entries in the order of their tags.
class RpmHeaderText {
  public:
    RpmHeaderText& entry(std::uint32_t tag, std::uint32_t type, std::uint32_t offset, std::uint32_t count) {
        for (const std::uint32_t value : {tag, type, offset, count})
            append_number(entries_, value, 4, true);
        return *this;
    }
    RpmHeaderText& text(std::uint32_t tag, std::string_view value, std::uint32_t type = 6) {
        entry(tag, type, size(), 1);
        store_ += std::string(value) + '\0';
        return *this;
    }
    RpmHeaderText& texts(std::uint32_t tag, const std::vector<std::string>& values) {
        entry(tag, 8, size(), static_cast<std::uint32_t>(values.size()));
        for (const std::string& value : values)
            store_ += value + '\0';
        return *this;
    }
    RpmHeaderText& numbers(std::uint32_t tag, const std::vector<std::uint32_t>& values) {
        store_.resize((store_.size() + 3) / 4 * 4);
        entry(tag, 4, size(), static_cast<std::uint32_t>(values.size()));
        for (const std::uint32_t value : values)
            append_number(store_, value, 4, true);
        return *this;
    }
    std::string bytes() const {
        std::string bytes;
        append_number(bytes, entries_.size() / 16, 4, true);
        append_number(bytes, store_.size(), 4, true);
        return bytes + entries_ + store_;
    }

  private:
    std::uint32_t size() const { return static_cast<std::uint32_t>(store_.size()); }

    std::string entries_;
    std::string store_;
};

// What every package has.
inline std::string header_of(const std::string& name, const std::string& version, const std::string& release) {
    return RpmHeaderText().text(1000, name).text(1001, version).text(1002, release).text(1022, "x86_64").bytes();
}

// The hash of Berkeley DB.
class BerkeleyFile {
  public:
    struct Item {
        unsigned type; // 1 key or data, 3 a chain of pages
        std::string bytes;
    };

    explicit BerkeleyFile(std::uint32_t page_size, bool big_endian = false)
        : page_size_(page_size), big_endian_(big_endian) {
        std::string meta(page_size, '\0');
        number(meta, 12, 0x061561, 4);
        number(meta, 16, 9, 4); // the version that RHEL 6 has
        number(meta, 20, page_size, 4);
        meta[25] = 8; // a page of what is true of the whole
        bytes_ = meta;
    }

    // A page of keys and data in turn; items lie from its end downwards.
    BerkeleyFile& page(const std::vector<Item>& items, unsigned type = 13) {
        std::string page = empty_page(type);
        number(page, 20, items.size(), 2);
        std::size_t end = page_size_;
        for (std::size_t i = 0; i < items.size(); ++i) {
            const std::string raw = static_cast<char>(items[i].type) + items[i].bytes;
            end -= raw.size();
            page.replace(end, raw.size(), raw);
            number(page, 26 + 2 * i, end, 2);
        }
        bytes_ += page;
        return *this;
    }
    // An item that names the chain of pages which is added next but one.
    Item chained(std::uint32_t first_page, std::size_t length) const {
        std::string raw(3, '\0');
        append_number(raw, first_page, 4, big_endian_);
        append_number(raw, length, 4, big_endian_);
        return {3, raw};
    }
    BerkeleyFile& chain(const std::string& content) {
        const std::size_t room = page_size_ - 26;
        for (std::size_t at = 0; at < content.size(); at += room) {
            std::string page = empty_page(7);
            const std::string part = content.substr(at, room);
            if (at + room < content.size())
                number(page, 16, pages() + 1, 4);
            number(page, 20, 1, 2); // counts who names it
            number(page, 22, part.size(), 2);
            page.replace(26, part.size(), part);
            bytes_ += page;
        }
        return *this;
    }
    BerkeleyFile& other_page(unsigned type) {
        std::string page = empty_page(type);
        std::fill(page.begin() + 26, page.end(), '\x5a');
        number(page, 20, 4, 2);
        bytes_ += page;
        return *this;
    }
    std::uint32_t pages() const { return static_cast<std::uint32_t>(bytes_.size() / page_size_); }
    const std::string& bytes() const { return bytes_; }
    Item key(std::uint32_t number) const {
        std::string raw;
        append_number(raw, number, 4, big_endian_);
        return {1, raw};
    }

  private:
    void number(std::string& page, std::size_t at, std::uint64_t value, unsigned size) const {
        put_number(page, at, value, size, big_endian_);
    }
    std::string empty_page(unsigned type) const {
        std::string page(page_size_, '\0');
        number(page, 8, pages(), 4);
        page[25] = static_cast<char>(type);
        return page;
    }

    std::uint32_t page_size_;
    bool big_endian_;
    std::string bytes_;
};

// rpm's own kind: a page of slots, and blobs in units of 16 bytes behind it.
class NdbFile {
  public:
    explicit NdbFile(std::uint32_t pages = 1) {
        bytes_ = "RpmP";
        for (const std::uint32_t value : {0u, 1u, pages, 1u, 0u, 0u, 0u})
            append_number(bytes_, value, 4, false);
        while (bytes_.size() < pages * 4096) {
            bytes_ += "Slot";
            bytes_ += std::string(12, '\0');
        }
    }
    // In slot `slot`, counted from the first one behind the head.
    NdbFile& package(std::uint32_t slot, std::uint32_t number, const std::string& content) {
        const std::size_t at = bytes_.size();
        bytes_ += "BlbS";
        for (const std::uint64_t value : {std::uint64_t{number}, std::uint64_t{1}, std::uint64_t{content.size()}})
            append_number(bytes_, value, 4, false);
        bytes_ += content;
        const std::size_t padded = (bytes_.size() + 12 + 15) / 16 * 16 - 12;
        bytes_.resize(padded);
        append_number(bytes_, 0x12345678, 4, false); // a checksum that is not looked at
        append_number(bytes_, content.size(), 4, false);
        bytes_ += "BlbE";
        slot_of(slot, number, at / 16, (bytes_.size() - at) / 16);
        return *this;
    }
    NdbFile& slot_of(std::uint32_t slot, std::uint32_t number, std::uint64_t unit, std::uint64_t units) {
        const std::size_t at = 32 + slot * 16;
        put_number(bytes_, at + 4, number, 4);
        put_number(bytes_, at + 8, unit, 4);
        put_number(bytes_, at + 12, units, 4);
        return *this;
    }
    std::string& bytes() { return bytes_; }

  private:
    std::string bytes_;
};

inline std::vector<std::string> headers_in(const std::string& database) {
    const MemorySource source(database);
    std::vector<std::string> headers;
    for_each_rpm_header({&source, database.size()}, [&](std::span<const std::byte> header) {
        headers.emplace_back(reinterpret_cast<const char*>(header.data()), header.size());
    });
    return headers;
}

// The sentence of the Error that reading ends with; empty: it is read.
inline std::string refusal_of_database(const std::string& database, ErrorKind kind = ErrorKind::corrupt) {
    try {
        headers_in(database);
    } catch (const Error& error) {
        return error.kind() == kind ? error.what() : std::string("another kind: ") + error.what();
    }
    return {};
}

} // namespace vm2oci::test
