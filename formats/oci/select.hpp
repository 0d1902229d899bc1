// From what a reference names to one image.
#pragma once

#include "formats/oci/image.hpp"
#include "formats/oci/store.hpp"

#include <string>
#include <string_view>

namespace vm2oci {

// The entry of `index` for linux on `wanted`, as parse_platform() reads it. With "": the only image, whatever it is
// for; of several, the one for `machine`. Spellings and default variants make no difference; another variant is
// taken when none was asked for and the default one is missing. Entries that are no images (attestations, signatures)
// are passed over; of several disks for one platform (podman's), the one for QEMU is taken, and the first of equals.
// One that states no platform is taken only where none does. Error{not_found} and Error{usage} list the platforms that
// exist.
Descriptor choose_manifest(const ImageIndex& index, const std::string& wanted, std::string_view machine);

// `top` itself if it is a manifest; in an index, as choose_manifest() has it for this machine.
Descriptor select_manifest(ImageSource& source, const Descriptor& top, const std::string& architecture);

// For what is no index, of which nothing was chosen: Error{not_found} if `wanted`, as select_manifest() takes it, is
// another architecture than `found`. Either may be empty: nothing is asked for, or known.
void require_architecture(const std::string& found, const std::string& wanted);

} // namespace vm2oci
