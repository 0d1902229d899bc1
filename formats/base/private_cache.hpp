// Small files that are kept from one run to the next, in a folder that is the user's own. What is kept is an economy:
// where it cannot be read or written, everything works without it.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace vm2oci {

struct CacheLimits {
    std::size_t files = 0;         // the oldest go
    std::size_t bytes_in_file = 0; // longer ones are neither kept nor read
};

class PrivateCache {
  public:
    // `folder` need not exist; empty: nothing is kept.
    PrivateCache(std::filesystem::path folder, CacheLimits limits) : folder_(std::move(folder)), limits_(limits) {}

    // nullopt: none, or not this user's alone: what is kept is believed.
    std::optional<std::vector<std::byte>> find(const std::string& name) const;

    struct Entry {
        std::string name; // of a file in the folder
        std::vector<std::byte> bytes;
    };
    // Takes the place of what those names had.
    void keep(std::span<const Entry> entries) const;

  private:
    void forget_oldest() const;

    std::filesystem::path folder_;
    CacheLimits limits_;
};

// $XDG_CACHE_HOME/vm2oci/NAME, else ~/.cache/vm2oci/NAME; empty without a home.
std::filesystem::path user_cache_folder(const char* name);

} // namespace vm2oci
