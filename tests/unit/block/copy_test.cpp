#include "formats/base/error.hpp"
#include "formats/base/fd.hpp"
#include "formats/block/copy.hpp"
#include "tests/support/collecting_sink.hpp"
#include "tests/support/memory_device.hpp"

#include <catch2/catch.hpp>

#include <algorithm>

using namespace vm2oci;
using test::CollectingSink;
using test::MemoryDevice;

namespace {

class SpanSink final : public ByteSink {
  public:
    void write(std::span<const std::byte> bytes) override { lengths.push_back(bytes.size()); }
    std::vector<std::size_t> lengths;
};

} // namespace

TEST_CASE("a copy holds the device's bytes, holes as zeros") {
    MemoryDevice disk(5 * MiB + 77);
    disk.put(10, "head").put(3 * MiB - 2, "seam").put(5 * MiB + 73, "tail");
    CollectingSink sink;
    copy_bytes(disk, sink, {});
    std::vector<std::byte> expected(disk.size());
    disk.read_at(0, expected);
    CHECK(sink.content == expected);
}

TEST_CASE("a copy reads straight into what room the sink has") {
    class Room final : public ByteSink {
      public:
        void write(std::span<const std::byte> bytes) override {
            is_all_in_place = is_all_in_place && bytes.data() == place.data();
            content.insert(content.end(), bytes.begin(), bytes.end());
        }
        std::span<std::byte> room() override { return place; }
        std::vector<std::byte> place = std::vector<std::byte>(100'000);
        std::vector<std::byte> content;
        bool is_all_in_place = true;
    };
    MemoryDevice disk(300'001);
    disk.put(0, std::string(300'001, 'x')).put(99'999, "seam").put(300'000, "z");
    Room sink;
    copy_bytes(disk, sink, {});
    std::vector<std::byte> expected(disk.size());
    disk.read_at(0, expected);
    CHECK(sink.content == expected);
    CHECK(sink.is_all_in_place);
}

TEST_CASE("a part of a device is copied, and holes are not read") {
    MemoryDevice disk(64 * MiB);
    disk.put(32 * MiB, "middle");
    CollectingSink sink;
    copy_bytes(disk, 32 * MiB + 1, 32 * MiB + 3, sink, {});
    CHECK(as_text(sink.content) == "id");
    CHECK(disk.bytes_read() == 2);
    CHECK_THROWS_AS(copy_bytes(disk, 0, 64 * MiB + 1, sink, {}), Error);
    CHECK_THROWS_AS(copy_bytes(disk, 2, 1, sink, {}), Error);
}

TEST_CASE("spans are large and end at multiples of their size") {
    MemoryDevice disk(4 * MiB);
    disk.declare(0, disk.size(), ExtentKind::data);
    SpanSink sink;
    copy_bytes(disk, 1000, disk.size(), sink, {});
    CHECK(sink.lengths == std::vector<std::size_t>{MiB - 1000, MiB, MiB, MiB});
}

TEST_CASE("a copy can be cancelled") {
    const MemoryDevice disk(MiB);
    Cancellation cancellation;
    cancellation.cancel();
    OperationContext context;
    context.cancellation = &cancellation;
    CollectingSink sink;
    CHECK_THROWS_AS(copy_bytes(disk, sink, context), Error);
    CHECK(sink.content.empty());
}
