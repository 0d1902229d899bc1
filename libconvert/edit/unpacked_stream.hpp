// An initrd where it lies, and what its compressed part unpacks to.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace vm2oci {

inline constexpr std::uint64_t kInitrdUnpackedLimit = 2ULL * 1024 * 1024 * 1024; // with all firmware some have 600 MB

// Read in pieces, since many an initrd would not fit into our memory.
struct InitrdSource {
    static constexpr std::size_t kPieceSize = 1024 * 1024;

    std::uint64_t size = 0;
    std::function<std::string(std::uint64_t offset, std::size_t length)> read; // fewer bytes only at the end

    // At most kPieceSize bytes of [offset, end).
    std::string piece(std::uint64_t offset, std::uint64_t end) const {
        return read(offset, static_cast<std::size_t>(std::min<std::uint64_t>(end - offset, kPieceSize)));
    }
};

class UnpackedStream {
  public:
    virtual ~UnpackedStream() = default;
    // The next `count` bytes, or fewer at the end. Error{corrupt}; Error{limit} beyond kInitrdUnpackedLimit.
    virtual std::string read(std::size_t count) = 0;
};

// What [offset, end) unpacks to, by its magic number. `source` outlives the stream. Error{unsupported} when it is
// compressed in no way that is known.
std::unique_ptr<UnpackedStream> open_unpacked(const InitrdSource& source, std::uint64_t offset, std::uint64_t end);

} // namespace vm2oci
