#include "formats/oci/reference.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace vm2oci {
namespace {

constexpr std::size_t kMaxRepositoryName = 255; // host included, as the distribution's own parser has it
constexpr std::size_t kMaxRegistryTag = 128;
constexpr std::size_t kMaxLayoutTag = 1024; // no limit is written anywhere; this one keeps messages and files sane

bool is_lower_or_digit(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool is_alphanumeric(char c) {
    return is_lower_or_digit(c) || (c >= 'A' && c <= 'Z');
}

[[noreturn]] void fail_usage(std::string_view text, const std::string& why) {
    fail(ErrorKind::usage, quote_untrusted(text) + ": " + why);
}

// org.opencontainers.image.ref.name (image-spec, annotations.md): parts of letters and digits, joined by one of
// "-._:@+/" or by "--".
bool is_layout_tag(std::string_view text) {
    if (text.empty() || text.size() > kMaxLayoutTag || !is_alphanumeric(text.front()) || !is_alphanumeric(text.back()))
        return false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (is_alphanumeric(text[i]))
            continue;
        if (std::string_view("-._:@+/").find(text[i]) == std::string_view::npos)
            return false;
        if (text[i] == '-' && text[i + 1] == '-')
            ++i;
        if (!is_alphanumeric(text[i + 1]))
            return false;
    }
    return true;
}

bool is_sha256_hex(std::string_view text) {
    return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

std::string quote_shell(std::string_view text) {
    const std::string shown = escape_untrusted(text);
    const bool is_plain = std::ranges::all_of(shown, [](char c) {
        return is_alphanumeric(c) || std::string_view("-._:@+/").find(c) != std::string_view::npos;
    });
    return is_plain ? shown : "'" + shown + "'";
}

struct PathAndTag {
    std::string path;
    std::optional<std::string> tag;
};

PathAndTag split_path_and_tag(std::string_view whole, std::string_view rest, std::string_view grammar) {
    const std::size_t colon = rest.find(':');
    PathAndTag result{std::string(rest.substr(0, colon)), std::nullopt};
    if (result.path.empty())
        fail_usage(whole, fmt::format("the path is missing; write {}", grammar));
    if (colon == std::string_view::npos)
        return result;
    const std::string_view tag = rest.substr(colon + 1);
    constexpr std::string_view digest_mark = "@sha256";
    if (result.path.ends_with(digest_mark) && result.path.size() > digest_mark.size() && is_sha256_hex(tag)) {
        result.path.resize(result.path.size() - digest_mark.size());
        result.tag = fmt::format("sha256:{}", tag);
        return result;
    }
    if (!is_layout_tag(tag))
        fail_usage(whole, fmt::format("{} is no tag, which is letters and digits joined by one of -._:@+/ (a path with "
                                      "a colon cannot be written; give its folder another name or a link)",
                                      quote_untrusted(tag)));
    result.tag = std::string(tag);
    return result;
}

// [a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*
bool is_repository_part(std::string_view part) {
    if (part.empty() || !is_lower_or_digit(part.front()) || !is_lower_or_digit(part.back()))
        return false;
    for (std::size_t i = 0; i < part.size();) {
        const std::size_t end = static_cast<std::size_t>(
            std::find_if(part.begin() + static_cast<std::ptrdiff_t>(i), part.end(), is_lower_or_digit) - part.begin());
        const std::string_view separator = part.substr(i, end - i);
        const bool dashes = separator.find_first_not_of('-') == std::string_view::npos;
        if (!dashes && separator != "." && separator != "_" && separator != "__")
            return false;
        i = end + 1;
    }
    return true;
}

bool is_repository(std::string_view text) {
    for (;;) {
        const std::size_t slash = text.find('/');
        if (!is_repository_part(text.substr(0, slash)))
            return false;
        if (slash == std::string_view::npos)
            return true;
        text.remove_prefix(slash + 1);
    }
}

// Names by the rules of DNS, IPv4 by the same, IPv6 in brackets.
bool is_host(std::string_view host) {
    if (host.starts_with('[') && host.ends_with(']')) {
        const std::string_view address = host.substr(1, host.size() - 2);
        return address.find(':') != std::string_view::npos &&
               address.find_first_not_of("0123456789abcdefABCDEF:.") == std::string_view::npos;
    }
    while (true) {
        const std::size_t dot = host.find('.');
        const std::string_view label = host.substr(0, dot);
        if (label.empty() || !is_alphanumeric(label.front()) || !is_alphanumeric(label.back()) ||
            !std::ranges::all_of(label, [](char c) { return is_alphanumeric(c) || c == '-'; }))
            return false;
        if (dot == std::string_view::npos)
            return true;
        host.remove_prefix(dot + 1);
    }
}

RegistryReference parse_registry(std::string_view whole, std::string_view rest) {
    constexpr std::string_view grammar = "write docker://HOST[:PORT]/REPOSITORY[:TAG][@DIGEST]";
    const std::size_t slash = rest.find('/');
    if (slash == std::string_view::npos)
        fail_usage(whole, fmt::format("the repository is missing; {}", grammar));
    RegistryReference reference;
    std::string_view host = rest.substr(0, slash);
    const std::size_t colon = host.rfind(':');
    if (colon != std::string_view::npos && host.find(']', colon) == std::string_view::npos) {
        const std::string_view port = host.substr(colon + 1);
        const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), reference.port);
        if (error != std::errc() || end != port.data() + port.size() || reference.port == 0)
            fail_usage(whole, fmt::format("{} is no port, which is 1 to 65535", quote_untrusted(port)));
        host = host.substr(0, colon);
    }
    if (!is_host(host))
        fail_usage(whole, fmt::format("{} is no host name; {}", quote_untrusted(host), grammar));
    // "docker://team/disk" names a repository of Docker Hub to other tools, and a machine called "team" nowhere.
    if (reference.port == 0 && host != "localhost" && host.find_first_of(".:") == std::string_view::npos)
        fail_usage(whole, fmt::format("name the registry, such as docker://docker.io/{}", rest));
    reference.host = host;

