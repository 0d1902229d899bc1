// Tars: no header leads the reader astray, and members do not overlap.
#include "formats/base/error.hpp"
#include "formats/base/fd.hpp"
#include "formats/tree/tar_reader.hpp"

#include <algorithm>
#include <cstdlib>
#include <string_view>

namespace {

class BytesSource final : public vm2oci::ByteSource {
  public:
    explicit BytesSource(std::string_view bytes) : bytes_(bytes) {}
    std::size_t read_some_at(std::uint64_t offset, std::span<std::byte> buffer) const override {
        if (offset >= bytes_.size())
            return 0;
        const std::size_t length = std::min(buffer.size(), bytes_.size() - static_cast<std::size_t>(offset));
        std::ranges::copy(vm2oci::as_bytes(bytes_).subspan(static_cast<std::size_t>(offset), length), buffer.begin());
        return length;
    }

  private:
    std::string_view bytes_;
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const BytesSource source({reinterpret_cast<const char*>(data), size});
    vm2oci::TarReader reader(source);
    try {
        std::uint64_t end = 0;
        while (const auto member = reader.next()) {
            if (member->content_offset < end + vm2oci::kTarBlock || member->path.starts_with('/'))
                std::abort();
            end = member->content_offset + member->content_size;
        }
    } catch (const vm2oci::Error&) {
    }
    return 0;
}
