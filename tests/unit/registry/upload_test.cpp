#include "libconvert/registry/blob_upload.hpp"
#include "libconvert/registry/streaming_blob_writer.hpp"
#include "tests/support/fake_registry.hpp"

#include <catch2/catch.hpp>

#include <cstring>

using namespace vm2oci;
using namespace vm2oci::registry;
using test::FakeConnection;
using test::FakeRegistry;

namespace {

class TextContent final : public UploadContent {
  public:
    explicit TextContent(std::string text, std::uint64_t first = 0) : text_(std::move(text)), first_(first) {}
    bool keep_from(std::uint64_t offset) const override { return offset >= first_; }
    void read_at(std::uint64_t offset, std::span<std::byte> buffer) const override {
        REQUIRE(offset >= first_);
        std::memcpy(buffer.data(), text_.data() + offset, buffer.size());
    }
    BlobIdentity identity() const { return {Digest::of(text_), text_.size()}; }
    const std::string& text() const { return text_; }

  private:
    std::string text_;
    std::uint64_t first_;
};

std::string varied(std::size_t size) {
    std::string text(size, '\0');
    std::uint32_t state = 12345;
    for (char& c : text) {
        state = state * 1664525 + 1013904223;
        c = static_cast<char>(state >> 24);
    }
    return text;
}

bool is_put(const HttpRequest& request) {
    return request.method == HttpMethod::put;
}
bool is_patch(const HttpRequest& request) {
    return request.method == HttpMethod::patch;
}

// Calls `fault` for the first `times` requests that `which` selects.
template <class Which, class Fault>
auto first_times(int times, Which which, Fault fault) {
    return [left = times, which, fault](const HttpRequest& request) mutable -> decltype(fault(request)) {
        if (!which(request) || left == 0)
            return std::nullopt;
        --left;
        return fault(request);
    };
}

auto cut_after(std::uint64_t bytes) {
    return [bytes](const HttpRequest&) { return std::optional<std::uint64_t>(bytes); };
}

} // namespace

TEST_CASE("a Range header says what the registry has") {
    const auto bytes = [](const char* value) {
        HttpHeaders headers;
        headers.add("Range", value);
        return acknowledged_bytes(headers);
    };
    CHECK(bytes("0-99") == 100);
    CHECK(bytes("bytes=0-99") == 100);
    CHECK(bytes("0-0") == 0);
    CHECK(bytes("5-99") == std::nullopt);
    CHECK(bytes("0-") == std::nullopt);
    CHECK(bytes("0--1") == std::nullopt);
    CHECK(bytes("0-18446744073709551615") == std::nullopt);
    CHECK(acknowledged_bytes({}) == std::nullopt);
}

