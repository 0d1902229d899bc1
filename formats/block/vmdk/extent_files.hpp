// Which files the extents of a VMDK are read from: those that the user gave, and siblings whose names follow from his.
#pragma once

#include "formats/block/layer.hpp"

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci::vmdk {

// What --extent gave, for all layers of a chain.
struct GivenExtents {
    struct File {
        std::filesystem::path path;
        bool used = false;
    };
    std::vector<File> files;
};

// Whether a descriptor of the file name `descriptor` may call an extent beside it `name`: web01.vmdk has
// web01-flat.vmdk, web01-delta.vmdk, web01-sesparse.vmdk, web01-s001.vmdk and web01-f001.vmdk.
bool is_sibling_name(std::string_view descriptor, std::string_view name);

// A given file stands for the line that has its file name; those whose names the descriptor does not know stand for the
// other lines, in order. What is left is looked for beside the descriptor, if the user named that: under exactly the
// name that is_sibling_name() allows, and only a regular file, opened without following links.
class ExtentFilesOnDisk final : public ExtentFiles {
  public:
    // `descriptor` none: it lies inside something else, and has no siblings. `given` outlives this.
    ExtentFilesOnDisk(GivenExtents& given, std::optional<std::filesystem::path> descriptor, DiskPolicy policy)
        : given_(given), descriptor_(std::move(descriptor)), policy_(policy) {}

    std::vector<DevicePtr> open(const std::vector<std::string>& names) override;

  private:
    DevicePtr open_sibling(const std::string& name) const;

    GivenExtents& given_;
    std::optional<std::filesystem::path> descriptor_;
    DiskPolicy policy_;
};

} // namespace vm2oci::vmdk
