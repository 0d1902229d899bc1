// An NBD client that says anything: the session ends, answers nothing that it must not, and stays inside the disk.
#include "formats/base/error.hpp"
#include "formats/nbd/session.hpp"

#include <algorithm>
#include <cstdlib>
#include <string_view>
#include <vector>

namespace {

using namespace vm2oci;

class Disk final : public BlockDevice {
  public:
    std::uint64_t size() const override { return 100000; }
    void read_at(std::uint64_t offset, std::span<std::byte> buffer) const override {
        if (offset > size() || buffer.size() > size() - offset)
            std::abort();
        std::fill(buffer.begin(), buffer.end(), std::byte{7});
    }
    Extent extent_at(std::uint64_t offset) const override {
        if (offset >= size())
            std::abort();
        return {std::min<std::uint64_t>(4096, size() - offset),
                offset % 8192 < 4096 ? ExtentKind::data : ExtentKind::zero};
    }
};

class Channel final : public NbdChannel {
  public:
    explicit Channel(std::span<const std::byte> input) : input_(input) {}
    bool read(std::span<std::byte> buffer) override {
        if (buffer.size() > input_.size())
            return false;
        std::copy_n(input_.begin(), buffer.size(), buffer.begin());
        input_ = input_.subspan(buffer.size());
        return true;
    }
    bool write(std::span<const std::byte> bytes) override {
        written_ += bytes.size();
        return written_ < (64U << 20);
    }

  private:
    std::span<const std::byte> input_;
    std::size_t written_ = 0;
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0)
        return 0;
    NbdExport exported;
    exported.device = std::make_shared<Disk>();
    if (data[0] % 2 == 1)
        exported.write = [](std::uint64_t offset, std::span<const std::byte> bytes) {
            if (offset > 100000 || bytes.size() > 100000 - offset)
                std::abort();
        };
    Channel channel(std::as_bytes(std::span(data + 1, size - 1)));
    serve_nbd(channel, exported);
    return 0;
}
