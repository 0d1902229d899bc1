// The databases of rpm, and the headers in them: read, or refused.
#include "formats/base/error.hpp"
#include "formats/rpm/database.hpp"
#include "formats/rpm/header.hpp"

#include <algorithm>

namespace {

class Bytes final : public vm2oci::ByteSource {
  public:
    explicit Bytes(std::span<const std::byte> bytes) : bytes_(bytes) {}
    std::size_t read_some_at(std::uint64_t offset, std::span<std::byte> buffer) const override {
        if (offset >= bytes_.size())
            return 0;
        const std::size_t length = std::min(buffer.size(), bytes_.size() - static_cast<std::size_t>(offset));
        std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(offset), length, buffer.begin());
        return length;
    }

  private:
    std::span<const std::byte> bytes_;
};

void parse(std::span<const std::byte> header) {
    try {
        vm2oci::parse_rpm_header(header, vm2oci::RpmFiles::read);
    } catch (const vm2oci::Error&) {
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::span<const std::byte> bytes = std::as_bytes(std::span(data, size));
    parse(bytes);
    const Bytes file(bytes.first(size - size / 4));
    const Bytes log(bytes.last(size / 4));
    try {
        vm2oci::for_each_rpm_header({&file, size - size / 4, &log, size / 4}, parse);
    } catch (const vm2oci::Error&) {
    }
    return 0;
}
