// rpm's databases in SQLite: what SQLite writes is read, and what somebody made of it is refused in bounded time.
#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"
#include "formats/base/fd.hpp"
#include "formats/rpm/database.hpp"
#include "tests/support/temporary_folder.hpp"

#include <catch2/catch.hpp>
#include <sqlite3.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <vector>

using namespace vm2oci;

namespace {

class Bytes final : public ByteSource {
  public:
    explicit Bytes(std::string bytes) : bytes_(std::move(bytes)) {}
    std::size_t read_some_at(std::uint64_t offset, std::span<std::byte> buffer) const override {
        if (fails_)
            fail(ErrorKind::io, "the disk is gone");
        if (offset >= bytes_.size())
            return 0;
        const std::size_t length = std::min(buffer.size(), bytes_.size() - static_cast<std::size_t>(offset));
        std::copy_n(reinterpret_cast<const std::byte*>(bytes_.data()) + offset, length, buffer.begin());
        return length;
    }
    const std::string& bytes() const { return bytes_; }
    void break_down() const { fails_ = true; }

  private:
    std::string bytes_;
    mutable bool fails_ = false;
};

using Connection = std::unique_ptr<sqlite3, int (*)(sqlite3*)>;

Connection open_sqlite(const std::string& path) {
    sqlite3* connection = nullptr;
    REQUIRE(sqlite3_open(path.c_str(), &connection) == SQLITE_OK);
    return {connection, sqlite3_close};
}

void run(sqlite3* connection, const std::string& sql) {
    INFO(sql);
    REQUIRE(sqlite3_exec(connection, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK);
}

const std::string kTable = "CREATE TABLE 'Packages' (hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL);"
                           "CREATE TABLE 'Name' (key TEXT NOT NULL, hnum INTEGER NOT NULL);"
                           "CREATE INDEX 'Name_key_idx' ON 'Name' (key ASC);";

// A database in memory, as the bytes of its file.
std::string database_of(const std::string& sql, int page_size = 4096) {
    const Connection connection = open_sqlite(":memory:");
    run(connection.get(), "PRAGMA page_size=" + std::to_string(page_size) + ";" + sql);
    sqlite3_int64 size = 0;
    unsigned char* bytes = sqlite3_serialize(connection.get(), "main", &size, 0);
    REQUIRE(bytes != nullptr);
    std::string file(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size));
    sqlite3_free(bytes);
    return file;
}

std::string row(const std::string& text) {
    return "INSERT INTO Packages (blob) VALUES (CAST('" + text + "' AS BLOB));";
}

std::vector<std::string> rows_of(const std::string& file, const std::string& log = "") {
    const Bytes source(file);
    const Bytes log_source(log);
    std::vector<std::string> rows;
    for_each_rpm_header({&source, file.size(), log.empty() ? nullptr : &log_source, log.size()},
                        [&](std::span<const std::byte> header) {
                            rows.emplace_back(reinterpret_cast<const char*>(header.data()), header.size());
                        });
    return rows;
}

// Whether it is read to its end, refused, or neither.
bool is_refused(const std::string& file, const std::string& log = "") {
    try {
        rows_of(file, log);
        return false;
    } catch (const Error& error) {
        CHECK((error.kind() == ErrorKind::corrupt || error.kind() == ErrorKind::unsupported));
        return true;
    }
}

void put_be32(std::string& file, std::size_t at, std::uint32_t value) {
    for (int i = 0; i < 4; ++i)
        file.at(at + static_cast<std::size_t>(i)) = static_cast<char>(value >> (24 - 8 * i));
}

} // namespace

TEST_CASE("rows come in their order, whatever the pages' size and theirs") {
    for (const int page_size : {512, 1024, 4096, 65536}) {
        std::string sql = kTable;
        std::vector<std::string> expected;
        for (unsigned i = 0; i < 300; ++i) {
            expected.push_back(std::to_string(i) + std::string((i * i * 7) % 9000, 'a'));
            sql += row(expected.back());
        }
        CHECK(rows_of(database_of(sql, page_size)) == expected);
    }
    CHECK(rows_of(database_of(kTable)).empty());
    CHECK(rows_of(database_of(kTable + row("one") + row("two") + "DELETE FROM Packages WHERE hnum = 1;")) ==
          std::vector<std::string>{"two"});
}

TEST_CASE("what stands in a write-ahead log counts, if it was committed") {
    const test::TemporaryFolder folder;
    const std::string path = (folder.path() / "rpmdb.sqlite").string();
    const Connection connection = open_sqlite(path);
    run(connection.get(), kTable + "PRAGMA journal_mode=WAL;" + row("old") + "PRAGMA wal_checkpoint(TRUNCATE);" +
                              row("new") + "DELETE FROM Packages WHERE hnum = 1;" + row("newest"));
    const std::string file = read_file(path, 1 << 24).value();
    const std::string log = read_file(path + "-wal", 1 << 24).value();
    REQUIRE(log.size() > 1000);
    CHECK(rows_of(file) == std::vector<std::string>{"old"});
    CHECK(rows_of(file, log) == std::vector<std::string>{"new", "newest"});
    // A log that was cut in the middle of its last transaction.
    CHECK(rows_of(file, log.substr(0, log.size() - 100)) == std::vector<std::string>{"new"});
    // A log of another file's, and no log.
    std::string other = log;
    other[16] = static_cast<char>(other[16] ^ 1);
    CHECK(rows_of(file, other) == std::vector<std::string>{"old"});
    CHECK(rows_of(file, "x") == std::vector<std::string>{"old"});
}

