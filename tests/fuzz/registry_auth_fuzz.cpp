// What a registry, a token server, a credential helper and a login file may say: read or refused, and what is accepted
// can be sent in a header.
#include "formats/base/base64.hpp"
#include "formats/base/error.hpp"
#include "libconvert/registry/answer.hpp"
#include "libconvert/registry/blob_download.hpp"
#include "libconvert/registry/blob_upload.hpp"
#include "libconvert/registry/challenge.hpp"
#include "libconvert/registry/credentials.hpp"
#include "libconvert/registry/registries_conf.hpp"
#include "libconvert/registry/retry.hpp"
#include "libconvert/registry/token.hpp"

#include <cstdlib>
#include <string_view>

namespace {

using vm2oci::decode_base64;
using vm2oci::encode_base64;
using namespace vm2oci::registry;

template <class Read>
void attempt(Read read) {
    try {
        read();
    } catch (const vm2oci::Error&) {
    }
}

void check_headers(std::string_view text) {
    if (parse_challenges(text).size() > text.size())
        std::abort();
    HttpHeaders headers;
    headers.add("Range", std::string(text));
    headers.add("Retry-After", std::string(text));
    (void)acknowledged_bytes(headers);
    if (const auto wait = retry_after(headers, 0); wait && wait->count() < 0)
        std::abort();
    if (const auto range = parse_content_range(text); range && range->last < range->first)
        std::abort();
    attempt([&] { (void)resolve_url(parse_url("https://registry.test/v2/"), text); });
}

void check_documents(std::string_view text) {
    attempt([&] {
        for (const char c : parse_token_answer(text).value)
            if (c <= 0x20 || c >= 0x7F)
                std::abort();
    });
    attempt([&] { (void)parse_helper_answer(text); });
    attempt([&] { (void)parse_auth_file(text); });
    attempt([&] {
        const auto entries = parse_registries_conf(text);
        (void)endpoints_for(entries, "registry.test", "team/disk", ReferenceBy::tag, Mirrors::use);
    });
    HttpResponse response;
    response.status = 500;
    response.body = text;
    for (const char c : explain_body(response))
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F)
            std::abort();
    if (const auto bytes = decode_base64(text); bytes && decode_base64(encode_base64(*bytes)) != bytes)
        std::abort();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    check_headers(text);
    check_documents(text);
    return 0;
}
