// What an OCI archive holds, and which of its blobs its images need.
#pragma once

#include "formats/base/progress.hpp"
#include "formats/block/block_device.hpp"
#include "formats/oci/descriptor.hpp"

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci {

using ArchiveMembers = std::map<std::string, std::shared_ptr<const BlockDevice>>; // regular files, by path

// Reads the headers of all members: the last of a name counts, and hard links are what they name. Error{unsupported}
// and Error{unsafe}: links in the place of the layout's files or on the way to a member. Error{corrupt}: it is cut off.
// `operation` is used during the members' whole life (open_layer_content()).
ArchiveMembers read_archive_members(const std::filesystem::path& file, const OperationContext& operation);

// "blobs/sha256/HEX"
std::string archive_blob_name(const Digest& digest);

// The blobs that the entries of an index.json reach, without those of the image `except`; each once. What is not in
// `members` is left out: an index may name images that were not copied. Error{corrupt} for a manifest that cannot be
// read.
std::vector<BlobIdentity> reachable_blobs(std::string_view index_text, const Digest& except,
                                          const ArchiveMembers& members);

// How containerd and podman may call the image of an archive that has no tag: "localhost/web01:latest".
std::string import_name(const std::filesystem::path& file);

} // namespace vm2oci
