#include "tools/flows/seed.hpp"

#include "formats/base/base64.hpp"
#include "formats/base/error.hpp"
#include "formats/oci/labels.hpp"
#include "formats/tree/nocloud.hpp"
#include "libconvert/edit/planners.hpp"

#include <fmt/format.h>

#include <utility>

namespace vm2oci {
namespace {

constexpr std::size_t kAnnotatedFileLimit = 256ull * 1024; // registries take manifests of 4 MiB

} // namespace

std::optional<SeedFiles> wanted_seed_disk(const EditRequest& request) {
    if (request.cloud_init.place != SeedPlace::disk)
        return std::nullopt;
    if (!request.cloud_init.has_files())
        fail(ErrorKind::usage, "a disk with cloud-init's data needs something to put on it, such as user-data");
    Seed seed = make_cloud_init_seed(request);
    return SeedFiles{std::move(seed.user_data), std::move(seed.meta_data), std::move(seed.network_config),
                     std::move(seed.vendor_data)};
}

std::filesystem::path add_seed_beside(const SeedFiles& seed, const std::filesystem::path& destination,
                                      Outputs& outputs) {
    std::filesystem::path path = destination.string() + ".cidata.iso";
    constexpr unsigned kPrivate = 0600; // it may hold passwords
    outputs.add_document(path, kPrivate).content = as_text(make_seed_iso(seed));
    return path;
}

void add_seed_annotations(const SeedFiles& seed, std::map<std::string, std::string>& annotations) {
    const auto add = [&](const char* name, const std::string& content) {
        if (content.size() > kAnnotatedFileLimit)
            fail(ErrorKind::limit, fmt::format("the {} is too large for an image's annotations; put the data inside "
                                               "the guest",
                                               name));
        annotations[label::below(label::cloud_init_prefix, name)] = encode_base64(content);
    };
    add(nocloud::user_data, seed.user_data);
    add(nocloud::meta_data, seed.meta_data);
    if (seed.network_config)
        add(nocloud::network_config, *seed.network_config);
    if (seed.vendor_data)
        add(nocloud::vendor_data, *seed.vendor_data);
}

} // namespace vm2oci