    std::string_view name = rest.substr(slash + 1);
    if (const std::size_t at = name.find('@'); at != std::string_view::npos) {
        try {
            reference.digest = Digest::parse(name.substr(at + 1));
        } catch (const Error& error) {
            fail_usage(whole, error.message());
        }
        name = name.substr(0, at);
    }
    if (const std::size_t tag = name.find(':'); tag != std::string_view::npos) {
        reference.tag = name.substr(tag + 1);
        name = name.substr(0, tag);
        if (!is_registry_tag(reference.tag))
            fail_usage(whole, fmt::format("{} is no tag, which is at most {} of letters, digits and _.-, and begins "
                                          "with none of .-",
                                          quote_untrusted(reference.tag), kMaxRegistryTag));
    } else if (reference.digest.empty()) {
        reference.tag = "latest";
    }
    if (!is_repository(name))
        fail_usage(whole, fmt::format("{} is no repository: lower-case letters and digits, joined by one of ._- and "
                                      "by /; {}",
                                      quote_untrusted(name), grammar));
    reference.repository = name;
    if (host == kDockerHub && name.find('/') == std::string_view::npos)
        reference.repository = "library/" + reference.repository;
    if (host.size() + 1 + reference.repository.size() > kMaxRepositoryName)
        fail_usage(whole, fmt::format("host and repository have more than {} characters", kMaxRepositoryName));
    return reference;
}

std::string with_tag(const std::string& text, const std::optional<std::string>& tag) {
    return tag ? text + ":" + *tag : text;
}

struct Printer {
    std::string operator()(const LayoutReference& layout) const { return with_tag("oci:" + layout.folder, layout.tag); }
    std::string operator()(const ArchiveReference& archive) const {
        return with_tag("oci-archive:" + archive.file, archive.tag);
    }
    std::string operator()(const RegistryReference& registry) const {
        const std::string port = registry.port == 0 ? "" : ":" + std::to_string(registry.port);
        const std::string end = (registry.tag.empty() ? "" : ":" + registry.tag) +
                                (registry.digest.empty() ? "" : "@" + registry.digest.text());
        return "docker://" + registry.host + port + "/" + registry.repository + end;
    }
    std::string operator()(const NullReference&) const { return "null:"; }
};

} // namespace

bool is_registry_tag(std::string_view text) {
    const auto is_word = [](char c) { return is_alphanumeric(c) || c == '_'; };
    return !text.empty() && text.size() <= kMaxRegistryTag && is_word(text.front()) &&
           std::ranges::all_of(text, [&](char c) { return is_word(c) || c == '.' || c == '-'; });
}

std::optional<ImageReference> parse_image_reference(std::string_view text) {
    const auto after = [&](std::string_view prefix) -> std::optional<std::string_view> {
        if (!text.starts_with(prefix))
            return std::nullopt;
        return text.substr(prefix.size());
    };
    if (const auto rest = after("oci:")) {
        PathAndTag parts = split_path_and_tag(text, *rest, "oci:DIR[:TAG]");
        return LayoutReference{std::move(parts.path), std::move(parts.tag)};
    }
    if (const auto rest = after("oci-archive:")) {
        PathAndTag parts = split_path_and_tag(text, *rest, "oci-archive:FILE[:TAG]");
        return ArchiveReference{std::move(parts.path), std::move(parts.tag)};
    }
    if (const auto rest = after("docker://"))
        return parse_registry(text, *rest);
    // Stores that skopeo and podman know, and that we do not read.
    for (const std::string_view prefix : {"docker-archive:", "docker-daemon:", "containers-storage:", "dir:"})
        if (after(prefix))
            fail(
                ErrorKind::unsupported,
                fmt::format("{}: {} is neither read nor written; skopeo copies such an image into a layout, and out of "
                            "one: skopeo copy {} oci:DIR:TAG",
                            quote_untrusted(text), prefix, quote_shell(text)));
    if (after("docker:"))
        fail_usage(text, "write docker://HOST[:PORT]/REPOSITORY[:TAG][@DIGEST]");
    if (const auto rest = after("null:")) {
        if (!rest->empty())
            fail_usage(text, "nothing stands behind null:");
        return NullReference{};
    }
    return std::nullopt;
}

std::string to_string(const ImageReference& reference) {
    return std::visit(Printer{}, reference);
}

} // namespace vm2oci
