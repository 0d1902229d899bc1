#include "tools/batch/state.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/base/sha256.hpp"
#include "tools/batch/document.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace vm2oci {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kRecordLimit = 1024ull * 1024; // a key or a result; these have a few KiB
constexpr const char* kKeyName = "key";
constexpr const char* kDigestName = "digest";
constexpr const char* kResultName = "result.json";

std::string identity(const fs::path& file) {
    struct stat status {};
    if (::stat(file.c_str(), &status) != 0)
        return fmt::format("{} none\n", file.string());
    return fmt::format("{} {} {}.{:09}\n", file.string(), status.st_size, status.st_mtim.tv_sec,
                       status.st_mtim.tv_nsec);
}

// Durable, and whole or not at all.
void write_record(const fs::path& path, std::string_view text) {
    TemporaryFile file(path.parent_path());
    write_exactly(file.fd(), as_bytes(text));
    file.publish(path, 0600);
}

// A read-only folder, or one that is not there, has no records.
std::optional<std::string> read_record(const fs::path& path) {
    try {
        return read_file(path, kRecordLimit);
    } catch (const Error&) {
        return std::nullopt;
    }
}

void remove_record(const fs::path& path) {
    std::error_code error;
    fs::remove(path, error);
    if (error)
        fail(ErrorKind::io, fmt::format("{}: {}", path.string(), error.message()));
}

} // namespace

std::optional<std::string> batch_key(const BatchItem& item, const std::string& program) {
    if (!item.inputs)
        return std::nullopt;
    std::string text = fmt::format("{}\n{}\n{}\n", program, item.source, item.destination);
    for (const std::string& word : item.words)
        text += fmt::format("{} {}\n", word.size(), word);
    for (const fs::path& file : *item.inputs)
        text += identity(file);
    return text;
}

BatchState::BatchState(fs::path folder) : folder_(std::move(folder)) {
    std::error_code error;
    fs::create_directories(folder_, error);
    if (error)
        fail(ErrorKind::io,
             fmt::format("{}: cannot keep what a batch remembers: {}", folder_.string(), error.message()));
    collect_stale_files(folder_);
}

// Names are for people; destinations are what differs.
fs::path BatchState::folder_of(const BatchItem& item) const {
    constexpr std::size_t kDigits = 12;
    return folder_ / fmt::format("{}-{}", item.name, to_hex(sha256(as_bytes(item.destination))).substr(0, kDigits));
}

ItemFiles BatchState::files(const BatchItem& item) const {
    const fs::path folder = folder_of(item);
    return {folder / kDigestName, folder / "document", folder / "log", folder / "inspection"};
}

std::optional<ItemResult> BatchState::made_before(const BatchItem& item, const std::string& key) const {
    const fs::path folder = folder_of(item);
    if (read_record(folder / kKeyName) != key)
        return std::nullopt;
    const std::optional<std::string> digest = read_record(folder / kDigestName);
    if (item.is_image && (!digest || digest->empty()))
        return std::nullopt;
    // Killed before it could say what became of it, a run may still have published.
    ItemResult result;
    if (const auto record = read_record(folder / kResultName)) {
        try {
            result = parse_item_result(*record);
        } catch (const Error&) {
            result = ItemResult();
        }
    }
    if (!item.is_image && result.state != ItemState::done)
        return std::nullopt;
    result.number = item.number;
    result.name = item.name;
    result.source = item.source;
    result.destination = item.destination;
    result.state = ItemState::unchanged;
    result.exit_code = 0;
    result.message.clear();
    result.seconds = result.processor_seconds = 0;
    if (item.is_image)
        result.digest = digest->substr(0, digest->find('\n'));
    return result;
}

UniqueFd BatchState::begin(const BatchItem& item, const std::optional<std::string>& key) {
    const fs::path folder = folder_of(item);
    std::error_code error;
    fs::create_directories(folder, error);
    if (error)
        fail(ErrorKind::io, fmt::format("{}: {}", folder.string(), error.message()));
    UniqueFd lock(::open((folder / "lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (!lock)
        fail_errno(fmt::format("{}: cannot open the lock", folder.string()), errno);
    if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0)
        fail(ErrorKind::conflict, fmt::format("another batch is at work on {}", quote_untrusted(item.name)));
    collect_stale_files(folder);
    for (const char* name : {kKeyName, kDigestName, kResultName, "document", "log"})
        remove_record(folder / name);
    if (key)
        write_record(folder / kKeyName, *key);
    return lock;
}

void BatchState::end(const BatchItem& item, const ItemResult& result) {
    write_record(folder_of(item) / kResultName, item_result_text(result));
}

} // namespace vm2oci
