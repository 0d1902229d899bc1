// The files of an OCI layout, for what reads, writes and prunes one.
#pragma once

#include "formats/base/fd.hpp"
#include "formats/oci/digest.hpp"

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>

namespace vm2oci {

std::filesystem::path layout_blob_folder(const std::filesystem::path& layout);
// "blobs/sha256/HEX"
std::filesystem::path layout_blob_path(const Digest& digest);

// Opens a file of a layout that somebody else may have made: no component below `folder` may be a link. An empty
// UniqueFd: it does not exist. Error{unsafe}.
UniqueFd open_in_layout(const std::filesystem::path& folder, const std::filesystem::path& relative);
// nullopt: it does not exist. Error{limit}.
std::optional<std::string> read_in_layout(const std::filesystem::path& folder, const std::filesystem::path& relative,
                                          std::size_t limit);

// Error{not_found}, Error{corrupt}, Error{unsupported}: the folder is no layout.
void check_layout(const std::filesystem::path& folder);

// Held while blobs appear or go, and index.json is read, changed and replaced. The file oci-layout is what is locked:
// it is never replaced, and unlike a folder it can be locked over NFS. Shares without locks keep nobody out.
class LayoutLock {
  public:
    explicit LayoutLock(const std::filesystem::path& folder);

  private:
    UniqueFd fd_;
};

} // namespace vm2oci
