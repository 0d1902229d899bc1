#include "libconvert/registry/blob_download.hpp"
#include "libconvert/registry/remote_blob.hpp"
#include "tests/support/collecting_sink.hpp"
#include "tests/support/fake_registry.hpp"

#include <catch2/catch.hpp>

#include <thread>

using namespace vm2oci;
using namespace vm2oci::registry;
using test::CollectingSink;
using test::FakeConnection;
using test::FakeRegistry;

namespace {

struct StoredBlob {
    explicit StoredBlob(FakeConnection& connection, std::size_t size) : text(size, '\0') {
        for (std::size_t i = 0; i < size; ++i)
            text[i] = static_cast<char>((i * 2654435761U) >> 13);
        descriptor = {.media_type = {}, .digest = Digest::of(text), .size = size};
        connection.server->blobs["team/disk"][descriptor.digest.text()] = text;
    }
    std::string text;
    Descriptor descriptor;
};

bool same(const CollectingSink& sink, const std::string& text) {
    return as_text(sink.content) == text;
}

std::string read(const BlockDevice& device, std::uint64_t offset, std::size_t length) {
    std::string text(length, '\0');
    device.read_at(offset, std::as_writable_bytes(std::span(text.data(), text.size())));
    return text;
}

} // namespace

TEST_CASE("a Content-Range is read") {
    const auto range = parse_content_range("bytes 5-9/100");
    REQUIRE(range);
    CHECK(range->first == 5);
    CHECK(range->last == 9);
    CHECK(range->total == 100);
    CHECK(parse_content_range("bytes 0-0/*")->total == std::nullopt);
    for (const char* text : {"", "bytes", "bytes 9-5/100", "bytes 5-100/100", "bytes 5-9", "items 5-9/100",
                             "bytes 5-9/100 ", "bytes */100", "bytes 99999999999999999999-5/9"}) {
        INFO(text);
        CHECK(parse_content_range(text) == std::nullopt);
    }
}

