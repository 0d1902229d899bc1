#include "libconvert/registry/streaming_blob_writer.hpp"
#include "tests/support/fake_registry.hpp"

#include <catch2/catch.hpp>

#include <cstring>

using namespace vm2oci;
using namespace vm2oci::registry;
using test::FakeConnection;
using test::FakeRegistry;

namespace {

class WholeContent final : public UploadContent {
  public:
    explicit WholeContent(std::size_t size) : text_(size, 'v') {
        for (std::size_t i = 0; i < size; i += 4096)
            std::memcpy(text_.data() + i, &i, std::min(sizeof(i), size - i));
    }
    bool keep_from(std::uint64_t) const override { return true; }
    void read_at(std::uint64_t offset, std::span<std::byte> buffer) const override {
        std::memcpy(buffer.data(), text_.data() + offset, buffer.size());
    }
    BlobIdentity identity() const { return {Digest::of(text_), text_.size()}; }
    const std::string& text() const { return text_; }

  private:
    std::string text_;
};

auto refuse_patches(int status, std::size_t from) {
    return [status, from, seen = std::size_t{0}](const HttpRequest& request) mutable -> std::optional<HttpResponse> {
        if (request.method != HttpMethod::patch || seen++ < from)
            return std::nullopt;
        return FakeRegistry::answer(status);
    };
}

} // namespace

TEST_CASE("a registry that answers 416 to large chunks gets smaller ones") {
    const std::uint64_t limit = GENERATE(4 * MiB, 3 * MiB, 300 * KiB);
    FakeConnection connection;
    connection.server->intercept = [limit](const HttpRequest& request) -> std::optional<HttpResponse> {
        if (request.method == HttpMethod::patch && request.body->size() > limit)
            return FakeRegistry::answer(416, "request body is too large");
        return std::nullopt;
    };
    const WholeContent content(70'000'001);
    BlobUpload(*connection.client, nullptr).finish(content, content.identity());
    StreamingBlobWriter writer(connection.client, std::nullopt);
    writer.write(as_bytes(std::string_view(content.text()).substr(1)));
    const BlobIdentity made = writer.commit();
    CHECK(connection.server->blobs["team/disk"][content.identity().digest.text()] == content.text());
    CHECK(connection.server->blobs["team/disk"].contains(made.digest.text()));
}

TEST_CASE("416 to a blob of any size is a fault that may pass") {
    const std::size_t size = GENERATE(0U, 1U, 452U, 256U * 1024U, 3U * 1024U * 1024U);
    const unsigned refusals = GENERATE(1U, 3U);
    FakeConnection connection;
    connection.server->intercept = [refusals, seen = 0U](const HttpRequest& request) mutable {
        const bool sends = request.method == HttpMethod::patch || request.method == HttpMethod::put;
        return sends && seen++ < refusals ? std::optional(FakeRegistry::answer(416)) : std::nullopt;
    };
    const WholeContent content(size);
    BlobUpload(*connection.client, nullptr).finish(content, content.identity());
    CHECK(connection.server->blobs["team/disk"][content.identity().digest.text()] == content.text());
}

TEST_CASE("a registry without chunks gets the blob in one request") {
    const int status = GENERATE(400, 404, 405, 501);
    const std::size_t from = GENERATE(0U, 1U);
    FakeConnection connection;
    connection.server->intercept = refuse_patches(status, from);
    const WholeContent content(66 * MiB + 5);
    BlobUpload(*connection.client, nullptr).finish(content, content.identity());
    CHECK(connection.server->blobs["team/disk"][content.identity().digest.text()] == content.text());
    StreamingBlobWriter writer(connection.client, std::nullopt);
    const auto stream = [&] {
        writer.write(as_bytes(content.text() + "more"));
        writer.commit();
    };
    CHECK_THROWS_WITH(stream(), Catch::Contains("convert to an OCI layout"));
}

TEST_CASE("416 to the smallest chunk there is ends in words, and in one request where the blob is at hand") {
    const std::uint64_t limit = GENERATE(200 * KiB, std::uint64_t{1000});
    FakeConnection connection;
    connection.server->intercept = [limit](const HttpRequest& request) -> std::optional<HttpResponse> {
        if (request.method != HttpMethod::patch || request.body->size() <= limit)
            return std::nullopt;
        return FakeRegistry::answer(416, R"({"errors":[{"code":"RANGE","message":"body too large"}]})");
    };
    const WholeContent content(66 * MiB + 17);
    BlobUpload(*connection.client, nullptr).finish(content, content.identity());
    CHECK(connection.server->blobs["team/disk"][content.identity().digest.text()] == content.text());
    StreamingBlobWriter writer(connection.client, std::nullopt);
    const auto stream = [&] {
        writer.write(as_bytes(std::string_view(content.text()).substr(1)));
        writer.commit();
    };
    CHECK_THROWS_WITH(stream(), Catch::Contains("416 to a request of 262144 bytes") &&
                                    Catch::Contains("body too large") && Catch::Contains("convert to an OCI layout"));
}

