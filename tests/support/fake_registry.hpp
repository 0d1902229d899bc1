// A registry in memory behind HttpTransport, with faults on demand; a clock that does not wait; a fixed login.
#pragma once

#include "formats/base/fd.hpp"
#include "formats/oci/digest.hpp"
#include "libconvert/registry/client.hpp"

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace vm2oci::test {

struct SeenRequest {
    registry::HttpMethod method;
    std::string url;
    registry::HttpHeaders headers;
    std::uint64_t body_size;

    std::string line() const { return std::string(registry::to_string(method)) + " " + url; }
};

// https://registry.test, repositories by name. Thread-safe; hooks are set before use.
class FakeRegistry final : public registry::HttpTransport {
  public:
    using Request = registry::HttpRequest;
    using Response = registry::HttpResponse;

    // --- how it behaves
    // Answers in the place of the registry; nullopt: the registry answers. Sees every request.
    std::function<std::optional<Response>(const Request&)> intercept;
    // How many bytes of a request's body arrive before the connection drops; nullopt: all.
    std::function<std::optional<std::uint64_t>(const Request&)> cut_upload;
    // How many bytes of an answer's blob are sent before the connection drops.
    std::function<std::optional<std::uint64_t>(const Request&)> cut_download;
    enum class AfterDrop {
        keeps_what_came,
        forgets_the_chunk,
        loses_the_upload
    } after_drop = AfterDrop::keeps_what_came;
    enum class Ranges { served, ignored } ranges = Ranges::served;
    std::string minimum_chunk; // OCI-Chunk-Min-Length
    std::string location_base = "https://registry.test";
    bool lists_referrers = false;
    std::uint64_t largest_request = UINT64_MAX; // beyond: 413

    // --- what it holds
    std::map<std::string, std::map<std::string, std::string>> blobs;                             // repo, digest
    std::map<std::string, std::map<std::string, std::pair<std::string, std::string>>> manifests; // repo, tag|digest
    std::map<std::string, std::string> uploads;

    // --- what it saw
    std::vector<SeenRequest> seen;
    std::uint64_t body_bytes_received = 0;

    std::size_t count(std::string_view part_of_line) const {
        const std::lock_guard lock(mutex_);
        std::size_t found = 0;
        for (const SeenRequest& one : seen)
            found += static_cast<std::size_t>(one.line().find(part_of_line) != std::string::npos);
        return found;
    }

    Response perform(const Request& request) override {
        const std::lock_guard lock(mutex_);
        seen.push_back(
            {request.method, request.url.text(), request.headers, request.body != nullptr ? request.body->size() : 0});
        if (intercept)
            if (std::optional<Response> response = intercept(request))
                return deliver(request, std::move(*response), UINT64_MAX);
        return serve(request);
    }

    static Response answer(int status, std::string body = "",
                           std::vector<std::pair<std::string, std::string>> headers = {}) {
        Response response;
        response.status = status;
        response.body = std::move(body);
        for (auto& [name, value] : headers)
            response.headers.add(name, value);
        return response;
    }

  private:
    using Method = registry::HttpMethod;

    // Sends the body where the request wants it, as a transport does.
    static Response deliver(const Request& request, Response response, std::uint64_t cut) {
        std::string body = std::move(response.body);
        response.body.clear();
        const bool dropped = cut < body.size();
        if (dropped)
            body.resize(cut);
        if (request.method == Method::head)
            return response;
        ByteSink* sink = !body.empty() && request.choose_sink ? request.choose_sink(response) : nullptr;
        if (sink != nullptr)
            sink->write(std::as_bytes(std::span(body.data(), body.size())));
        else
            response.body = body.substr(0, request.body_limit);
        if (sink == nullptr && body.size() > request.body_limit)
            response.completeness = Response::Completeness::cut_at_limit;
        else if (dropped)
            throw registry::NetworkError(registry::NetworkFault::dropped, "the connection was cut");
        return response;
    }

    Response serve(const Request& request) {
        std::string path = request.url.path_and_query;
        std::string query;
        if (const std::size_t mark = path.find('?'); mark != std::string::npos) {
            query = path.substr(mark + 1);
            path.resize(mark);
        }
        if (path == "/v2/")
            return answer(200);
        for (const std::string_view kind : {"/blobs/uploads/", "/blobs/", "/manifests/", "/tags/list"}) {
            const std::size_t at = path.find(kind);
            if (at == std::string::npos)
                continue;
            const std::string repository = path.substr(4, at - 4);
            const std::string rest = path.substr(at + kind.size());
            if (kind == "/blobs/uploads/")
                return serve_upload(request, repository, rest, query);
            if (kind == "/blobs/")
                return serve_blob(request, repository, rest);
            if (kind == "/manifests/")
                return serve_manifest(request, repository, rest);
            return serve_tags(repository);
        }
        return error(404, "NOT_FOUND");
    }

    static Response error(int status, const std::string& code) {
        return answer(status, R"({"errors":[{"code":")" + code + R"(","message":"the registry's words"}]})",
                      {{"Content-Type", "application/json"}});
    }

    static std::string read_body(const Request& request, std::uint64_t count) {
        std::string bytes(count, '\0');
        if (count > 0)
            request.body->read_at(0, std::as_writable_bytes(std::span(bytes.data(), bytes.size())));
        return bytes;
    }

    static std::string parameter(const std::string& query, const std::string& name) {
        const std::size_t at = ("&" + query).find("&" + name + "=");
        if (at == std::string::npos)
            return "";
        std::string value = query.substr(at + name.size() + 1);
        value.resize(std::min(value.find('&'), value.size()));
        for (std::size_t colon; (colon = value.find("%3A")) != std::string::npos;)
            value.replace(colon, 3, ":");
        for (std::size_t slash; (slash = value.find("%2F")) != std::string::npos;)
            value.replace(slash, 3, "/");
        return value;
    }

    Response upload_answer(int status, const std::string& repository, const std::string& id) {
        const std::uint64_t size = uploads[id].size();
        Response response = answer(status, "", {{"Range", "0-" + std::to_string(size == 0 ? 0 : size - 1)}});
        response.headers.add("Location", location_base + "/v2/" + repository + "/blobs/uploads/" + id +
                                             "?state=" + std::to_string(++state_));
        return response;
    }

    Response serve_upload(const Request& request, const std::string& repository, const std::string& id,
                          const std::string& query) {
        if (request.method == Method::post) {
            const std::string digest = parameter(query, "mount");
            const std::string from = parameter(query, "from");
            if (!digest.empty() && blobs[from].contains(digest)) {
                blobs[repository][digest] = blobs[from][digest];
                return answer(201, "", {{"Docker-Content-Digest", digest}});
            }
            const std::string fresh = "upload-" + std::to_string(++upload_number_);
            uploads[fresh];
            Response response = upload_answer(202, repository, fresh);
            if (!minimum_chunk.empty())
                response.headers.add("OCI-Chunk-Min-Length", minimum_chunk);
            return response;
        }
        const auto upload = uploads.find(id);
        if (upload == uploads.end())
            return error(404, "BLOB_UPLOAD_UNKNOWN");
        if (request.method == Method::get)
            return upload_answer(204, repository, id);
        if (request.method == Method::remove) {
            uploads.erase(upload);
            return answer(204);
        }
        return take_bytes(request, repository, upload, query);
    }

    Response take_bytes(const Request& request, const std::string& repository,
                        std::map<std::string, std::string>::iterator upload, const std::string& query) {
        const std::uint64_t size = request.body != nullptr ? request.body->size() : 0;
        if (size > largest_request)
            return error(413, "SIZE_INVALID");
        const auto range = request.headers.find("Content-Range");
        if (range && range->substr(0, range->find('-')) != std::to_string(upload->second.size()))
            return upload_answer(416, repository, upload->first);
        std::uint64_t cut = UINT64_MAX;
        if (cut_upload)
            cut = cut_upload(request).value_or(UINT64_MAX);
        const std::uint64_t arrives = std::min(cut, size);
        body_bytes_received += arrives;
        if (request.on_sent)
            request.on_sent(arrives);
        const std::string bytes = read_body(request, arrives);
        if (cut != UINT64_MAX) {
            if (after_drop == AfterDrop::keeps_what_came)
                upload->second += bytes;
            else if (after_drop == AfterDrop::loses_the_upload)
                uploads.erase(upload);
            throw registry::NetworkError(registry::NetworkFault::dropped, "the connection was cut");
        }
        upload->second += bytes;
        if (request.method == Method::patch)
            return upload_answer(202, repository, upload->first);
        const std::string digest = parameter(query, "digest");
        const std::string content = upload->second;
        uploads.erase(upload);
        if (Digest::of(content).text() != digest)
            return error(400, "DIGEST_INVALID");
        blobs[repository][digest] = content;
        return answer(201, "", {{"Docker-Content-Digest", digest}});
    }

    Response serve_blob(const Request& request, const std::string& repository, const std::string& digest) {
        const auto found = blobs[repository].find(digest);
        if (found == blobs[repository].end())
            return error(404, "BLOB_UNKNOWN");
        const std::string& content = found->second;
        std::uint64_t cut = UINT64_MAX;
        if (cut_download)
            cut = cut_download(request).value_or(UINT64_MAX);
        const auto range = request.headers.find("Range");
        if (!range || ranges == Ranges::ignored)
            return deliver(
                request,
                answer(200, content,
                       {{"Content-Length", std::to_string(content.size())}, {"Docker-Content-Digest", digest}}),
                cut);
        const std::size_t dash = range->find('-');
        const std::uint64_t first = std::stoull(range->substr(6, dash - 6));
        const std::string last_text = range->substr(dash + 1);
        const std::uint64_t last = last_text.empty()
                                       ? content.size() - 1
                                       : std::min<std::uint64_t>(std::stoull(last_text), content.size() - 1);
        return deliver(request,
                       answer(206, content.substr(first, last - first + 1),
                              {{"Content-Range", "bytes " + std::to_string(first) + "-" + std::to_string(last) + "/" +
                                                     std::to_string(content.size())}}),
                       cut);
    }

    Response serve_manifest(const Request& request, const std::string& repository, const std::string& reference) {
        if (request.method == Method::put) {
            const std::string bytes = read_body(request, request.body->size());
            const std::string digest = Digest::of(bytes).text();
            const auto stored = std::pair(bytes, request.headers.find("Content-Type").value_or(""));
            manifests[repository][reference] = stored;
            manifests[repository][digest] = stored;
            Response response = answer(201, "", {{"Docker-Content-Digest", digest}});
            if (lists_referrers && bytes.find("\"subject\"") != std::string::npos)
                response.headers.add("OCI-Subject", "sha256:0");
            return response;
        }
        const auto found = manifests[repository].find(reference);
        if (found == manifests[repository].end())
            return error(404, "MANIFEST_UNKNOWN");
        return deliver(request,
                       answer(200, found->second.first,
                              {{"Content-Type", found->second.second},
                               {"Docker-Content-Digest", Digest::of(found->second.first).text()}}),
                       UINT64_MAX);
    }

    Response serve_tags(const std::string& repository) {
        std::string list;
        for (const auto& [name, manifest] : manifests[repository])
            if (!name.starts_with("sha256:"))
                list += (list.empty() ? "\"" : ",\"") + name + "\"";
        return answer(200, R"({"name":")" + repository + R"(","tags":[)" + list + "]}");
    }

    mutable std::recursive_mutex mutex_; // `intercept` may count
    unsigned upload_number_ = 0;
    unsigned state_ = 0;
};

class FakeClock final : public registry::Clock {
  public:
    TimePoint now() const override {
        const std::lock_guard lock(mutex_);
        return now_;
    }
    std::int64_t unix_time() const override { return 1'700'000'000; }
    void sleep(std::chrono::milliseconds duration) override {
        const std::lock_guard lock(mutex_);
        now_ += duration;
        slept += duration;
    }
    void advance(std::chrono::seconds duration) {
        const std::lock_guard lock(mutex_);
        now_ += duration;
    }
    std::chrono::milliseconds slept{0};

  private:
    mutable std::mutex mutex_;
    TimePoint now_{std::chrono::hours(1)};
};

class FixedLogin final : public registry::CredentialSource {
  public:
    FixedLogin() = default;
    explicit FixedLogin(registry::Credentials credentials) : credentials_(std::move(credentials)) {}
    std::optional<registry::Credentials> find(std::string_view, std::string_view) const override {
        return credentials_;
    }

  private:
    std::optional<registry::Credentials> credentials_;
};

// A client of repository "team/disk" with all of its parts at hand.
struct FakeConnection {
    explicit FakeConnection(std::optional<registry::Credentials> login = std::nullopt,
                            std::string_view base = "https://registry.test/") {
        auto transport = std::make_unique<FakeRegistry>();
        auto time = std::make_unique<FakeClock>();
        server = transport.get();
        clock = time.get();
        client = std::make_shared<registry::RegistryClient>(
            registry::RegistryIdentity{"registry.test", "team/disk", registry::parse_url(base)},
            registry::RegistryClient::Parts{std::move(transport), std::move(time),
                                            login ? std::make_unique<FixedLogin>(*login)
                                                  : std::make_unique<FixedLogin>()});
    }

    FakeRegistry* server; // of the client
    FakeClock* clock;
    std::shared_ptr<registry::RegistryClient> client;
};

} // namespace vm2oci::test
