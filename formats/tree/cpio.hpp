// cpio archives of the kind that the Linux kernel unpacks into its first root ("newc").
//
// Source of the format: the Linux kernel, Documentation/driver-api/early-userspace/buffer-format.rst.
#pragma once

#include "formats/base/byte_stream.hpp"
#include "formats/base/sink.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace vm2oci {

inline constexpr std::size_t kCpioAlignment = 4; // of headers and contents; an archive behind another begins on it

// The zeros between `size` bytes and what follows them.
std::string_view cpio_padding(std::uint64_t size);

// Everything belongs to root, has the time 0 and numbers that count up: equal input gives equal bytes. Paths are
// relative, folders come before what they hold.
class CpioWriter {
  public:
    // `out` outlives the writer.
    explicit CpioWriter(ByteSink& out) : out_(out) {}

    void add_folder(std::string_view path, std::uint32_t permissions);
    void add_file(std::string_view path, std::uint32_t permissions, std::string_view content);
    void add_symlink(std::string_view path, std::string_view target);
    // The trailer. Nothing may be added afterwards.
    void finish();

  private:
    void add(std::string_view path, std::uint32_t mode, std::string_view content);

    ByteSink& out_;
    std::uint32_t next_inode_ = 1;
};

struct CpioMember {
    std::string path; // as the archive has it, without a leading "./" or "/"
    std::uint32_t mode = 0;
    std::uint32_t size = 0;
};

// Takes an archive from a stream, with its trailer and what pads that.
class CpioReader {
  public:
    // `stream` outlives the reader.
    explicit CpioReader(ByteStream& stream) : stream_(stream) {}

    // The next member; content that was not taken is passed over. nullopt: the archive has ended. Error{corrupt} for
    // what is no newc archive.
    std::optional<CpioMember> next();
    // The content of the member that next() returned last.
    std::string content();

  private:
    std::string take(std::size_t count, std::string_view what);
    std::span<const std::byte> ready_bytes(std::string_view what);
    void skip(std::uint64_t count);
    void skip_padding();

    ByteStream& stream_;
    std::uint64_t position_ = 0; // bytes taken so far
    std::uint32_t pending_ = 0;  // bytes of content that were not taken
    bool inside_ = false;
};

} // namespace vm2oci
