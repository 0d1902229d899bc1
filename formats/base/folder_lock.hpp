// Keeps other runs out of a folder for the moment in which a file of it is looked at and replaced.
#pragma once

#include "formats/base/fd.hpp"
#include "formats/base/progress.hpp"

#include <chrono>
#include <filesystem>

namespace vm2oci {

// Only for what takes a moment. Somebody may hold such a lock for as long as this program runs (flock DIR vm2oci …), so
// the wait is bounded.
inline constexpr std::chrono::seconds kFolderLockPatience{10};

class FolderLock {
  public:
    // Without a lock where the file system has none, where the folder cannot be read, and after `patience`. `operation`
    // ends the waiting.
    explicit FolderLock(const std::filesystem::path& folder, const OperationContext& operation = {},
                        std::chrono::milliseconds patience = kFolderLockPatience);

  private:
    UniqueFd fd_;
};

} // namespace vm2oci
