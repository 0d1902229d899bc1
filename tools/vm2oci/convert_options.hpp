// The words of `vm2oci convert`, and the values that they stand for.
#pragma once

#include "tools/flows/convert.hpp"
#include "tools/vm2oci/boot_test.hpp"
#include "tools/vm2oci/bundle_options.hpp"
#include "tools/vm2oci/edit_options.hpp"
#include "tools/vm2oci/guest_options.hpp"
#include "tools/vm2oci/source_options.hpp"

#include <CLI/App.hpp>

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
    bool no_grow = false;
    std::string compression = "zstd";
    std::string reuse;
    std::string against;
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
    std::string digest_file;
    std::string sbom;
    std::string manifest;
    std::string manifest_target = "kubevirt";
    bool keep_kernel = false;
    bool sparsify = false;
};

// Adds all of them, bound to `arguments`, which outlives the command.
void add_convert_options(CLI::App& command, ConvertArguments& arguments);

// From words to values. Reads the files that options name. Error{usage} for words that make no sense, and for options
// that would be ignored, by name; what depends on the source is in the request.
ConvertRequest convert_request(const ConvertArguments& arguments, const CLI::App& command);

} // namespace vm2oci::cli