TEST_CASE("a small blob takes two requests") {
    FakeConnection connection;
    const TextContent content(varied(100'000));
    BlobUpload(*connection.client, nullptr).finish(content, content.identity());
    CHECK(connection.server->blobs["team/disk"][content.identity().digest.text()] == content.text());
    CHECK(connection.server->seen.size() == 2);
    CHECK(connection.server->uploads.empty());
}

TEST_CASE("an empty blob can be uploaded") {
    FakeConnection connection;
    const TextContent content("");
    BlobUpload(*connection.client, nullptr).finish(content, content.identity());
    CHECK(connection.server->blobs["team/disk"].contains(content.identity().digest.text()));
}

TEST_CASE("after a drop only what did not arrive is sent again") {
    FakeConnection connection;
    const TextContent content(varied(1'000'000));
    connection.server->cut_upload = first_times(1, is_put, cut_after(300'000));
    BlobUpload(*connection.client, nullptr).finish(content, content.identity());
    CHECK(connection.server->blobs["team/disk"][content.identity().digest.text()] == content.text());
    CHECK(connection.server->body_bytes_received == 1'000'000);
    CHECK(connection.server->count("POST") == 1);
}

TEST_CASE("twenty drops in a row cost nothing but patience") {
    FakeConnection connection;
    const TextContent content(varied(3'000'000));
    connection.server->cut_upload = first_times(
        20, [](const HttpRequest& r) { return is_put(r) || is_patch(r); }, cut_after(65'536));
    BlobUpload(*connection.client, nullptr).finish(content, content.identity());
    CHECK(connection.server->blobs["team/disk"][content.identity().digest.text()] == content.text());
    CHECK(connection.server->body_bytes_received == 3'000'000);
}

TEST_CASE("a registry that forgets the chunk gets the chunk again, nothing more") {
    FakeConnection connection;
    connection.server->after_drop = FakeRegistry::AfterDrop::forgets_the_chunk;
    const TextContent content(varied(3'000'000));
    BlobUpload upload(*connection.client, nullptr);
    upload.send(content, 2'000'000);
    connection.server->cut_upload = first_times(1, is_put, cut_after(400'000));
    upload.finish(content, content.identity());
    CHECK(connection.server->blobs["team/disk"][content.identity().digest.text()] == content.text());
    CHECK(connection.server->body_bytes_received == 3'400'000);
}

TEST_CASE("a registry that loses the upload gets it from its beginning") {
    FakeConnection connection;
    connection.server->after_drop = FakeRegistry::AfterDrop::loses_the_upload;
    const std::string text = varied(500'000);
    connection.server->cut_upload = first_times(
        20, [](const HttpRequest& r) { return is_put(r) || is_patch(r); }, cut_after(65'536));
    SECTION("when that is still at hand") {
        const TextContent content(text);
        BlobUpload(*connection.client, nullptr).finish(content, content.identity());
        CHECK(connection.server->blobs["team/disk"][content.identity().digest.text()] == text);
    }
    SECTION("and is told when it is not") {
        connection.server->cut_upload = nullptr;
        BlobUpload upload(*connection.client, nullptr);
        upload.send(TextContent(text), 200'000);
        connection.server->cut_upload = first_times(1, is_put, cut_after(65'536));
        const TextContent rest(text, 200'000);
        try {
            upload.finish(rest, rest.identity());
            FAIL("it went on");
        } catch (const UploadLost& error) {
            CHECK(std::string(error.what()).find("lost the upload") != std::string::npos);
        }
        CHECK(connection.server->count("POST") == 1);
    }
}

TEST_CASE("an answer that is lost after the blob was stored is found out") {
    FakeConnection connection;
    const TextContent content(varied(1000));
    connection.server->intercept = first_times(1, is_put, [&](const HttpRequest&) -> std::optional<HttpResponse> {
        connection.server->blobs["team/disk"][content.identity().digest.text()] = content.text();
        connection.server->uploads.clear();
        throw NetworkError(NetworkFault::dropped, "cut");
    });
    BlobUpload(*connection.client, nullptr).finish(content, content.identity());
    CHECK(connection.server->count("PUT") == 1);
}

TEST_CASE("temporary answers are tried again, permanent ones are told") {
    FakeConnection connection;
    const TextContent content(varied(1000));
    SECTION("500") {
        connection.server->intercept = first_times(
            3, is_put, [](const HttpRequest&) -> std::optional<HttpResponse> { return FakeRegistry::answer(500); });
        BlobUpload(*connection.client, nullptr).finish(content, content.identity());
        CHECK(connection.server->blobs["team/disk"].size() == 1);
    }
    SECTION("416 with another offset") {
        connection.server->intercept = first_times(
            1, is_put, [](const HttpRequest&) -> std::optional<HttpResponse> { return FakeRegistry::answer(416); });
        BlobUpload(*connection.client, nullptr).finish(content, content.identity());
        CHECK(connection.server->blobs["team/disk"].size() == 1);
    }
    SECTION("for ever 500") {
        connection.server->intercept = [](const HttpRequest& request) -> std::optional<HttpResponse> {
            if (request.method == HttpMethod::put)
                return FakeRegistry::answer(500, R"({"errors":[{"code":"UNKNOWN","message":"disk full"}]})");
            if (request.method == HttpMethod::patch)
                return FakeRegistry::answer(500, R"({"errors":[{"code":"UNKNOWN","message":"disk full"}]})");
            return std::nullopt;
        };
        try {
            BlobUpload(*connection.client, nullptr).finish(content, content.identity());
            FAIL("it ended well");
        } catch (const Error& error) {
            CHECK(std::string(error.what()).find("disk full") != std::string::npos);
        }
        CHECK(connection.server->seen.size() < 60);
    }
    SECTION("denied") {
        connection.server->intercept = [](const HttpRequest& request) -> std::optional<HttpResponse> {
            if (request.method == HttpMethod::post)
                return FakeRegistry::answer(403, R"({"errors":[{"code":"DENIED","message":"read only"}]})");
            return std::nullopt;
        };
        try {
            BlobUpload(*connection.client, nullptr).finish(content, content.identity());
            FAIL("it ended well");
        } catch (const Error& error) {
            CHECK(std::string(error.what()).find("read only") != std::string::npos);
        }
        CHECK(connection.server->seen.size() == 1);
    }
}

TEST_CASE("requests become smaller where they are too large") {
    FakeConnection connection;
    connection.server->largest_request = 5 * MiB;
    const TextContent content(varied(9'000'000));
    BlobUpload(*connection.client, nullptr).finish(content, content.identity());
    CHECK(connection.server->blobs["team/disk"][content.identity().digest.text()] == content.text());
    CHECK(connection.server->body_bytes_received == 9'000'000);
}

TEST_CASE("a blob that the registry stored as something else is refused") {
    FakeConnection connection;
    const TextContent content(varied(1000));
    connection.server->intercept = [](const HttpRequest& request) -> std::optional<HttpResponse> {
        if (request.method != HttpMethod::put)
            return std::nullopt;
        return FakeRegistry::answer(201, "", {{"Docker-Content-Digest", "sha256:" + std::string(64, '0')}});
    };
    try {
        BlobUpload(*connection.client, nullptr).finish(content, content.identity());
        FAIL("it was accepted");
    } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::external);
    }
}

TEST_CASE("an upload that goes to another host goes without credentials") {
    FakeConnection connection(Credentials{"user", "pass", ""});
    connection.server->location_base = "https://storage.test";
    connection.server->intercept = [](const HttpRequest& request) -> std::optional<HttpResponse> {
        if (request.url.host == "registry.test" && !request.headers.find("Authorization"))
            return FakeRegistry::answer(401, "", {{"WWW-Authenticate", "Basic realm=x"}});
        return std::nullopt;
    };
    const TextContent content(varied(1000));
    BlobUpload(*connection.client, nullptr).finish(content, content.identity());
    CHECK(connection.server->count("PUT https://storage.test") == 1);
    CHECK(connection.server->seen.back().headers.find("Authorization") == std::nullopt);
}

TEST_CASE("a Location in plain HTTP is only an error of a proxy on the same host") {
    FakeConnection connection;
    const TextContent content(varied(1000));
    connection.server->location_base = "http://registry.test";
    BlobUpload(*connection.client, nullptr).finish(content, content.identity());
    CHECK(connection.server->count("PUT https://registry.test/") == 1);
    connection.server->location_base = "http://storage.test";
    const TextContent other(varied(1001));
    CHECK_THROWS_AS(BlobUpload(*connection.client, nullptr).finish(other, other.identity()), Error);
    CHECK(connection.server->count("http://") == 0);
}

TEST_CASE("an abandoned upload is cancelled") {
    FakeConnection connection;
    {
        BlobUpload upload(*connection.client, nullptr);
        upload.send(TextContent(varied(1000)), 1000);
        CHECK(connection.server->uploads.size() == 1);
    }
    CHECK(connection.server->uploads.empty());
}

TEST_CASE("a blob is mounted where the registry has it") {
    FakeConnection connection;
    const TextContent content(varied(1000));
    connection.server->blobs["team/base"][content.identity().digest.text()] = content.text();
    CHECK(BlobUpload(*connection.client, nullptr).mount(content.identity().digest, "team/base"));
    CHECK(connection.server->blobs["team/disk"].size() == 1);
    BlobUpload upload(*connection.client, nullptr);
    CHECK_FALSE(upload.mount(content.identity().digest, "team/other"));
    upload.finish(content, content.identity());
    CHECK(connection.server->count("POST") == 2); // the upload that the second mount began is used
}

TEST_CASE("existence is only believed with the right size and digest") {
    FakeConnection connection;
    const TextContent content(varied(1000));
    const Descriptor blob{.media_type = {}, .digest = content.identity().digest, .size = 1000};
    CHECK_FALSE(blob_exists(*connection.client, blob));
    connection.server->blobs["team/disk"][blob.digest.text()] = content.text();
    CHECK(blob_exists(*connection.client, blob));
    connection.server->blobs["team/disk"][blob.digest.text()] = "short";
    CHECK_THROWS_AS(blob_exists(*connection.client, blob), Error);
}

namespace {

void write_in_pieces(BlobWriter& writer, const std::string& text, std::size_t piece) {
    for (std::size_t at = 0; at < text.size(); at += piece)
        writer.write(as_bytes(std::string_view(text).substr(at, piece)));
}

} // namespace

TEST_CASE("a blob is uploaded while it is written") {
    FakeConnection connection;
    const std::string text = varied(30'000'000);
    StreamingBlobWriter writer(connection.client, std::nullopt);
    write_in_pieces(writer, text, 777'777);
    CHECK(connection.server->count("POST") == 1); // before the end is known
    const BlobIdentity made = writer.commit();
    CHECK(made.digest == Digest::of(text));
    CHECK(made.size == text.size());
    CHECK(connection.server->blobs["team/disk"][made.digest.text()] == text);
    CHECK(connection.server->count("PATCH") >= 3);
}

TEST_CASE("a stream survives drops in the middle without starting over") {
    FakeConnection connection;
    const std::string text = varied(50'000'000);
    connection.server->cut_upload = [n = 0](const HttpRequest& request) mutable -> std::optional<std::uint64_t> {
        if (request.method == HttpMethod::patch && ++n % 3 == 2)
            return 1'000'000;
        return std::nullopt;
    };
    StreamingBlobWriter writer(connection.client, std::nullopt);
    SECTION("where the registry keeps what came") {
        write_in_pieces(writer, text, 1 << 20);
        CHECK(connection.server->blobs["team/disk"].empty());
        const BlobIdentity made = writer.commit();
        CHECK(connection.server->blobs["team/disk"][made.digest.text()] == text);
        CHECK(connection.server->body_bytes_received == text.size());
    }
    SECTION("where it forgets the chunk") {
        connection.server->after_drop = FakeRegistry::AfterDrop::forgets_the_chunk;
        write_in_pieces(writer, text, 1 << 20);
        const BlobIdentity made = writer.commit();
        CHECK(connection.server->blobs["team/disk"][made.digest.text()] == text);
        CHECK(connection.server->count("POST") == 1);
    }
}

TEST_CASE("a stream that the registry lost too late is an error of its own kind") {
    FakeConnection connection;
    connection.server->after_drop = FakeRegistry::AfterDrop::loses_the_upload;
    connection.server->cut_upload = [n = 0](const HttpRequest& request) mutable -> std::optional<std::uint64_t> {
        if (request.method == HttpMethod::patch && ++n == 6)
            return 1'000'000;
        return std::nullopt;
    };
    const std::string text = varied(80'000'000);
    const auto upload_all = [&] {
        StreamingBlobWriter writer(connection.client, std::nullopt);
        write_in_pieces(writer, text, 1 << 20);
        writer.commit();
    };
    CHECK_THROWS_AS(upload_all(), UploadLost);
    CHECK(connection.server->blobs["team/disk"].empty());
}

TEST_CASE("a stream that is dropped leaves nothing") {
    FakeConnection connection;
    {
        StreamingBlobWriter writer(connection.client, std::nullopt);
        write_in_pieces(writer, varied(20'000'000), 1 << 20);
    }
    CHECK(connection.server->blobs["team/disk"].empty());
    CHECK(connection.server->uploads.empty());
}

TEST_CASE("a refusal in the middle of a stream reaches the writer") {
    FakeConnection connection;
    connection.server->intercept = [](const HttpRequest& request) -> std::optional<HttpResponse> {
        if (request.method == HttpMethod::patch)
            return FakeRegistry::answer(403, R"({"errors":[{"code":"DENIED","message":"quota exceeded"}]})");
        return std::nullopt;
    };
    StreamingBlobWriter writer(connection.client, std::nullopt);
    const auto write_much = [&] {
        for (int i = 0; i < 100; ++i)
            writer.write(as_bytes(std::string(1 << 20, 'x')));
    };
    CHECK_THROWS_WITH(write_much(), Catch::Contains("quota exceeded"));
}

TEST_CASE("chunks are as large as the registry wants them") {
    FakeConnection connection;
    connection.server->minimum_chunk = std::to_string(12 * MiB);
    const std::string text = varied(30'000'000);
    StreamingBlobWriter writer(connection.client, std::nullopt);
    write_in_pieces(writer, text, 1 << 20);
    const BlobIdentity made = writer.commit();
    CHECK(connection.server->blobs["team/disk"][made.digest.text()] == text);
    for (const test::SeenRequest& one : connection.server->seen) {
        if (one.method == HttpMethod::patch && one.body_size != text.size() % (12 * MiB)) {
            CHECK(one.body_size >= 12 * MiB);
        }
    }
    connection.server->minimum_chunk = std::to_string(100 * MiB);
    StreamingBlobWriter refused(connection.client, std::nullopt);
    CHECK_THROWS_AS(write_in_pieces(refused, text, 1 << 20), Error);
}

TEST_CASE("a small stream that the repository has is not sent") {
    FakeConnection connection;
    const std::string text = varied(1000);
    connection.server->blobs["team/disk"][Digest::of(text).text()] = text;
    StreamingBlobWriter writer(connection.client, std::nullopt);
    writer.write(as_bytes(text));
    writer.commit();
    CHECK(connection.server->count("POST") == 0);
}

TEST_CASE("content that is not what was expected is never stored") {
    FakeConnection connection;
    const Descriptor expected{.media_type = {}, .digest = Digest::of("expected"), .size = 8};
    StreamingBlobWriter writer(connection.client, expected);
    writer.write(as_bytes("somewhat"));
    CHECK_THROWS_AS(writer.commit(), Error);
    CHECK(connection.server->blobs["team/disk"].empty());
    PresentBlobWriter present(expected);
    present.write(as_bytes("somewhat"));
    CHECK_THROWS_AS(present.commit(), Error);
}
