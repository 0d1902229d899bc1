// A client that says what the test wrote down, and a disk to serve to it.
#pragma once

#include "formats/base/error.hpp"
#include "formats/nbd/protocol.hpp"
#include "formats/nbd/session.hpp"
#include "formats/nbd/wire.hpp"

#include <algorithm>
#include <string>
#include <vector>

namespace vm2oci {

class ScriptedChannel final : public NbdChannel {
  public:
    explicit ScriptedChannel(const NbdMessage& input) : input_(input.bytes().begin(), input.bytes().end()) {}

    bool read(std::span<std::byte> buffer) override {
        if (input_.size() - position_ < buffer.size())
            return false;
        std::copy_n(input_.begin() + static_cast<std::ptrdiff_t>(position_), buffer.size(), buffer.begin());
        position_ += buffer.size();
        return true;
    }
    bool write(std::span<const std::byte> bytes) override {
        output.insert(output.end(), bytes.begin(), bytes.end());
        return true;
    }
    std::vector<std::byte> output;

  private:
    std::vector<std::byte> input_;
    std::size_t position_ = 0;
};

// 1 MiB: 64 KiB where byte i is i mod 251, then nothing allocated; reading at kBroken fails.
class TestDisk final : public BlockDevice {
  public:
    static constexpr std::uint64_t kSize = 1024 * 1024;
    static constexpr std::uint64_t kData = 64 * 1024;
    static constexpr std::uint64_t kBroken = 512 * 1024;

    std::uint64_t size() const override { return kSize; }
    void read_at(std::uint64_t offset, std::span<std::byte> buffer) const override {
        for (std::size_t i = 0; i < buffer.size(); ++i) {
            const std::uint64_t at = offset + i;
            if (at == kBroken)
                fail(ErrorKind::corrupt, "cluster 8 is broken");
            buffer[i] = std::byte{static_cast<unsigned char>(at < kData ? at % 251 : 0)};
        }
    }
    Extent extent_at(std::uint64_t offset) const override {
        if (offset < kData)
            return {kData - offset, ExtentKind::data};
        if (offset < kBroken)
            return {kBroken - offset, ExtentKind::unallocated};
        if (offset < kBroken + 4096)
            return {kBroken + 4096 - offset, ExtentKind::data};
        return {kSize - offset, ExtentKind::zero};
    }
};

inline NbdMessage& put_client_flags(NbdMessage& message) {
    return message.put(std::uint32_t{nbd::kFixedNewstyle | nbd::kNoZeroes});
}

inline NbdMessage& put_option(NbdMessage& message, std::uint32_t number, const NbdMessage& data = {}) {
    message.put(nbd::kOptionMagic).put(number).put(static_cast<std::uint32_t>(data.bytes().size()));
    return message.put_text({reinterpret_cast<const char*>(data.bytes().data()), data.bytes().size()});
}

inline NbdMessage& put_go(NbdMessage& message) {
    NbdMessage data;
    data.put(std::uint32_t{0}).put(std::uint16_t{0});
    return put_option(message, nbd::option::go, data);
}

inline NbdMessage& put_request(NbdMessage& message, std::uint16_t type, std::uint64_t cookie, std::uint64_t offset,
                               std::uint32_t length, std::uint16_t flags = 0) {
    return message.put(nbd::kRequestMagic).put(flags).put(type).put(cookie).put(offset).put(length);
}

} // namespace vm2oci
