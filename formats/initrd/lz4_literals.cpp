#include "formats/initrd/lz4_literals.hpp"

#include <algorithm>
#include <cstdint>

namespace vm2oci {
namespace {

constexpr std::size_t kBlockSize = 4ull * 1024 * 1024; // the format's limit is 8 MiB
constexpr std::size_t kLengthInToken = 15;             // more of it follows in bytes of up to 255

std::string block_of_literals(std::string_view bytes) {
    std::string block;
    block.reserve(bytes.size() + bytes.size() / 255 + 2);
    block += static_cast<char>(std::min(bytes.size(), kLengthInToken) << 4);
    if (bytes.size() >= kLengthInToken) {
        std::size_t rest = bytes.size() - kLengthInToken;
        for (; rest >= 255; rest -= 255)
            block += '\xff';
        block += static_cast<char>(rest);
    }
    return block.append(bytes);
}

} // namespace

std::string lz4_of_literals(std::string_view bytes) {
    std::string frame(kLegacyLz4);
    for (; !bytes.empty(); bytes.remove_prefix(std::min(bytes.size(), kBlockSize))) {
        const std::string block = block_of_literals(bytes.substr(0, kBlockSize));
        const auto size = static_cast<std::uint32_t>(block.size());
        for (unsigned shift = 0; shift < 32; shift += 8)
            frame += static_cast<char>(size >> shift & 0xff);
        frame += block;
    }
    return frame;
}

} // namespace vm2oci
