// A container image as a source: what it takes to make a micro-VM of it.
#pragma once

#include "libconvert/container/container_bundle.hpp"
#include "libconvert/container/container_kata.hpp"
#include "libconvert/guest/open_guest.hpp"
#include "libconvert/source/content_verifier.hpp"
#include "tools/flows/open_source.hpp"

#include <memory>
#include <optional>
#include <string>

namespace vm2oci {

struct ContainerSource {
    std::unique_ptr<ImageSource> images;
    ImageContent image; // with its configuration and its verifier

    PreparedBundle prepare(const ContainerBundleOptions& options, const OperationContext& operation) const {
        return prepare_container_bundle(*images, image, options, operation);
    }
    PreparedKata prepare(const KataOptions& options, const OperationContext& operation) const {
        return prepare_container_kata(*images, image, options, operation);
    }
};

// nullopt: a disk, or an image for virtual machines. `operation` outlives the result.
std::optional<ContainerSource> open_container_source(const Reference& reference, const SourceRequest& request,
                                                     const std::string& architecture,
                                                     const OperationContext& operation);

// vm2oci's program for the inside. Error{not_found}: it is not installed.
std::filesystem::path own_init_program();

// Error{usage}: what was said of disks and of the guest on them, which a container image has not.
void refuse_words_of_disks(const SourceRequest& request, const GuestAccess& access);

} // namespace vm2oci
