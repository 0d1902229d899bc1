// cloud-init's data for machines that look for it on a second disk.
#pragma once

#include "formats/base/outputs.hpp"
#include "formats/tree/seed_iso.hpp"
#include "libconvert/edit/request.hpp"

#include <filesystem>
#include <map>
#include <optional>
#include <string>

namespace vm2oci {

// The second disk that the edits ask for; nullopt: none was asked for. Error{usage}: nothing is to be on it.
std::optional<SeedFiles> wanted_seed_disk(const EditRequest& request);

// The disk that the guest looks for, among `outputs` as a file beside `destination` with ".cidata.iso" behind its name,
// which is returned.
std::filesystem::path add_seed_beside(const SeedFiles& seed, const std::filesystem::path& destination,
                                      Outputs& outputs);
// For images, which hold one disk: the seed's files in base64, for whoever starts machines from the image.
void add_seed_annotations(const SeedFiles& seed, std::map<std::string, std::string>& annotations);

} // namespace vm2oci
