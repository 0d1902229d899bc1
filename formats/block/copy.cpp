#include "formats/block/copy.hpp"

#include "formats/base/checked.hpp"

#include <algorithm>
#include <memory>

namespace vm2oci {
namespace {

alignas(4096) constexpr std::byte kZeros[kCopySpan] = {};

} // namespace

void copy_bytes(const BlockDevice& device, std::uint64_t begin, std::uint64_t end, ByteSink& sink,
                const OperationContext& context) {
    if (begin > end)
        fail(ErrorKind::usage, "a range ends before it begins");
    check_range(device, begin, end - begin);
    const auto buffer = std::make_unique_for_overwrite<std::byte[]>(kCopySpan);
    while (begin < end) {
        const Extent extent = device.extent_at(begin);
        const std::uint64_t extent_end = std::min(begin + extent.length, end);
        while (begin < extent_end) {
            context.check_cancelled();
            const std::uint64_t span_end = std::min(align_down(begin, kCopySpan) + kCopySpan, extent_end);
            auto length = static_cast<std::size_t>(span_end - begin);
            if (extent.kind == ExtentKind::data) {
                std::span<std::byte> part = sink.room();
                if (part.empty())
                    part = std::span(buffer.get(), kCopySpan);
                length = std::min(length, part.size());
                device.read_at(begin, part.first(length));
                sink.write(part.first(length));
            } else {
                sink.write(std::span(kZeros, length));
            }
            context.progress->advance(length);
            begin += length;
        }
    }
}

} // namespace vm2oci
