#include "libconvert/registry/manifests.hpp"

#include "formats/base/escape.hpp"
#include "formats/base/fd.hpp"
#include "formats/oci/image.hpp"
#include "formats/oci/json.hpp"
#include "libconvert/registry/answer.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>

namespace vm2oci::registry {
using nlohmann::ordered_json;

namespace {

constexpr std::string_view kKnownTypes[] = {media_type::oci_index, media_type::oci_manifest, media_type::docker_list,
                                            media_type::docker_manifest};

bool is_known_type(std::string_view type) {
    return std::ranges::find(kKnownTypes, type) != std::end(kKnownTypes);
}

// What the document is: its own word, else the registry's, else what it holds.
std::string manifest_type(const ordered_json& document, const HttpHeaders& headers) {
    if (const auto own = document.find("mediaType"); own != document.end() && own->is_string())
        if (is_known_type(own->get<std::string>()))
            return own->get<std::string>();
    std::string type = headers.find("Content-Type").value_or("");
    type.resize(std::min(type.find(';'), type.size()));
    if (is_known_type(type))
        return type;
    return document.contains("manifests") ? media_type::oci_index : media_type::oci_manifest;
}

ordered_json parse_object(const RegistryClient& client, const HttpResponse& response, std::string_view what) {
    ordered_json document = ordered_json::parse(response.body, nullptr, /*allow_exceptions=*/false);
    if (!document.is_object())
        fail(ErrorKind::external,
             fmt::format("{} does not answer with {} but with {}", client.host(), what, explain_body(response)));
    return document;
}

std::string digest_in(const ordered_json& value) {
    const auto found = value.find("digest");
    return found != value.end() && found->is_string() ? found->get<std::string>() : std::string();
}

// The descriptor of a manifest with a subject, as the subject's index lists it.
ordered_json referrer_entry(const ordered_json& manifest, const Descriptor& descriptor) {
    ordered_json entry{
        {"mediaType", descriptor.media_type}, {"digest", descriptor.digest.text()}, {"size", descriptor.size}};
    if (manifest.contains("artifactType"))
        entry["artifactType"] = manifest["artifactType"];
    else if (manifest.contains("config") && manifest["config"].is_object() && manifest["config"].contains("mediaType"))
        entry["artifactType"] = manifest["config"]["mediaType"];
    if (manifest.contains("annotations"))
        entry["annotations"] = manifest["annotations"];
    return entry;
}

void put(RegistryClient& client, std::string_view tag_or_digest, const std::string& bytes, const Descriptor& descriptor,
         HttpHeaders& answered) {
    const BytesBody body(as_bytes(bytes));
    Call call;
    call.request.method = HttpMethod::put;
    call.request.url = client.url(fmt::format("manifests/{}", tag_or_digest));
    call.request.headers.add("Content-Type", descriptor.media_type);
    call.request.body = &body;
    call.access = Access::push;
    HttpResponse response = client.call(std::move(call)).response;
    if (response.status < 200 || response.status >= 300)
        fail_answer(client.host(), response);
    const std::optional<std::string> stored = response.headers.find("Docker-Content-Digest");
    if (stored && stored->starts_with("sha256:") && *stored != descriptor.digest.text())
        fail(ErrorKind::external, fmt::format("{} says that it stored {} in the place of {}", client.host(),
                                              quote_untrusted(*stored), descriptor.digest.text()));
    answered = std::move(response.headers);
}

std::string fallback_tag(const Digest& subject) {
    return "sha256-" + subject.hex();
}

void add_to_fallback_index(RegistryClient& client, const Digest& subject, const ordered_json& entry) {
    const std::string tag = fallback_tag(subject);
    ordered_json index{
        {"schemaVersion", 2}, {"mediaType", media_type::oci_index}, {"manifests", ordered_json::array()}};
    if (const std::optional<FetchedManifest> existing = fetch_manifest(client, tag)) {
        ordered_json found = ordered_json::parse(existing->bytes, nullptr, /*allow_exceptions=*/false);
        if (found.is_object() && found.contains("manifests") && found["manifests"].is_array())
            index = std::move(found);
    }
    for (const ordered_json& one : index["manifests"])
        if (one.is_object() && digest_in(one) == digest_in(entry))
            return;
    index["manifests"].push_back(entry);
    const std::string bytes = index.dump();
    HttpHeaders ignored;
    put(client, tag, bytes, {.media_type = media_type::oci_index, .digest = Digest::of(bytes), .size = bytes.size()},
        ignored);
}

// The next page of a listing: Link: </v2/…>; rel="next".
std::optional<Url> next_page(const Answer& answer) {
    const std::optional<std::string> link = answer.response.headers.find("Link");
    if (!link || link->find("next") == std::string::npos)
        return std::nullopt;
    const std::size_t begin = link->find('<');
    const std::size_t end = link->find('>');
    if (begin == std::string::npos || end == std::string::npos || end < begin)
        return std::nullopt;
    return resolve_url(answer.url, std::string_view(*link).substr(begin + 1, end - begin - 1));
}

} // namespace

std::optional<FetchedManifest> fetch_manifest(RegistryClient& client, std::string_view tag_or_digest) {
    Call call;
    call.request.url = client.url(fmt::format("manifests/{}", tag_or_digest));
    call.request.body_limit = kMaxManifestBytes;
    for (const std::string_view type : kKnownTypes)
        call.request.headers.add("Accept", std::string(type));
    HttpResponse response = client.call(std::move(call)).response;
    if (response.status == 404)
        return std::nullopt;
    if (response.status != 200)
        fail_answer(client.host(), response);
    if (response.completeness == HttpResponse::Completeness::cut_at_limit)
        fail(ErrorKind::limit,
             fmt::format("{} sends a manifest of more than {}", client.host(), format_size(kMaxManifestBytes)));
    const ordered_json document = parse_object(client, response, "a manifest");
    with_context(client.host(), [&] { return parse_untrusted_json(response.body, "the manifest"); });
    if (document.value("schemaVersion", ordered_json()) == 1)
        fail(ErrorKind::unsupported, fmt::format("{} has only a manifest of the first schema, which nothing writes "
                                                 "any more; push the image again with a current tool",
                                                 client.host()));
    FetchedManifest manifest;
    manifest.descriptor = {.media_type = manifest_type(document, response.headers),
                           .digest = Digest::of(response.body),
                           .size = response.body.size()};
    const std::optional<std::string> claimed = response.headers.find("Docker-Content-Digest");
    const bool asked_by_digest = tag_or_digest.starts_with("sha256:");
    if (asked_by_digest && tag_or_digest != manifest.descriptor.digest.text())
        fail(ErrorKind::corrupt, fmt::format("{} sent {} in the place of {}", client.host(),
                                             manifest.descriptor.digest.text(), tag_or_digest));
    if (claimed && claimed->starts_with("sha256:") && *claimed != manifest.descriptor.digest.text())
        fail(ErrorKind::corrupt, fmt::format("{} sent {} and says that it is {}", client.host(),
                                             manifest.descriptor.digest.text(), quote_untrusted(*claimed)));
    manifest.bytes = std::move(response.body);
    return manifest;
}

void store_manifest(RegistryClient& client, std::string_view tag_or_digest, const std::string& bytes,
                    const Descriptor& descriptor) {
    HttpHeaders answered;
    put(client, tag_or_digest, bytes, descriptor, answered);
    const ordered_json document = ordered_json::parse(bytes, nullptr, /*allow_exceptions=*/false);
    if (!document.is_object() || !document.contains("subject") || !document["subject"].is_object())
        return;
    if (answered.find("OCI-Subject"))
        return;
    const Digest subject = Digest::parse(digest_in(document["subject"]));
    with_context("entering the manifest into the list of what refers to " + subject.text(),
                 [&] { add_to_fallback_index(client, subject, referrer_entry(document, descriptor)); });
}

std::vector<std::string> list_tags(RegistryClient& client) {
    std::vector<std::string> tags;
    std::optional<Url> page = with_query(client.url("tags/list"), "n", "1000");
    while (page) {
        Call call;
        call.request.url = *page;
        call.request.body_limit = kMaxManifestBytes;
        const Answer answer = client.call(std::move(call));
        if (answer.response.status == 404)
            return tags;
        if (answer.response.status != 200)
            fail_answer(client.host(), answer.response);
        const ordered_json document = parse_object(client, answer.response, "a list of tags");
        const std::size_t before = tags.size();
        if (const auto list = document.find("tags"); list != document.end() && list->is_array())
            for (const ordered_json& tag : *list)
                if (tag.is_string())
                    tags.push_back(tag.get<std::string>());
        if (tags.size() > kMaxTags)
            fail(ErrorKind::limit, fmt::format("{} lists more than {} tags", client.host(), kMaxTags));
        page = tags.size() > before ? next_page(answer) : std::nullopt; // an empty page would go on for ever
    }
    std::ranges::sort(tags);
    return tags;
}

std::vector<Descriptor> list_referrers(RegistryClient& client, const Digest& subject) {
    std::vector<Descriptor> referrers;
    std::optional<Url> page = client.url("referrers/" + subject.text());
    while (page) {
        Call call;
        call.request.url = *page;
        call.request.headers.add("Accept", media_type::oci_index);
        call.request.body_limit = kMaxManifestBytes;
        const Answer answer = client.call(std::move(call));
        const std::size_t before = referrers.size();
        if (answer.response.status != 200 && before > 0) // whose API it is has said some of them
            fail_answer(client.host(), answer.response);
        if (answer.response.status != 200)
            break;
        for (Descriptor& one : parse_index(answer.response.body).manifests)
            referrers.push_back(std::move(one));
        if (referrers.size() > kMaxReferrers)
            fail(ErrorKind::limit, fmt::format("{} lists more than {} referrers", client.host(), kMaxReferrers));
        page = referrers.size() > before ? next_page(answer) : std::nullopt;
        if (!page)
            return referrers;
    }
    // Registries without the API answer 404 or whatever they find right.
    if (const std::optional<FetchedManifest> index = fetch_manifest(client, fallback_tag(subject)))
        if (is_index(index->descriptor.media_type))
            return parse_index(index->bytes).manifests;
    return referrers;
}

} // namespace vm2oci::registry