TEST_CASE("a registry says by its code that it takes no chunks") {
    const int status = GENERATE(403, 415, 422);
    FakeConnection connection;
    connection.server->intercept = [status](const HttpRequest& request) -> std::optional<HttpResponse> {
        if (request.method != HttpMethod::patch)
            return std::nullopt;
        return FakeRegistry::answer(status, R"({"errors":[{"code": "UNSUPPORTED","message":"no chunks"}]})");
    };
    const WholeContent content(65 * MiB + 1);
    BlobUpload(*connection.client, nullptr).finish(content, content.identity());
    CHECK(connection.server->blobs["team/disk"][content.identity().digest.text()] == content.text());
    CHECK(connection.server->count("PATCH") == 1);
}

TEST_CASE("a blob that is lost whenever it is closed is not sent again and again") {
    FakeConnection connection;
    connection.server->intercept = [](const HttpRequest& request) -> std::optional<HttpResponse> {
        if (request.method == HttpMethod::put)
            return FakeRegistry::answer(500);
        if (request.method == HttpMethod::get)
            return FakeRegistry::answer(404);
        return std::nullopt;
    };
    const WholeContent content(66 * MiB);
    CHECK_THROWS_AS(BlobUpload(*connection.client, nullptr).finish(content, content.identity()), Error);
    CHECK(connection.server->body_bytes_received < 4 * content.text().size());
}

TEST_CASE("what one upload learns serves the others of the run") {
    FakeConnection connection;
    unsigned refused = 0;
    connection.server->intercept = [&](const HttpRequest& request) -> std::optional<HttpResponse> {
        const bool sends = request.method == HttpMethod::patch || request.method == HttpMethod::put;
        if (!sends || request.body == nullptr || request.body->size() <= 2 * MiB)
            return std::nullopt;
        ++refused;
        return FakeRegistry::answer(413);
    };
    const WholeContent first(20 * MiB + 3);
    BlobUpload(*connection.client, nullptr).finish(first, first.identity());
    const unsigned to_learn = refused;
    CHECK(to_learn > 0);
    const WholeContent second(20 * MiB + 7);
    BlobUpload(*connection.client, nullptr).finish(second, second.identity());
    StreamingBlobWriter writer(connection.client, std::nullopt);
    writer.write(as_bytes(std::string_view(second.text()).substr(1)));
    const BlobIdentity made = writer.commit();
    CHECK(refused == to_learn);
    CHECK(connection.server->blobs["team/disk"][second.identity().digest.text()] == second.text());
    CHECK(connection.server->blobs["team/disk"].contains(made.digest.text()));
}

TEST_CASE("that chunks are refused is learnt once") {
    FakeConnection connection;
    connection.server->intercept = refuse_patches(405, 0);
    const WholeContent first(65 * MiB);
    BlobUpload(*connection.client, nullptr).finish(first, first.identity());
    const std::size_t patches = connection.server->count("PATCH");
    CHECK(patches == 1);
    const WholeContent second(66 * MiB);
    BlobUpload(*connection.client, nullptr).finish(second, second.identity());
    CHECK(connection.server->count("PATCH") == patches);
    CHECK(connection.server->blobs["team/disk"][second.identity().digest.text()] == second.text());
}

TEST_CASE("a registry that takes no body with the request that closes gets the last chunk before") {
    const int status = GENERATE(400, 404, 405, 411, 422, 501);
    FakeConnection connection;
    unsigned refused = 0;
    connection.server->intercept = [&](const HttpRequest& request) -> std::optional<HttpResponse> {
        const bool closes = request.method == HttpMethod::put && request.body != nullptr && request.body->size() > 0;
        if (!closes || connection.server->count("PATCH") == 0)
            return std::nullopt;
        ++refused;
        return FakeRegistry::answer(status);
    };
    const WholeContent first(66 * MiB + 5);
    BlobUpload(*connection.client, nullptr).finish(first, first.identity());
    CHECK(connection.server->blobs["team/disk"][first.identity().digest.text()] == first.text());
    CHECK(refused == 1);
    CHECK(connection.server->count("POST") == 1); // nothing was sent again
    const WholeContent second(66 * MiB + 9);
    BlobUpload(*connection.client, nullptr).finish(second, second.identity());
    CHECK(refused == 1);
    CHECK(connection.server->blobs["team/disk"][second.identity().digest.text()] == second.text());
}

TEST_CASE("a registry that refuses to close whatever it is sent is not asked for ever") {
    FakeConnection connection;
    connection.server->intercept = [](const HttpRequest& request) -> std::optional<HttpResponse> {
        return request.method == HttpMethod::put ? std::optional(FakeRegistry::answer(400, "no")) : std::nullopt;
    };
    const WholeContent content(66 * MiB);
    CHECK_THROWS_WITH(BlobUpload(*connection.client, nullptr).finish(content, content.identity()),
                      Catch::Contains("answered 400"));
    CHECK(connection.server->count("PUT") <= 4);
}