TEST_CASE("a download goes on where it was cut") {
    FakeConnection connection;
    const StoredBlob blob(connection, 2'000'000);
    int cuts = 20;
    connection.server->cut_download = [&](const HttpRequest&) -> std::optional<std::uint64_t> {
        return cuts-- > 0 ? std::optional<std::uint64_t>(65'536) : std::nullopt;
    };
    CollectingSink out;
    SECTION("by ranges") {
        download_blob(*connection.client, blob.descriptor, out, {});
    }
    SECTION("by skipping, where ranges are ignored") {
        connection.server->ranges = FakeRegistry::Ranges::ignored;
        cuts = 1;
        download_blob(*connection.client, blob.descriptor, out, {});
    }
    CHECK(same(out, blob.text));
}

TEST_CASE("a registry that refuses a range without an end gets one with an end") {
    FakeConnection connection;
    const std::string content(3'000'000, 'r');
    connection.server->blobs["team/disk"][Digest::of(content).text()] = content;
    connection.server->cut_download = [cuts = 0](const HttpRequest&) mutable {
        return cuts++ < 2 ? std::optional<std::uint64_t>(1'000'000) : std::nullopt;
    };
    connection.server->intercept = [](const HttpRequest& request) -> std::optional<HttpResponse> {
        const auto range = request.headers.find("Range");
        return range && range->ends_with('-') ? std::optional(FakeRegistry::answer(416)) : std::nullopt;
    };
    CollectingSink sink;
    download_blob(*connection.client, {.digest = Digest::of(content), .size = content.size()}, sink, {});
    CHECK(same(sink, content));
    CHECK(connection.server->seen.back().headers.find("Range") == "bytes=2000000-2999999");
    // One that refuses every range ends.
    connection.server->cut_download = [](const HttpRequest&) { return std::optional<std::uint64_t>(1000); };
    connection.server->intercept = [](const HttpRequest& request) -> std::optional<HttpResponse> {
        return request.headers.find("Range") ? std::optional(FakeRegistry::answer(416)) : std::nullopt;
    };
    CollectingSink other;
    CHECK_THROWS_WITH(
        download_blob(*connection.client, {.digest = Digest::of(content), .size = content.size()}, other, {}),
        Catch::Contains("416"));
}

TEST_CASE("a download that never gets on ends") {
    FakeConnection connection;
    const StoredBlob blob(connection, 2'000'000);
    connection.server->cut_download = [](const HttpRequest&) { return std::optional<std::uint64_t>(0); };
    CollectingSink out;
    CHECK_THROWS_AS(download_blob(*connection.client, blob.descriptor, out, {}), NetworkError);
    CHECK(connection.server->seen.size() == kMaxAttempts);
}

TEST_CASE("content of another size or digest is refused") {
    FakeConnection connection;
    StoredBlob blob(connection, 100'000);
    std::string& stored = connection.server->blobs["team/disk"][blob.descriptor.digest.text()];
    CollectingSink out;
    SECTION("shorter") {
        stored.resize(99'999);
    }
    SECTION("longer") {
        stored += "x";
    }
    SECTION("other") {
        stored[5'000] = static_cast<char>(stored[5'000] ^ 1);
    }
    SECTION("longer than it said") {
        connection.server->intercept = [&](const HttpRequest&) -> std::optional<HttpResponse> {
            return FakeRegistry::answer(200, stored + "more");
        };
    }
    SECTION("another range than was asked for") {
        connection.server->intercept = [&](const HttpRequest&) -> std::optional<HttpResponse> {
            return FakeRegistry::answer(206, stored.substr(1), {{"Content-Range", "bytes 1-99999/100000"}});
        };
    }
    CHECK_THROWS_AS(download_blob(*connection.client, blob.descriptor, out, {}), Error);
}

TEST_CASE("HTML in the place of a blob is refused") {
    FakeConnection connection;
    const StoredBlob blob(connection, 1000);
    connection.server->intercept = [](const HttpRequest&) -> std::optional<HttpResponse> {
        return FakeRegistry::answer(200, "<html>login here</html>", {{"Content-Type", "text/html"}});
    };
    CollectingSink out;
    CHECK_THROWS_AS(download_blob(*connection.client, blob.descriptor, out, {}), Error);
}

TEST_CASE("a range is fetched, and resumed after a drop") {
    FakeConnection connection;
    const StoredBlob blob(connection, 1'000'000);
    int cuts = 3;
    connection.server->cut_download = [&](const HttpRequest&) -> std::optional<std::uint64_t> {
        return cuts-- > 0 ? std::optional<std::uint64_t>(1000) : std::nullopt;
    };
    RangeFetcher fetcher(*connection.client, blob.descriptor);
    std::string buffer(10'000, '\0');
    CHECK(fetcher.fetch(500'000, std::as_writable_bytes(std::span(buffer.data(), buffer.size()))) ==
          RangeAnswer::filled);
    CHECK(buffer == blob.text.substr(500'000, 10'000));
}

TEST_CASE("a redirect is remembered until it no longer leads anywhere") {
    FakeConnection connection;
    const StoredBlob blob(connection, 100'000);
    std::string signature = "1";
    connection.server->intercept = [&](const HttpRequest& request) -> std::optional<HttpResponse> {
        if (request.url.host == "registry.test")
            return FakeRegistry::answer(307, "",
                                        {{"Location", "https://storage.test/v2/team/disk/blobs/" +
                                                          blob.descriptor.digest.text() + "?s=" + signature}});
        if (!request.url.path_and_query.ends_with("?s=" + signature))
            return FakeRegistry::answer(403, "expired");
        return std::nullopt;
    };
    RangeFetcher fetcher(*connection.client, blob.descriptor);
    std::string buffer(100, '\0');
    const auto fetch = [&](std::uint64_t offset) {
        CHECK(fetcher.fetch(offset, std::as_writable_bytes(std::span(buffer.data(), buffer.size()))) ==
              RangeAnswer::filled);
        CHECK(buffer == blob.text.substr(offset, 100));
    };
    fetch(0);
    fetch(5000);
    CHECK(connection.server->count("registry.test") == 1);
    signature = "2";
    fetch(9000);
    CHECK(connection.server->count("registry.test") == 2);
}

TEST_CASE("a remote blob reads like a local one and keeps what it fetched") {
    FakeConnection connection;
    const StoredBlob blob(connection, 5 * kUnitSize + 12'345);
    const RemoteBlob device(connection.client, blob.descriptor, {});
    CHECK(device.size() == blob.text.size());
    CHECK(read(device, 10, 100) == blob.text.substr(10, 100));
    CHECK(connection.server->seen.size() == 1);
    CHECK(read(device, 500, 1000) == blob.text.substr(500, 1000));
    CHECK(connection.server->seen.size() == 1);
    CHECK(read(device, kUnitSize - 5, 10) == blob.text.substr(kUnitSize - 5, 10));
    CHECK(read(device, blob.text.size() - 5, 5) == blob.text.substr(blob.text.size() - 5));
    CHECK(read(device, 0, blob.text.size()) == blob.text);
    CHECK(device.fetched_bytes() == blob.text.size());
    CHECK_THROWS_AS(read(device, blob.text.size(), 1), Error);
    CHECK(device.extent_at(7).length == blob.text.size() - 7);
}

TEST_CASE("sequential reads fetch ahead, scattered ones do not") {
    FakeConnection connection;
    const StoredBlob blob(connection, 40 * kUnitSize);
    const RemoteBlob device(connection.client, blob.descriptor, {});
    for (std::uint64_t unit = 0; unit < 40; ++unit)
        read(device, unit * kUnitSize, 4096);
    CHECK(connection.server->seen.size() <= 12);
    CHECK(device.fetched_bytes() == blob.text.size());
    const RemoteBlob scattered(connection.client, blob.descriptor, {});
    for (const std::uint64_t unit : {30U, 5U, 17U, 38U, 1U})
        read(scattered, unit * kUnitSize, 4096);
    CHECK(scattered.fetched_bytes() == 5 * kUnitSize);
}

TEST_CASE("what memory has no room for is not fetched again") {
    FakeConnection connection;
    const StoredBlob blob(connection, (2 * kCachedUnits + 8) * kUnitSize - 5);
    const RemoteBlob device(connection.client, blob.descriptor, {});
    for (unsigned round = 0; round < 2; ++round)
        CHECK(read(device, 0, blob.text.size()) == blob.text);
    CHECK(device.fetched_bytes() == blob.text.size());

    // Without a scratch folder memory alone serves.
    OperationContext operation;
    operation.scratch_folder = "/dev/null";
    const RemoteBlob homeless(connection.client, blob.descriptor, operation);
    for (unsigned round = 0; round < 2; ++round)
        CHECK(read(homeless, 0, blob.text.size()) == blob.text);
    CHECK(homeless.fetched_bytes() > blob.text.size());
}

TEST_CASE("several threads share a remote blob") {
    FakeConnection connection;
    const StoredBlob blob(connection, 20 * kUnitSize);
    const RemoteBlob device(connection.client, blob.descriptor, {});
    std::atomic<int> wrong{0};
    std::vector<std::thread> threads;
    for (unsigned t = 0; t < 4; ++t)
        threads.emplace_back([&, t] {
            for (std::uint64_t i = 0; i < 200; ++i) {
                const std::uint64_t offset = (i * 7919 + t * 104729) * 511 % (blob.text.size() - 70'000);
                if (read(device, offset, 70'000) != blob.text.substr(offset, 70'000))
                    ++wrong;
            }
        });
    for (std::thread& thread : threads)
        thread.join();
    CHECK(wrong == 0);
}

TEST_CASE("a registry that ignores ranges is downloaded once, and checked") {
    FakeConnection connection;
    StoredBlob blob(connection, 3 * kUnitSize);
    connection.server->ranges = FakeRegistry::Ranges::ignored;
    const RemoteBlob device(connection.client, blob.descriptor, {});
    SECTION("right") {
        CHECK(read(device, 2 * kUnitSize, 100) == blob.text.substr(2 * kUnitSize, 100));
        CHECK(read(device, 5, 100) == blob.text.substr(5, 100));
        CHECK(connection.server->seen.size() == 2);
    }
    SECTION("wrong") {
        std::string& stored = connection.server->blobs["team/disk"][blob.descriptor.digest.text()];
        stored[0] = static_cast<char>(stored[0] ^ 1);
        CHECK_THROWS_AS(read(device, 2 * kUnitSize, 100), Error);
    }
}

TEST_CASE("a failed fetch can be tried again") {
    FakeConnection connection;
    const StoredBlob blob(connection, 3 * kUnitSize);
    const RemoteBlob device(connection.client, blob.descriptor, {});
    connection.server->intercept = [](const HttpRequest&) { return FakeRegistry::answer(403); };
    CHECK_THROWS_AS(read(device, 0, 10), Error);
    connection.server->intercept = nullptr;
    CHECK(read(device, 0, 10) == blob.text.substr(0, 10));
}
