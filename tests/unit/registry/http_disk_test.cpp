#include "formats/base/fd.hpp"
#include "libconvert/registry/http_disk.hpp"

#include <catch2/catch.hpp>

#include <functional>
#include <random>

using namespace vm2oci;
using namespace vm2oci::registry;

namespace {

std::string random_text(std::size_t size) {
    std::mt19937_64 random(9);
    std::string text;
    while (text.size() < size)
        text += static_cast<char>(random());
    return text;
}

// A web server in memory, with one file at /disk.
class FakeWeb final : public HttpTransport {
  public:
    explicit FakeWeb(std::string content) : content_(std::move(content)) {}

    HttpResponse perform(const HttpRequest& request) override {
        ++requests;
        HttpResponse response;
        std::string body;
        if (request.url.path_and_query == "/moved") {
            response.status = 302;
            response.headers.add("Location", target);
        } else if (request.url.path_and_query != "/disk") {
            response.status = 404;
        } else {
            answer(*request.headers.find("Range"), response, body);
        }
        if (ByteSink* sink = request.choose_sink(response))
            sink->write(as_bytes(body));
        return response;
    }

    int requests = 0;
    bool knows_ranges = true;
    std::string tag = "\"1\"";
    std::string target = "/disk";
    std::function<void(HttpResponse&, std::string&)> spoil = [](HttpResponse&, std::string&) {};

  private:
    void answer(const std::string& range, HttpResponse& response, std::string& body) {
        if (!knows_ranges) {
            response.status = 200;
            response.headers.add("Content-Length", std::to_string(content_.size()));
            body = content_;
            return;
        }
        std::size_t first = 0;
        std::size_t last = 0;
        REQUIRE(std::sscanf(range.c_str(), "bytes=%zu-%zu", &first, &last) == 2);
        if (first >= content_.size()) {
            response.status = 416;
            return;
        }
        last = std::min(last, content_.size() - 1);
        response.status = 206;
        body = content_.substr(first, last - first + 1);
        HttpHeaders headers;
        headers.add("ETag", tag);
        headers.add("Content-Range", "bytes " + std::to_string(first) + "-" + std::to_string(last) + "/" +
                                         std::to_string(content_.size()));
        response.headers = headers;
        spoil(response, body);
    }

    std::string content_;
};

std::shared_ptr<const BlockDevice> open(const std::shared_ptr<FakeWeb>& web, const std::string& path = "/disk",
                                        std::uint64_t limit = 64 * MiB) {
    return open_http_disk("https://host.example" + path, web, limit, {});
}

std::string part(const BlockDevice& disk, std::uint64_t offset, std::size_t length) {
    std::string text(length, '\1');
    disk.read_at(offset, std::as_writable_bytes(std::span(text)));
    return text;
}

} // namespace

TEST_CASE("a disk on a web server is read by ranges") {
    const std::string content = random_text(5 * MiB + 777);
    const auto web = std::make_shared<FakeWeb>(content);
    const auto disk = open(web);
    CHECK(disk->size() == content.size());
    CHECK(web->requests == 1);
    CHECK(part(*disk, 0, 1000) == content.substr(0, 1000));
    CHECK(web->requests == 1); // the first part came with the question
    CHECK(part(*disk, 4 * MiB + 5, 2000) == content.substr(4 * MiB + 5, 2000));
    CHECK(web->requests == 2);
    CHECK(part(*disk, 0, content.size()) == content);
    CHECK(web->requests <= 5);
}

TEST_CASE("small and empty files on a web server") {
    for (const std::size_t size :
         {std::size_t{0}, std::size_t{1}, static_cast<std::size_t>(MiB), static_cast<std::size_t>(MiB) + 1}) {
        const std::string content = random_text(size).substr(0, size);
        const auto disk = open(std::make_shared<FakeWeb>(content));
        CHECK(part(*disk, 0, disk->size()) == content);
    }
}

TEST_CASE("a server without ranges is read once, into a scratch file") {
    const std::string content = random_text(3 * MiB);
    const auto web = std::make_shared<FakeWeb>(content);
    web->knows_ranges = false;
    const auto disk = open(web);
    CHECK(part(*disk, 0, disk->size()) == content);
    CHECK(web->requests == 1);
    CHECK_THROWS_WITH(open(web, "/disk", 2 * MiB), Catch::Contains("limit"));
}

TEST_CASE("redirects are followed, but never to plain HTTP") {
    const std::string content = random_text(3 * MiB);
    const auto web = std::make_shared<FakeWeb>(content);
    const auto disk = open(web, "/moved");
    CHECK(part(*disk, 0, disk->size()) == content);
    web->target = "http://other.example/disk";
    CHECK_THROWS_WITH(open(web, "/moved"), Catch::Contains("plain HTTP"));
    web->target = "/moved";
    CHECK_THROWS_WITH(open(web, "/moved"), Catch::Contains("without end"));
}

TEST_CASE("what is no answer to the question is refused by name") {
    const std::string content = random_text(4 * MiB);
    CHECK_THROWS_WITH(open(std::make_shared<FakeWeb>(content), "/other?token=secret"),
                      Catch::Contains("https://host.example/other is not there") && !Catch::Contains("secret"));
    const auto refused = [&](const std::string& says, const std::function<void(HttpResponse&, std::string&)>& spoil) {
        const auto web = std::make_shared<FakeWeb>(content);
        const auto disk = open(web);
        web->spoil = spoil;
        CHECK_THROWS_WITH(part(*disk, 2 * MiB, 10), Catch::Contains(says));
        const auto second = std::make_shared<FakeWeb>(content);
        second->spoil = spoil;
        return second;
    };
    refused("has another file now", [](HttpResponse& response, std::string&) {
        HttpHeaders headers;
        headers.add("ETag", "\"2\"");
        headers.add("Content-Range", *response.headers.find("Content-Range"));
        response.headers = headers;
    });
    refused("another part", [](HttpResponse&, std::string& body) { body.resize(body.size() / 2); });
    refused("more than it was asked for", [](HttpResponse&, std::string& body) { body += "x"; });
    for (const char* range : {"", "bytes 0-10/*", "bytes 5-4/100", "bytes 0-99/50", "items 0-1/2", "bytes 7-9/100"}) {
        const auto web = refused("which part", [range](HttpResponse& response, std::string&) {
            HttpHeaders headers;
            headers.add("Content-Range", range);
            response.headers = headers;
        });
        CHECK_THROWS_WITH(open(web), Catch::Contains("which part"));
    }
}
