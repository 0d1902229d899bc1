#include "libconvert/registry/streaming_blob_writer.hpp"
#include "tests/support/fake_registry.hpp"

#include <catch2/catch.hpp>

#include <atomic>
#include <chrono>
#include <random>
#include <thread>

using namespace vm2oci;
using namespace vm2oci::registry;
using test::FakeConnection;
using test::FakeRegistry;

namespace {

std::string noise(std::size_t size, std::uint32_t seed) {
    std::string text(size, '\0');
    std::minstd_rand random(seed);
    for (char& c : text)
        c = static_cast<char>(random() >> 8);
    return text;
}

void set_back(FakeRegistry& server, std::uint64_t size) {
    for (auto& [name, bytes] : server.uploads)
        bytes.resize(std::min<std::size_t>(bytes.size(), size));
}

} // namespace

TEST_CASE("a chunk that is sent again stays while the writer goes on") {
    FakeConnection connection;
    FakeRegistry& server = *connection.server;
    const std::string text = noise(45'000'000, 7);
    std::atomic<std::uint64_t> written = 0;
    const std::uint64_t back_to =
        GENERATE(std::uint64_t{0}, std::uint64_t{2}, std::uint64_t{4'194'304}, std::uint64_t{8'000'001});
    server.intercept = [&, patches = 0](const HttpRequest& request) mutable -> std::optional<HttpResponse> {
        if (request.method != HttpMethod::patch)
            return std::nullopt;
        ++patches;
        if (patches == 2) {
            set_back(server, back_to);
            throw NetworkError(NetworkFault::dropped, "cut");
        }
        if (patches == 3) // the writer has time to fill the window and to drop what was said to have arrived
            for (int i = 0; i < 40 && written < 40'000'000; ++i)
                std::this_thread::sleep_for(std::chrono::milliseconds(10));
        return std::nullopt;
    };
    StreamingBlobWriter writer(connection.client, std::nullopt);
    for (std::size_t at = 0; at < text.size(); at += 1'000'000) {
        writer.write(as_bytes(std::string_view(text).substr(at, 1'000'000)));
        written = at;
    }
    const BlobIdentity made = writer.commit();
    CHECK(server.blobs["team/disk"][made.digest.text()] == text);
}

TEST_CASE("window and uploader agree under partial acknowledgements, retries and offsets that go back") {
    const std::uint32_t seed = GENERATE(range(1U, 9U));
    CAPTURE(seed);
    FakeConnection connection;
    FakeRegistry& server = *connection.server;
    const std::string text = noise(40'000'000 + seed * 1'234'567, seed);
    std::minstd_rand random(seed);
    server.cut_upload = [&](const HttpRequest& request) -> std::optional<std::uint64_t> {
        if (random() % 4 != 0)
            return std::nullopt;
        return random() % (request.body->size() + 1); // a part arrives and counts
    };
    server.intercept = [&](const HttpRequest& request) -> std::optional<HttpResponse> {
        if (request.method != HttpMethod::patch)
            return std::nullopt;
        switch (random() % 8) {
        case 0: { // loses some of what it had acknowledged
            const std::uint64_t has = server.uploads.begin()->second.size();
            set_back(server, has - random() % (std::min<std::uint64_t>(has, 12'000'000) + 1));
            throw NetworkError(NetworkFault::dropped, "cut");
        }
        case 1:
            return FakeRegistry::answer(503);
        default:
            return std::nullopt;
        }
    };
    std::optional<BlobIdentity> made;
    try {
        StreamingBlobWriter writer(connection.client, std::nullopt);
        for (std::size_t at = 0; at < text.size();) {
            const std::size_t count = std::min<std::size_t>(text.size() - at, 1 + (at * 31 + seed) % 2'000'000);
            writer.write(as_bytes(std::string_view(text).substr(at, count)));
            at += count;
        }
        made = writer.commit();
    } catch (const UploadLost&) {
        // Right where the registry went back beyond what is kept; never wrong bytes.
    }
    for (const auto& [digest, bytes] : server.blobs["team/disk"])
        CHECK(bytes == text);
    if (made) {
        CHECK(made->digest == Digest::of(text));
        CHECK(server.blobs["team/disk"].size() == 1);
    }
}
