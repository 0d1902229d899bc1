// Inside of the room: an SQLite file that lies in a ByteSource, opened by SQLite itself and never written.
#pragma once

#include "formats/rpm/database.hpp"

#include <sqlite3.h>

#include <exception>
#include <memory>
#include <string>

namespace vm2oci::rpm {

// A connection that believes nothing of what its file says: no views, triggers, virtual tables or functions of its
// schema run, and nothing but SELECT on what allow_only() has. A write-ahead log is read as part of the file. Not
// thread-safe.
class SqliteBytes {
  public:
    // `database` outlives this. Error{corrupt} for what SQLite does not open.
    explicit SqliteBytes(const RpmDatabaseFile& database);
    ~SqliteBytes();
    SqliteBytes(const SqliteBytes&) = delete;
    SqliteBytes& operator=(const SqliteBytes&) = delete;

    sqlite3* connection() const { return connection_.get(); }
    // Throws what a source threw while SQLite read it, else Error{corrupt} with SQLite's words, unless `code` is one of
    // success.
    void check(int code) const;

    struct State; // what SQLite's callbacks get

  private:
    struct Close {
        void operator()(sqlite3* connection) const { sqlite3_close(connection); }
    };
    struct Unregister {
        void operator()(sqlite3_vfs* vfs) const;
    };

    std::unique_ptr<State> state_;
    std::unique_ptr<sqlite3_vfs, Unregister> vfs_;
    std::unique_ptr<sqlite3, Close> connection_; // goes first
};

} // namespace vm2oci::rpm
