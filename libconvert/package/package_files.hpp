// Which files of a guest came with its packages, and are not configuration.
#pragma once

#include "libconvert/guest/guest.hpp"

#include <string>
#include <string_view>
#include <unordered_set>

namespace vm2oci {

class PackageFiles {
  public:
    void add(std::string path) { paths_.insert(std::move(path)); }
    void remove(const std::string& path) { paths_.erase(path); }
    // As entries of a tree are named: "usr/bin/env".
    bool contains(const std::string& path) const { return paths_.count(path) != 0; }
    bool empty() const { return paths_.empty(); }

  private:
    std::unordered_set<std::string> paths_;
};

// From the databases of dpkg, rpm or apk. Paths through links that are folders ("/lib" → "usr/lib") are told by where
// they lead. Error{unsupported} for other package managers.
PackageFiles read_package_files(const Guest& guest);

} // namespace vm2oci
