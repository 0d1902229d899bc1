#include "libconvert/registry/answer.hpp"

#include "formats/base/escape.hpp"
#include "formats/base/fd.hpp"
#include "formats/codec/layer_decoder.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace vm2oci::registry {
namespace {

constexpr std::size_t kMaxErrorsShown = 3;
constexpr std::size_t kMaxTextShown = 200;

std::string explain_errors(const nlohmann::json& errors) {
    std::string line;
    std::size_t shown = 0;
    for (const nlohmann::json& error : errors) {
        if (!error.is_object() || shown == kMaxErrorsShown)
            continue;
        const auto text_of = [&](const char* name) {
            const auto found = error.find(name);
            if (found == error.end() || found->is_null() || found->empty())
                return std::string();
            return escape_untrusted(found->is_string()
                                        ? found->get<std::string>()
                                        : found->dump(-1, ' ', true, nlohmann::json::error_handler_t::replace),
                                    kMaxTextShown);
        };
        const std::string code = text_of("code");
        const std::string message = text_of("message");
        const std::string detail = text_of("detail");
        std::string one = code;
        if (!message.empty())
            one += (one.empty() ? "" : ": ") + message;
        if (!detail.empty() && detail != message)
            one += (one.empty() ? "" : ", ") + detail;
        if (one.empty())
            continue;
        line += (line.empty() ? "" : "; ") + one;
        ++shown;
    }
    return line;
}

class StringSink final : public ByteSink {
  public:
    void write(std::span<const std::byte> bytes) override { text.append(as_text(bytes)); }
    std::string text;
};

std::string_view reason_for(int status) {
    return status == 413
               ? "; the registry, or a proxy before it, bounds the size of a request, and that bound has to be raised"
               : "";
}

Hint hint_for(int status) {
    switch (status) {
    case 401:
        return HintKind::login;
    case 403:
        return HintKind::other_login;
    default:
        return {};
    }
}

} // namespace

std::string explain_body(const HttpResponse& response) {
    const std::string& body = response.body;
    const std::size_t begin = body.find_first_not_of(" \t\r\n");
    if (begin == std::string::npos)
        return "";
    const std::string type = response.headers.find("Content-Type").value_or("");
    if (body[begin] == '<' || type.find("html") != std::string::npos)
        return "HTML instead of a registry's answer: " + quote_untrusted(body.substr(begin), kMaxTextShown);
    if (body[begin] == '{') {
        const nlohmann::json document = nlohmann::json::parse(body, nullptr, /*allow_exceptions=*/false);
        if (document.is_object() && document.contains("errors") && document["errors"].is_array())
            return explain_errors(document["errors"]);
        // Token servers: {"details": "…"} or OAuth2's {"error": …, "error_description": …}.
        for (const char* name : {"details", "error_description", "message", "error"})
            if (document.is_object() && document.contains(name) && document[name].is_string())
                return escape_untrusted(document[name].get<std::string>(), kMaxTextShown);
    }
    return quote_untrusted(body.substr(begin), kMaxTextShown);
}

void undo_content_encoding(HttpResponse& response, std::size_t limit) {
    const std::string encoding = response.headers.find("Content-Encoding").value_or("");
    const std::string type = response.headers.find("Content-Type").value_or("");
    constexpr int partial_content = 206;
    if (encoding.find("gzip") == std::string::npos || type.find("json") == std::string::npos ||
        response.status == partial_content || !response.body.starts_with("\x1f\x8b") ||
        response.completeness != HttpResponse::Completeness::whole)
        return;
    StringSink content;
    with_context("the answer is said to be gzip'd", [&] {
        LayerDecoder decoder(content, {.max_content = limit});
        decoder.write(as_bytes(response.body));
        decoder.finish();
    });
    response.body = std::move(content.text);
}

void fail_answer(std::string_view host, const HttpResponse& response, std::source_location where) {
    const std::string said = explain_body(response);
    fail(response.status == 404 ? ErrorKind::not_found : ErrorKind::external,
         fmt::format("{} answered {}{}{}{}", host, response.status, said.empty() ? "" : ": ", said,
                     reason_for(response.status)),
         hint_for(response.status), where);
}

} // namespace vm2oci::registry
