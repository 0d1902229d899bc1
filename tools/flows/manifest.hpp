// What runs a machine: from an image or a disk to the text that a cluster or a hypervisor is given.
#pragma once

#include "formats/oci/store.hpp"
#include "libconvert/manifest/targets.hpp"
#include "libconvert/source/image_content.hpp"
#include "tools/flows/boot_source.hpp"
#include "tools/flows/inspect.hpp"
#include "tools/flows/open_source.hpp"
#include "tools/flows/runnable.hpp"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace vm2oci {

// What is asked for, whatever the machine lies in.
struct ManifestWishes {
    const ManifestTarget* target = nullptr; // never null when used
    std::string image; // "HOST/REPO[:TAG]", where a cluster finds an image of a local store; empty: not said
    MachineWishes machine;
};

struct ManifestRequest {
    Reference source;
    SourceRequest from;
    std::string architecture; // which image of an index; "": as select_manifest() has it
    GuestAccess access;
    ManifestWishes wishes;
    // Of images and packages; parts: a remark says so, if nothing proves them. whole: Error{corrupt} before anything is
    // read of them.
    ContentCheck check = ContentCheck::parts;
};

struct Manifest {
    RunnableMachine machine;
    std::string text;
};

// What a store calls an image: its tag, else the folder's, file's or repository's name.
std::string name_of_image(const ImageReference& reference);

Manifest make_manifest(const ManifestRequest& request, const OperationContext& operation);

// An image and what belongs to it, in its store.
struct ImageInStore {
    ImageSource& source;
    ImageContent content;
    // The images of the machine's further disks, in their order.
    std::vector<std::pair<std::shared_ptr<ImageSource>, ImageContent>> further{};
};

// Of an image in any store, one that is not published yet among them. `reference`: where it is or will be.
// `hardware`: of what it was made of; none: as the image's annotations have it.
Manifest make_image_manifest(const ImageInStore& image, const ImageReference& reference, const ManifestWishes& wishes,
                             const GuestAccess& access, const OperationContext& operation);

} // namespace vm2oci
