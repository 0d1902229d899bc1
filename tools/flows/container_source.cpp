#include "tools/flows/container_source.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/base/shared_files.hpp"

#include <fmt/format.h>

#include <utility>

namespace vm2oci {

std::optional<ContainerSource> open_container_source(const Reference& reference, const SourceRequest& request,
                                                     const std::string& architecture,
                                                     const OperationContext& operation) {
    const auto* image = std::get_if<ImageReference>(&reference);
    if (image == nullptr)
        return std::nullopt;
    ContainerSource source;
    source.images = open_image_source(*image, operation, request.registry);
    source.image = read_image(*source.images, architecture);
    if (!source.image.config)
        return std::nullopt;
    source.image.verifier = std::make_shared<ContentVerifier>(source.image.parsed_manifest, source.image.config,
                                                              ProvenLayers(request.layer_cache));
    if (!is_container_image(*source.images, source.image, operation))
        return std::nullopt;
    if (const std::string& os = source.image.config->platform.os; os != "linux")
        fail(ErrorKind::unsupported,
             fmt::format("the image is for {}, and what micro-VMs start is for linux", quote_untrusted(os)));
    return source;
}

void refuse_words_of_disks(const SourceRequest& request, const GuestAccess& access) {
    require_no_words_of_disks(request, "a container image is taken as it is");
    if (!access.keys.empty() || !access.root.empty())
        fail(ErrorKind::usage, "a container image is taken as it is: nothing in it is opened by a key, and it has no "
                               "partitions of which one would be the root");
}

std::filesystem::path own_init_program() {
    auto path = find_shared_file(shared_file::agent);
    if (!path)
        fail(ErrorKind::not_found,
             fmt::format("this bundle needs share/vm2oci/{}, which is not installed beside this program; build and "
                         "install all of vm2oci",
                         shared_file::agent));
    return *std::move(path);
}

} // namespace vm2oci