TEST_CASE("a table of packages that is none is refused") {
    CHECK(is_refused(database_of("CREATE TABLE Other (hnum INTEGER PRIMARY KEY, blob BLOB);")));
    CHECK(is_refused(database_of("CREATE TABLE Other (hnum INTEGER PRIMARY KEY, blob BLOB);"
                                 "CREATE VIEW Packages AS SELECT * FROM Other;")));
    CHECK(is_refused(database_of("CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, content BLOB);"
                                 "INSERT INTO Packages VALUES (1, x'00');")));
    CHECK(is_refused(database_of("CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, a, blob BLOB AS (zeroblob(1e9)));"
                                 "INSERT INTO Packages (hnum, a) VALUES (1, 2);")));
    CHECK(is_refused(database_of(kTable + "INSERT INTO Packages VALUES (1, 5);")));
}

TEST_CASE("a file that is cut or changed anywhere is read, or refused, and soon") {
    std::string sql = kTable;
    for (unsigned i = 0; i < 12; ++i)
        sql += row(std::string(100 + 90 * i, static_cast<char>('a' + i)));
    const std::string good = database_of(sql, 512);
    for (std::size_t length = 0; length < good.size(); length += 97)
        CHECK(is_refused(good.substr(0, length)));
    for (std::size_t at = 0; at < good.size(); at += 3)
        for (const char change : {'\xff', '\x01'}) {
            std::string bad = good;
            bad[at] = static_cast<char>(bad[at] ^ change);
            try {
                std::size_t bytes = 0;
                for (const std::string& each : rows_of(bad))
                    bytes += each.size();
                CHECK(bytes <= bad.size());
            } catch (const Error& error) {
                CHECK(error.kind() != ErrorKind::io);
            }
        }
}

TEST_CASE("pages that name one page over and over are refused before they are walked") {
    std::string sql = kTable;
    for (unsigned i = 0; i < 4000; ++i)
        sql += row(std::string(60, 'x'));
    std::string file = database_of(sql, 512);
    // Every child of every inner page becomes the same one: nine levels of it would be walked for years.
    unsigned changed = 0;
    std::uint32_t first_inner = 0;
    for (std::uint32_t page = 2; page <= file.size() / 512; ++page) {
        const std::size_t at = std::size_t{page - 1} * 512;
        if (file[at] != 5)
            continue;
        first_inner = first_inner == 0 ? page : first_inner;
        const auto cells = load_be<std::uint16_t>(reinterpret_cast<const std::byte*>(file.data()) + at + 3);
        const auto child = load_be<std::uint32_t>(reinterpret_cast<const std::byte*>(file.data()) + at + 8);
        for (std::size_t i = 0; i < cells; ++i) {
            const auto cell = load_be<std::uint16_t>(reinterpret_cast<const std::byte*>(file.data()) + at + 12 + 2 * i);
            put_be32(file, at + cell, child);
        }
        changed += cells;
    }
    REQUIRE(changed > 20);
    CHECK(is_refused(file));
    // A page that is its own child.
    std::string circle = database_of(sql, 512);
    put_be32(circle, std::size_t{first_inner - 1} * 512 + 8, first_inner);
    CHECK(is_refused(circle));
}

TEST_CASE("rows that share their pages hold no more than the file has") {
    // Overflow pages in a circle serve any number of rows of any size.
    std::string sql = kTable;
    for (unsigned i = 0; i < 40; ++i)
        sql += row(std::string(30000, static_cast<char>('a' + i % 26)));
    std::string file = database_of(sql, 4096);
    const std::vector<std::string> rows = rows_of(file);
    REQUIRE(rows.size() == 40);
    std::string bad = file;
    unsigned chains = 0;
    for (std::size_t at = 4096; at + 4096 <= bad.size(); at += 4096)
        if (bad[at] == 0 && bad.compare(at + 4, 8, std::string(8, bad[at + 4])) == 0) {
            put_be32(bad, at, static_cast<std::uint32_t>(at / 4096 + 1));
            ++chains;
        }
    REQUIRE(chains > 40);
    std::size_t bytes = 0;
    try {
        for (const std::string& each : rows_of(bad))
            bytes += each.size();
    } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::corrupt);
    }
    CHECK(bytes <= bad.size());
}

TEST_CASE("what the disk throws comes through SQLite unchanged") {
    std::string sql = kTable;
    for (unsigned i = 0; i < 200; ++i)
        sql += row(std::string(5000, 'x'));
    const Bytes source(database_of(sql));
    try {
        for_each_rpm_header({&source, source.bytes().size()}, [&](std::span<const std::byte>) { source.break_down(); });
        FAIL("it was read");
    } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::io);
        CHECK(error.message() == "the disk is gone");
    }
    // And what the visitor throws.
    const Bytes whole(database_of(sql));
    CHECK_THROWS_AS(for_each_rpm_header({&whole, whole.bytes().size()},
                                        [](std::span<const std::byte>) { throw std::runtime_error("enough"); }),
                    std::runtime_error);
}
