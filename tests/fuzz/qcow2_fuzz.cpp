// Any bytes as a qcow2: opening, examining and reading must end in content or an Error, never in anything else.
#include "formats/base/error.hpp"
#include "formats/block/open_disk.hpp"
#include "tests/support/memory_device.hpp"

#include <algorithm>
#include <cstdlib>

using namespace vm2oci;

namespace {

constexpr std::uint64_t kReadLimit = 4 * MiB;

void read(const BlockDevice& device) {
    std::vector<std::byte> buffer(64 * KiB);
    std::uint64_t read_bytes = 0;
    for (std::uint64_t offset = 0; offset < device.size() && read_bytes < kReadLimit;) {
        const Extent extent = device.extent_at(offset);
        if (extent.length == 0 || extent.length > device.size() - offset)
            std::abort();
        const auto piece = std::span(buffer).first(std::min<std::uint64_t>(buffer.size(), extent.length));
        device.read_at(offset, piece);
        if (extent.kind != ExtentKind::data && !is_zero(piece))
            std::abort();
        read_bytes += piece.size();
        offset += extent.kind == ExtentKind::data ? piece.size() : extent.length;
    }
}

void open_and_read(const std::shared_ptr<const BlockDevice>& file, const DiskSource& source) {
    try {
        read(*open_disk(file, source).device);
    } catch (const Error&) {
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto file = std::make_shared<test::MemoryDevice>(size);
    file->put(0, std::as_bytes(std::span(data, size)));
    DiskSource source;
    source.format = DiskFormat::qcow2;
    open_and_read(file, source);
    source.scan = TableScan::none;
    source.policy.truncation = Tolerance::allow;
    source.policy.corrupt_bit = Tolerance::allow;
    open_and_read(file, source);
    examine_disk(file, source);
    return 0;
}
