#include "formats/oci/select.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/oci/image.hpp"

#include <algorithm>
#include <set>
#include <vector>

namespace vm2oci {
namespace {

constexpr unsigned kMaxIndexDepth = 4; // an index in an index is legal; more than two levels are unheard of

bool may_be_image(const Descriptor& entry) {
    if (!is_manifest(entry.media_type) && !is_index(entry.media_type))
        return false;
    // Builders put attestations beside images, for the platform unknown/unknown.
    return !entry.platform || (entry.platform->os != "unknown" && entry.platform->architecture != "unknown");
}

bool fits(const Descriptor& entry, const std::string& architecture) {
    return !entry.platform || ((entry.platform->os.empty() || entry.platform->os == "linux") &&
                               entry.platform->architecture == architecture);
}

std::string list_architectures(const std::vector<Descriptor>& images) {
    std::set<std::string> names;
    for (const Descriptor& image : images)
        names.insert(image.platform ? escape_untrusted(image.platform->architecture, 32) : "one without a platform");
    std::string list;
    for (const std::string& name : names)
        list += (list.empty() ? "" : ", ") + name;
    return list;
}

Descriptor choose(const ImageIndex& index, const std::string& architecture) {
    std::vector<Descriptor> images;
    std::ranges::copy_if(index.manifests, std::back_inserter(images), may_be_image);
    if (images.empty())
        fail(ErrorKind::not_found, "the index holds no image");
    if (architecture.empty()) {
        if (images.size() > 1)
            fail(ErrorKind::usage,
                 "the index holds several images; choose one with --arch: " + list_architectures(images));
        return images.front();
    }
    // One that says its platform is better than one that does not.
    std::stable_partition(images.begin(), images.end(),
                          [](const Descriptor& image) { return image.platform.has_value(); });
    const auto found = std::ranges::find_if(images, [&](const Descriptor& image) { return fits(image, architecture); });
    if (found == images.end())
        fail(ErrorKind::not_found,
             "the index has no image for " + quote_untrusted(architecture) + "; it has " + list_architectures(images));
    return *found;
}

} // namespace

Descriptor select_manifest(ImageSource& source, const Descriptor& top, const std::string& architecture) {
    Descriptor chosen = top;
    for (unsigned depth = 0; is_index(chosen.media_type); ++depth) {
        if (depth == kMaxIndexDepth)
            fail(ErrorKind::corrupt, "indexes lie in each other more than " + std::to_string(kMaxIndexDepth) + " deep");
        chosen = choose(parse_index(source.read_manifest(chosen)), architecture);
    }
    if (!is_manifest(chosen.media_type))
        fail(ErrorKind::unsupported,
             "the reference names something of type " + quote_untrusted(chosen.media_type) + ", which is no image");
    return chosen;
}

} // namespace vm2oci
