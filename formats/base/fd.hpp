// File descriptors with an owner, and complete reads and writes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace vm2oci {

class UniqueFd {
  public:
    UniqueFd() = default;
    explicit UniqueFd(int fd) noexcept : fd_(fd) {}
    UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    UniqueFd& operator=(UniqueFd&& other) noexcept;
    UniqueFd(const UniqueFd&) = delete;
    UniqueFd& operator=(const UniqueFd&) = delete;
    ~UniqueFd() { reset(); }

    int get() const noexcept { return fd_; }
    explicit operator bool() const noexcept { return fd_ >= 0; }
    int release() noexcept { return std::exchange(fd_, -1); }
    void reset() noexcept;

  private:
    int fd_ = -1;
};

// All of these throw Error{io} (not_found for ENOENT) that names `path`; paths come from the user, never from an image.
UniqueFd open_read(const std::filesystem::path& path);

// Fills `buffer` from `offset`; returns the bytes read, fewer than asked only at the end of the file.
std::size_t read_at(int fd, std::uint64_t offset, std::span<std::byte> buffer);
// Error{corrupt} if the file ends before the buffer is full.
void read_exactly_at(int fd, std::uint64_t offset, std::span<std::byte> buffer);
void write_exactly_at(int fd, std::uint64_t offset, std::span<const std::byte> buffer);
void write_exactly(int fd, std::span<const std::byte> buffer);

// Size in bytes of a regular file or a block device; Error{unsupported} for anything else.
std::uint64_t file_size(int fd);

// A whole file of at most `limit` bytes; nullopt when it does not exist; Error{limit} when it is larger.
std::optional<std::string> read_file(const std::filesystem::path& path, std::size_t limit);

// The umask of the process, read once: call it before there are threads.
unsigned process_umask();

// What took the place of a file, or a free name, and can still be taken back: dropped without keep(), what was there is
// there again. The old file waits beside the new one under a hidden name, as a TemporaryFile has it. Where the file
// system can neither exchange names nor link, the old file is gone at once, and dropping changes nothing.
class ReplacedFile {
  public:
    ReplacedFile(ReplacedFile&& other) noexcept;
    ReplacedFile& operator=(ReplacedFile&&) = delete;
    ~ReplacedFile();

    void keep() noexcept;

  private:
    friend class TemporaryFile;
    // What is where it can be had: the new file, the old one, a free name.
    enum class Old { hidden, absent, lost };
    ReplacedFile(std::filesystem::path path, Old old, std::filesystem::path hidden, UniqueFd lock);

    std::filesystem::path path_; // of the new file; empty: nothing is to be done any more
    Old old_;
    std::filesystem::path hidden_; // Old::hidden
    UniqueFd lock_;                // on the old file, so that nobody collects it
};

// A file that has no name until publish(): dropped, or after kill -9, nothing is left behind. A hidden named file where
// the file system has no O_TMPFILE or where there is no /proc: its name is random, and it is locked as long as its
// writer lives, so that collect_stale_files() tells it from one that a killed run has left.
class TemporaryFile {
  public:
    // `folder` is where publish() will link it, so that the link stays in one file system.
    explicit TemporaryFile(const std::filesystem::path& folder);
    TemporaryFile(TemporaryFile&&) noexcept = default;
    TemporaryFile& operator=(TemporaryFile&&) noexcept = default;
    ~TemporaryFile();

    int fd() const noexcept { return fd_.get(); }
    // fsync, then becomes `path` (same folder) atomically, replacing what is there; then fsync of the folder.
    // `mode` is set exactly; without it, the mode is 0666 less the umask. After an Error what was there is there.
    void publish(const std::filesystem::path& path, std::optional<unsigned> mode = std::nullopt);
    // The same, to be kept or taken back.
    ReplacedFile replace(const std::filesystem::path& path, std::optional<unsigned> mode = std::nullopt);
    // The same, but a file that is there stays: then false, and this file is dropped.
    bool publish_new(const std::filesystem::path& path, std::optional<unsigned> mode = std::nullopt);

  private:
    void make_durable(const std::filesystem::path& path, std::optional<unsigned> mode);
    ReplacedFile switch_names(const std::filesystem::path& path);

    std::filesystem::path folder_;
    std::filesystem::path name_; // empty with O_TMPFILE
    UniqueFd fd_;
};

// Removes the temporary files of killed runs from `folder`. Those whose writer lives, and those that we may not open,
// stay; it never fails.
void collect_stale_files(const std::filesystem::path& folder) noexcept;

// fsync of a folder, so that a rename in it survives a power cut.
void sync_folder(const std::filesystem::path& folder);

// A sparse scratch file of the process, already unlinked. `folder` empty: $TMPDIR, else /var/tmp.
UniqueFd scratch_file(const std::filesystem::path& folder);

inline std::span<const std::byte> as_bytes(std::string_view text) {
    return std::as_bytes(std::span(text.data(), text.size()));
}

inline std::string_view as_text(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

} // namespace vm2oci
