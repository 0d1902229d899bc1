#include "formats/rpm/sqlite_bytes.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"

#include <algorithm>
#include <cstring>
#include <span>
#include <string_view>

namespace vm2oci::rpm {

struct SqliteBytes::State {
    const RpmDatabaseFile& database;
    std::string name; // of the VFS
    std::exception_ptr thrown{};
    // What a sound file takes is far below; one whose pages name each other over and over would take for ever.
    std::uint64_t steps_left = 0;
};

namespace {

// A row takes about ten steps of SQLite's virtual machine, and rows of packages are larger than a KiB.
constexpr std::uint64_t kStepsOfSchema = 500'000;
constexpr std::uint64_t kBytesOfStep = 16;
constexpr int kStepsOfCheck = 1000;

struct OpenBytes {
    sqlite3_file base; // first, as SQLite has it
    SqliteBytes::State* state;
    const ByteSource* source; // null: empty
    std::uint64_t size;
};

OpenBytes& bytes_of(sqlite3_file* file) {
    return *reinterpret_cast<OpenBytes*>(file);
}

int close_bytes(sqlite3_file* /*file*/) {
    return SQLITE_OK;
}

int read_bytes_at(sqlite3_file* file, void* buffer, int amount, sqlite3_int64 offset) {
    const OpenBytes& bytes = bytes_of(file);
    const std::span<std::byte> wanted(static_cast<std::byte*>(buffer), static_cast<std::size_t>(amount));
    const auto begin = static_cast<std::uint64_t>(offset);
    const std::size_t there =
        begin >= bytes.size ? 0 : static_cast<std::size_t>(std::min<std::uint64_t>(wanted.size(), bytes.size - begin));
    std::size_t filled = 0;
    try {
        if (there != 0)
            filled = bytes.source->read_some_at(begin, wanted.first(there));
    } catch (...) {
        bytes.state->thrown = std::current_exception();
        return SQLITE_IOERR_READ;
    }
    std::memset(wanted.data() + filled, 0, wanted.size() - filled);
    return filled == wanted.size() ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
}

int refuse_write(sqlite3_file* /*file*/, const void* /*bytes*/, int /*amount*/, sqlite3_int64 /*offset*/) {
    return SQLITE_READONLY;
}

int refuse_truncation(sqlite3_file* /*file*/, sqlite3_int64 /*size*/) {
    return SQLITE_READONLY;
}

int sync_nothing(sqlite3_file* /*file*/, int /*flags*/) {
    return SQLITE_OK;
}

int tell_size(sqlite3_file* file, sqlite3_int64* size) {
    *size = static_cast<sqlite3_int64>(bytes_of(file).size);
    return SQLITE_OK;
}

int lock_nothing(sqlite3_file* /*file*/, int /*level*/) {
    return SQLITE_OK;
}

int tell_unlocked(sqlite3_file* /*file*/, int* locked) {
    *locked = 0;
    return SQLITE_OK;
}

int control_nothing(sqlite3_file* /*file*/, int /*operation*/, void* /*argument*/) {
    return SQLITE_NOTFOUND;
}

int tell_sector_size(sqlite3_file* /*file*/) {
    return 4096;
}

int tell_characteristics(sqlite3_file* /*file*/) {
    return 0;
}

// Version 1 has no shared memory: SQLite keeps the index of a write-ahead log in its own.
constexpr sqlite3_io_methods kMethods = {1,
                                         close_bytes,
                                         read_bytes_at,
                                         refuse_write,
                                         refuse_truncation,
                                         sync_nothing,
                                         tell_size,
                                         lock_nothing,
                                         lock_nothing,
                                         tell_unlocked,
                                         control_nothing,
                                         tell_sector_size,
                                         tell_characteristics,
                                         nullptr,
                                         nullptr,
                                         nullptr,
                                         nullptr,
                                         nullptr,
                                         nullptr};

int open_bytes(sqlite3_vfs* vfs, const char* /*name*/, sqlite3_file* file, int flags, int* given_flags) {
    OpenBytes& bytes = bytes_of(file);
    bytes.base.pMethods = nullptr;
    auto* state = static_cast<SqliteBytes::State*>(vfs->pAppData);
    const RpmDatabaseFile& database = state->database;
    if ((flags & SQLITE_OPEN_MAIN_DB) != 0)
        bytes = {{&kMethods}, state, database.file, database.size};
    else if ((flags & SQLITE_OPEN_WAL) != 0)
        bytes = {{&kMethods}, state, database.log, database.log == nullptr ? 0 : database.log_size};
    else
        return SQLITE_CANTOPEN; // neither journals nor temporary files
    if (given_flags != nullptr)
        *given_flags = (flags & ~(SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE)) | SQLITE_OPEN_READONLY;
    return SQLITE_OK;
}

int delete_nothing(sqlite3_vfs* /*vfs*/, const char* /*name*/, int /*sync*/) {
    return SQLITE_READONLY;
}

int tell_access(sqlite3_vfs* vfs, const char* name, int /*flags*/, int* result) {
    const RpmDatabaseFile& database = static_cast<const SqliteBytes::State*>(vfs->pAppData)->database;
    *result = std::string_view(name).ends_with("-wal") && database.log != nullptr && database.log_size != 0 ? 1 : 0;
    return SQLITE_OK;
}

int full_name(sqlite3_vfs* /*vfs*/, const char* name, int size, char* full) {
    sqlite3_snprintf(size, full, "%s", name);
    return SQLITE_OK;
}

int no_randomness(sqlite3_vfs* /*vfs*/, int size, char* bytes) {
    std::memset(bytes, 0, static_cast<std::size_t>(size));
    return size;
}

int no_sleep(sqlite3_vfs* /*vfs*/, int microseconds) {
    return microseconds;
}

int no_time(sqlite3_vfs* /*vfs*/, double* day) {
    *day = 0;
    return SQLITE_OK;
}

int no_last_error(sqlite3_vfs* /*vfs*/, int /*size*/, char* /*text*/) {
    return 0;
}

std::unique_ptr<sqlite3_vfs> make_vfs(SqliteBytes::State& state) {
    auto vfs = std::make_unique<sqlite3_vfs>();
    vfs->iVersion = 1;
    vfs->szOsFile = sizeof(OpenBytes);
    vfs->mxPathname = 64;
    vfs->zName = state.name.c_str();
    vfs->pAppData = &state;
    vfs->xOpen = open_bytes;
    vfs->xDelete = delete_nothing;
    vfs->xAccess = tell_access;
    vfs->xFullPathname = full_name;
    vfs->xRandomness = no_randomness;
    vfs->xSleep = no_sleep;
    vfs->xCurrentTime = no_time;
    vfs->xGetLastError = no_last_error;
    return vfs;
}

int count_steps(void* state) {
    std::uint64_t& left = static_cast<SqliteBytes::State*>(state)->steps_left;
    if (left < kStepsOfCheck)
        return 1; // interrupts
    left -= kStepsOfCheck;
    return 0;
}

// Reading, and SQLite's own pragmas at the beginning; no functions, so that nothing in the schema can call any.
int authorise(void* /*state*/, int action, const char* /*first*/, const char* /*second*/, const char* /*database*/,
              const char* /*trigger*/) {
    return action == SQLITE_SELECT || action == SQLITE_READ ? SQLITE_OK : SQLITE_DENY;
}

} // namespace

void SqliteBytes::Unregister::operator()(sqlite3_vfs* vfs) const {
    sqlite3_vfs_unregister(vfs);
    delete vfs;
}

SqliteBytes::SqliteBytes(const RpmDatabaseFile& database)
    : state_(new State{database, "", {}, kStepsOfSchema + (database.size + database.log_size) / kBytesOfStep}) {
    state_->name = "vm2oci-" + std::to_string(reinterpret_cast<std::uintptr_t>(state_.get()));
    vfs_.reset(make_vfs(*state_).release());
    check(sqlite3_vfs_register(vfs_.get(), 0));
    sqlite3* connection = nullptr;
    const int code =
        sqlite3_open_v2("rpmdb", &connection, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE,
                        state_->name.c_str());
    connection_.reset(connection);
    check(code);
    for (const auto& [option, value] : {std::pair{SQLITE_DBCONFIG_DEFENSIVE, 1},
                                        {SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0},
                                        {SQLITE_DBCONFIG_ENABLE_TRIGGER, 0},
                                        {SQLITE_DBCONFIG_ENABLE_VIEW, 0},
                                        {SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1}})
        check(sqlite3_db_config(connection, option, value, nullptr));
    sqlite3_limit(connection, SQLITE_LIMIT_ATTACHED, 0);
    sqlite3_limit(connection, SQLITE_LIMIT_TRIGGER_DEPTH, 0);
    sqlite3_limit(connection, SQLITE_LIMIT_WORKER_THREADS, 0);
    sqlite3_progress_handler(connection, kStepsOfCheck, count_steps, state_.get());
    // Without shared memory a write-ahead log is read by one that has the file for itself.
    check(sqlite3_exec(connection, "PRAGMA locking_mode=EXCLUSIVE; PRAGMA cell_size_check=ON; PRAGMA temp_store=MEMORY",
                       nullptr, nullptr, nullptr));
    check(sqlite3_set_authorizer(connection, authorise, nullptr));
}

SqliteBytes::~SqliteBytes() = default;

void SqliteBytes::check(int code) const {
    if (state_->thrown)
        std::rethrow_exception(state_->thrown);
    if (code == SQLITE_OK || code == SQLITE_ROW || code == SQLITE_DONE)
        return;
    if (code == SQLITE_NOMEM)
        throw std::bad_alloc();
    std::string words = connection_ ? sqlite3_errmsg(connection_.get()) : sqlite3_errstr(code);
    if (code == SQLITE_INTERRUPT)
        words = "its pages name each other over and over";
    fail(ErrorKind::corrupt, "the RPM database (SQLite) is damaged: " + escape_untrusted(words));
}

} // namespace vm2oci::rpm
