#include "formats/oci/layout_index.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/base/size.hpp"
#include "formats/oci/image.hpp"
#include "formats/oci/json.hpp"
#include "formats/oci/labels.hpp"
#include "formats/oci/platform.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

namespace vm2oci {
namespace {

using nlohmann::json;

constexpr std::size_t kListedTags = 20; // enough to recognise a typing error, short enough for a line

std::optional<std::string> tag_of(const Descriptor& entry) {
    const auto found = entry.annotations.find(kRefNameAnnotation);
    if (found == entry.annotations.end() || found->second.empty())
        return std::nullopt;
    return found->second;
}

Descriptor descriptor_of_index(const std::string& text) {
    return {.media_type = media_type::oci_index, .digest = Digest::of(text), .size = text.size()};
}

// "v1@sha256:HEX" and "sha256:HEX"
std::optional<Digest> digest_in_tag(std::string_view tag) {
    const std::size_t begin = tag.rfind("sha256:");
    if (begin == std::string_view::npos || (begin != 0 && tag[begin - 1] != '@'))
        return std::nullopt;
    try {
        return Digest::parse(tag.substr(begin));
    } catch (const Error&) {
        return std::nullopt; // a tag that only looks like one
    }
}

std::string list_tags(const std::vector<std::string>& tags) {
    std::string list;
    for (std::size_t i = 0; i < std::min(tags.size(), kListedTags); ++i)
        list += (i == 0 ? "" : ", ") + quote_untrusted(tags[i]);
    return tags.size() > kListedTags ? list + ", …" : list;
}

// A member goes from one object to another that has none.
void move_member(json& from, json& to, const char* name) {
    const auto found = from.find(name);
    if (found == from.end())
        return;
    if (!to.contains(name))
        to[name] = *found;
    from.erase(found);
}

// Type and time of an artifact.
void move_artifact(json& from, json& to) {
    if (!from.contains("artifactType"))
        return;
    move_member(from, to, "artifactType");
    const auto annotations = from.find("annotations");
    if (annotations == from.end() || !annotations->is_object() || !annotations->contains(label::oci_created))
        return;
    move_member(*annotations, to["annotations"], label::oci_created);
    if (annotations->empty())
        from.erase(annotations);
}

} // namespace

std::string empty_layout_index() {
    return to_json(ImageIndex{});
}

Descriptor likely_entry() {
    return {.media_type = media_type::docker_manifest,
            .digest = Digest::of(""),
            .size = std::numeric_limits<std::uint64_t>::max(),
            .annotations = {{kContainerdNameAnnotation, std::string(256, 'x')}},
            .platform = Platform{.architecture = "architecture", .os = "operating system", .variant = "variant"}};
}

std::string layout_index_with(std::string_view index_text, const Descriptor& top,
                              const std::optional<std::string>& tag) {
    const ImageIndex index = parse_index(index_text);
    json document = parse_untrusted_json(index_text, "index.json");
    json& entries = document["manifests"];
    if (tag && digest_in_tag(*tag))
        fail(ErrorKind::usage,
             fmt::format("an image gets the digest that its content has; write {} without one", quote_untrusted(*tag)));

    Descriptor entry = top;
    // Names in the store that it came from.
    entry.annotations.erase(kRefNameAnnotation);
    if (tag) {
        entry.annotations.erase(kContainerdNameAnnotation);
        entry.annotations[kRefNameAnnotation] = *tag;
    }

    // What the index says of an artifact is said of its only entry.
    if (entries.size() == 1)
        move_artifact(document, entries[0]);

    // The same tag may stand twice in a layout that others wrote: the first place is kept, the rest goes.
    json kept = json::array();
    bool placed = false;
    std::size_t same_name = 0;
    for (std::size_t i = 0; i < index.manifests.size(); ++i) {
        if (tag_of(index.manifests[i]) != tag) {
            kept.push_back(entries[i]);
            continue;
        }
        ++same_name;
        if (!placed)
            kept.push_back(to_json_value(entry));
        placed = true;
    }
    if (!tag && same_name > 1)
        fail(ErrorKind::conflict, fmt::format("index.json has {} images without a tag; name a tag", same_name));
    if (!placed)
        kept.push_back(to_json_value(entry));
    if (kept.size() == 1)
        move_artifact(kept[0], document);
    entries = std::move(kept);
    std::string text = canonical_json(document);
    if (text.size() > kMaxManifestBytes)
        fail(ErrorKind::limit,
             fmt::format("index.json would have {} with another image, and at most {} are read again; use another "
                         "layout, or take images out of this one",
                         format_size(text.size()), format_size(kMaxManifestBytes)));
    return text;
}

std::string platform_index(std::string_view index_text, const std::optional<std::string>& tag) {
    ImageIndex platforms;
    for (Descriptor entry : parse_index(index_text).manifests) {
        if (tag_of(entry) != tag)
            continue;
        entry.annotations.erase(kRefNameAnnotation);
        const bool is_distinct =
            entry.platform && std::ranges::none_of(platforms.manifests, [&](const Descriptor& one) {
                return canonical_platform(*one.platform) == canonical_platform(*entry.platform) &&
                       one.platform->os != "unknown";
            });
        if (!is_distinct)
            return "";
        platforms.manifests.push_back(std::move(entry));
    }
    return platforms.manifests.size() > 1 ? to_json(platforms) : "";
}

Descriptor find_in_layout_index(std::string_view index_text, const std::optional<std::string>& tag,
                                std::string_view where) {
    const ImageIndex index = parse_index(index_text);
    const std::vector<std::string> tags = layout_index_tags(index_text);
    if (!tag) {
        if (index.manifests.empty())
            fail(ErrorKind::not_found, fmt::format("{} holds no image", where));
        const Descriptor& first = index.manifests.front();
        if (std::ranges::all_of(index.manifests, [&](const Descriptor& entry) { return entry.digest == first.digest; }))
            return first; // under several tags
        if (const std::string platforms = platform_index(index_text, tag); !platforms.empty() && tags.empty())
            return descriptor_of_index(platforms);
        if (tags.empty())
            fail(ErrorKind::unsupported, fmt::format("{} holds {} images, and none has a tag; name one by its digest, "
                                                     "such as @{}",
                                                     where, index.manifests.size(), first.digest.text()));
        fail(ErrorKind::usage, fmt::format("{} holds {} images; name one of the tags {}", where, index.manifests.size(),
                                           list_tags(tags)));
    }
    if (const std::string platforms = platform_index(index_text, tag); !platforms.empty())
        return descriptor_of_index(platforms);
    const Descriptor* found = nullptr;
    for (const Descriptor& entry : index.manifests) {
        if (tag_of(entry) != tag)
            continue;
        if (found != nullptr && found->digest != entry.digest)
            fail(ErrorKind::corrupt,
                 fmt::format("{} has the tag {} at two different images", where, quote_untrusted(*tag)));
        found = &entry;
    }
    const std::optional<Digest> digest = found == nullptr ? digest_in_tag(*tag) : std::nullopt;
    if (digest) {
        const auto named = std::ranges::find(index.manifests, *digest, &Descriptor::digest);
        if (named == index.manifests.end())
            fail(ErrorKind::not_found, fmt::format("{} has no image {}", where, digest->text()));
        return *named;
    }
    if (found == nullptr)
        fail(ErrorKind::not_found, fmt::format("{} has no tag {}; {}", where, quote_untrusted(*tag),
                                               tags.empty() ? "it has none" : "it has " + list_tags(tags)));
    return *found;
}

std::vector<Descriptor> images_in_layout_index(std::string_view index_text, const std::optional<std::string>& tag,
                                               std::string_view where) {
    if (tag)
        return {find_in_layout_index(index_text, tag, where)};
    std::vector<Descriptor> images = parse_index(index_text).manifests;
    if (images.empty())
        fail(ErrorKind::not_found, fmt::format("{} holds no image", where));
    return images;
}

std::vector<std::string> layout_index_tags(std::string_view index_text) {
    std::vector<std::string> tags;
    for (const Descriptor& entry : parse_index(index_text).manifests)
        if (const std::optional<std::string> tag = tag_of(entry))
            tags.push_back(*tag);
    return tags;
}

void check_layout_file(std::string_view text) {
    const json document = parse_untrusted_json(text, "oci-layout");
    if (!document.is_object())
        fail(ErrorKind::corrupt, "oci-layout is not a JSON object");
    const std::string version = required_string(document, "imageLayoutVersion", "oci-layout");
    if (version != "1.0.0")
        fail(ErrorKind::unsupported, "the layout has version " + quote_untrusted(version) + "; 1.0.0 is known");
}

} // namespace vm2oci
