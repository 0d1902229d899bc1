// The words of `vm2oci convert`, and the values that they stand for.
#pragma once

#include "libconvert/package/container_disk.hpp"
#include "libconvert/package/disk_image.hpp"
#include "libconvert/package/rootfs.hpp"
#include "tools/vm2oci/boot_test.hpp"
#include "tools/vm2oci/bundle_options.hpp"
#include "tools/vm2oci/command_table.hpp"
#include "tools/vm2oci/convert_kinds.hpp"
#include "tools/vm2oci/edit_options.hpp"
#include "tools/vm2oci/guest_options.hpp"
#include "tools/vm2oci/source_options.hpp"

#include <CLI/App.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace vm2oci::cli {

struct ConvertArguments {
    std::string source;
    std::string destination;
    std::shared_ptr<SourceOptions> source_options;
    std::shared_ptr<EditOptions> edits;
    std::shared_ptr<BootTest> boot_test;
    std::string disk_format = "qcow2";
    std::string cluster_compression = "none";
    std::string size;
    std::string compression = "zstd";
    std::string reuse;
    bool chunked = false;
    std::string architecture;
    std::vector<std::string> labels;
    std::vector<std::string> annotations;
    std::vector<std::string> environment;
    std::string instancetype;
    std::string preference;
    std::string created;
    std::string name;
    std::string kind = "containerdisk";
    std::string layers = "one";
    BundleArguments bundle;
    std::shared_ptr<GuestOptions> guest_options;
    std::string sbom;
    bool keep_kernel = false;
    bool sparsify = false;
};

// Adds all of them, bound to `arguments`, which outlives the command.
void add_convert_options(CLI::App& command, ConvertArguments& arguments);

// Each throws Error{usage} for words that make no sense.
ConvertKind kind_of_image(const ConvertArguments& arguments);
DiskOutput disk_output(const ConvertArguments& arguments);
// "" when --arch was not given.
std::string wanted_architecture(const ConvertArguments& arguments);
// Of --created, else of the environment.
std::int64_t creation_time(const ConvertArguments& arguments);
// `call.operation` outlives the result: frames may come from a registry.
LayerOptions layer_options(const ConvertArguments& arguments, Invocation& call);
ContainerDiskOptions container_disk_options(const ConvertArguments& arguments, const LayerOptions& layer);
RootfsOptions rootfs_options(const ConvertArguments& arguments, const LayerOptions& layer, const ImageOptions& image);

} // namespace vm2oci::cli
