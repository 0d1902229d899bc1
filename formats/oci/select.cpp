#include "formats/oci/select.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/oci/platform.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>
#include <vector>

namespace vm2oci {
namespace {

constexpr unsigned kMaxIndexDepth = 4; // an index in an index is legal; more than two levels are unheard of
constexpr std::size_t kListedPlatforms = 24;

bool may_be_image(const Descriptor& entry) {
    if (!is_manifest(entry.media_type) && !is_index(entry.media_type))
        return false;
    if (entry.annotations.contains("vnd.docker.reference.type"))
        return false;
    // Builders put attestations beside images, for the platform unknown/unknown.
    return !entry.platform || (entry.platform->os != "unknown" && entry.platform->architecture != "unknown");
}

std::string list_platforms(const std::vector<Descriptor>& images) {
    std::vector<std::string> names;
    for (const Descriptor& image : images) {
        std::string name = image.platform ? describe_platform(*image.platform) : "one without a platform";
        if (std::ranges::find(names, name) == names.end())
            names.push_back(std::move(name));
    }
    std::string list;
    for (std::size_t i = 0; i < std::min(names.size(), kListedPlatforms); ++i)
        list += (list.empty() ? "" : ", ") + names[i];
    return names.size() > kListedPlatforms ? list + ", …" : list;
}

// How well an entry fits; the lowest is taken. nullopt: not at all.
using Fit = std::pair<unsigned, unsigned>;

// containers/podman, pkg/machine/ocipull: an index may hold one disk for each kind of machine. A disk that QEMU reads
// comes before one that is to be decoded, and a tar of files (wsl) is none.
unsigned disk_type_rank(const Descriptor& entry) {
    constexpr std::array<std::string_view, 5> order = {"qemu", "applehv", "hyperv", "", "wsl"};
    const auto found = entry.annotations.find("disktype");
    const std::string_view type = found == entry.annotations.end() ? "" : std::string_view(found->second);
    const auto* rank = std::ranges::find(order, type);
    return static_cast<unsigned>(rank - order.begin());
}

std::optional<Fit> fit_of(const Descriptor& entry, const Platform& wanted) {
    if (!entry.platform)
        return std::nullopt;
    if (!entry.platform->os.empty() && entry.platform->os != "linux")
        return std::nullopt;
    const Platform platform = canonical_platform(*entry.platform);
    if (platform.architecture != wanted.architecture)
        return std::nullopt;
    if (platform.variant == wanted.variant)
        return Fit{0, disk_type_rank(entry)};
    if (!wanted.variant.empty())
        return std::nullopt;
    // Without a wish: the nearest to the default. That is above the others on arm, and below them elsewhere.
    constexpr std::array<std::string_view, 3> arm_variants = {"v6", "v5", "v8"};
    constexpr std::array<std::string_view, 3> other_variants = {"v2", "v3", "v4"};
    const auto& variants = platform.architecture == "arm" ? arm_variants : other_variants;
    const auto* place = std::ranges::find(variants, platform.variant);
    return Fit{1 + static_cast<unsigned>(place - variants.begin()), disk_type_rank(entry)};
}

} // namespace

Descriptor choose_manifest(const ImageIndex& index, const std::string& wanted, std::string_view machine) {
    std::vector<Descriptor> images;
    std::ranges::copy_if(index.manifests, std::back_inserter(images), may_be_image);
    if (images.empty())
        fail(ErrorKind::not_found, "the index holds no image");
    if (wanted.empty() && images.size() == 1)
        return images.front();
    const Platform platform = parse_platform(wanted.empty() ? machine : std::string_view(wanted))
                                  .value_or(Platform{.architecture = wanted.empty() ? std::string(machine) : wanted});
    if (std::ranges::none_of(images, [](const Descriptor& image) { return image.platform.has_value(); })) {
        if (images.size() > 1)
            fail(ErrorKind::usage, "the index holds several images that state no platform; name one by its digest");
        return images.front();
    }
    const Descriptor* best = nullptr;
    Fit best_fit{};
    for (const Descriptor& image : images) {
        const std::optional<Fit> fit = fit_of(image, platform);
        if (!fit || (best != nullptr && *fit >= best_fit))
            continue;
        best = &image;
        best_fit = *fit;
    }
    if (best != nullptr)
        return *best;
    if (wanted.empty())
        fail(ErrorKind::usage,
             fmt::format("the index has no image for this machine ({}), only for {}", machine, list_platforms(images)),
             HintKind::architecture);
    fail(ErrorKind::not_found,
         fmt::format("the index has no image for {}; it has {}", quote_untrusted(wanted), list_platforms(images)));
}

void require_architecture(const std::string& found, const std::string& wanted) {
    const auto architecture_of = [](const std::string& text) {
        return canonical_platform(parse_platform(text).value_or(Platform{.architecture = text})).architecture;
    };
    if (!found.empty() && !wanted.empty() && architecture_of(found) != architecture_of(wanted))
        fail(ErrorKind::not_found,
             fmt::format("{} is asked for, and the image is for {}", quote_untrusted(wanted), quote_untrusted(found)));
}

Descriptor select_manifest(ImageSource& source, const Descriptor& top, const std::string& architecture) {
    Descriptor chosen = top;
    for (unsigned depth = 0; is_index(chosen.media_type); ++depth) {
        if (depth == kMaxIndexDepth)
            fail(ErrorKind::corrupt, "indexes lie in each other more than " + std::to_string(kMaxIndexDepth) + " deep");
        chosen = choose_manifest(parse_index(source.read_manifest(chosen)), architecture, machine_architecture());
    }
    if (!is_manifest(chosen.media_type))
        fail(ErrorKind::unsupported,
             "the reference names something of type " + quote_untrusted(chosen.media_type) + ", which is no image");
    return chosen;
}

} // namespace vm2oci
