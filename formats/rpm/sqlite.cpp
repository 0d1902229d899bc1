// The rows of the table Packages in an SQLite file, read by SQLite.
#include "formats/base/error.hpp"
#include "formats/rpm/header.hpp"
#include "formats/rpm/readers.hpp"
#include "formats/rpm/sqlite_bytes.hpp"

#include <memory>
#include <optional>
#include <string_view>
#include <vector>

namespace vm2oci::rpm {
namespace {

struct Finalise {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using Statement = std::unique_ptr<sqlite3_stmt, Finalise>;

struct CloseBlob {
    void operator()(sqlite3_blob* blob) const { sqlite3_blob_close(blob); }
};
using Blob = std::unique_ptr<sqlite3_blob, CloseBlob>;

Statement prepare(const SqliteBytes& database, std::string_view sql) {
    sqlite3_stmt* statement = nullptr;
    database.check(
        sqlite3_prepare_v2(database.connection(), sql.data(), static_cast<int>(sql.size()), &statement, nullptr));
    return Statement(statement);
}

bool step(const SqliteBytes& database, const Statement& statement) {
    const int code = sqlite3_step(statement.get());
    database.check(code);
    return code == SQLITE_ROW;
}

// A view or a virtual table of that name would be somebody's program.
void require_table_of_packages(const SqliteBytes& database) {
    const Statement statement =
        prepare(database, "SELECT type, rootpage FROM sqlite_schema WHERE name = 'Packages' AND type = 'table'");
    if (!step(database, statement) || sqlite3_column_int64(statement.get(), 1) <= 0)
        fail(ErrorKind::corrupt, "the RPM database holds no table of packages");
}

// The rows' headers, one after another. Rows are read by their size: what a file claims to hold in all of them together
// is no more than it has.
class Headers {
  public:
    Headers(const SqliteBytes& database, std::uint64_t bytes) : database_(database), bytes_left_(bytes) {}

    std::span<const std::byte> read(sqlite3_int64 row) {
        if (!blob_) {
            sqlite3_blob* opened = nullptr;
            const int code = sqlite3_blob_open(database_.connection(), "main", "Packages", "blob", row, 0, &opened);
            blob_.reset(opened);
            database_.check(code);
        } else {
            database_.check(sqlite3_blob_reopen(blob_.get(), row));
        }
        const auto size = static_cast<std::uint64_t>(sqlite3_blob_bytes(blob_.get()));
        if (size > bytes_left_ || size > kMaxRpmHeaderSize)
            fail(ErrorKind::corrupt, "the RPM database (SQLite) is damaged: its rows are larger than the file");
        bytes_left_ -= size;
        buffer_.resize(static_cast<std::size_t>(size));
        database_.check(sqlite3_blob_read(blob_.get(), buffer_.data(), static_cast<int>(size), 0));
        return buffer_;
    }

  private:
    const SqliteBytes& database_;
    Blob blob_;
    std::uint64_t bytes_left_;
    std::vector<std::byte> buffer_;
};

} // namespace

void read_sqlite(const RpmDatabaseFile& file, const VisitRpmHeader& visit) {
    const SqliteBytes database(file);
    require_table_of_packages(database);
    const Statement rows = prepare(database, "SELECT rowid FROM main.Packages NOT INDEXED ORDER BY rowid");
    Headers headers(database, file.size + (file.log == nullptr ? 0 : file.log_size));
    std::optional<sqlite3_int64> last;
    while (step(database, rows)) {
        const sqlite3_int64 row = sqlite3_column_int64(rows.get(), 0);
        // Pages that are named twice bring their rows again.
        if (last && row <= *last)
            fail(ErrorKind::corrupt, "the RPM database (SQLite) is damaged: its rows are not in order");
        last = row;
        visit(headers.read(row));
    }
}

} // namespace vm2oci::rpm
