// The options of every command that changes a guest.
#pragma once

#include "formats/tree/seed_iso.hpp"
#include "libconvert/edit/edit_disk.hpp"
#include "libconvert/edit/request.hpp"

#include <CLI/App.hpp>
#include <nlohmann/json_fwd.hpp>

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace vm2oci {
class Outputs;
}

namespace vm2oci::cli {

struct EditOptions {
    std::string user_data;
    std::string meta_data;
    std::string network_config;
    std::string vendor_data;
    std::string cloud_init_as = "seed";
    std::vector<std::string> ssh_keys;
    std::string hostname;
    std::vector<std::string> agents;
    std::vector<std::string> copies;
    std::string sysprep; // empty: not asked for
    std::string fix;     // empty: not asked for
    bool dry_run = false;

    // Reads the files that the options name. Error{usage} for values that make no sense.
    EditRequest request() const;
    EditMode mode() const { return dry_run ? EditMode::plan_only : EditMode::apply; }
};

// The second disk that --cloud-init-as disk asks for; nullopt: none was asked for.
std::optional<SeedFiles> wanted_seed_disk(const EditRequest& request);

// The disk that the guest looks for, among `outputs` as a file beside `destination` with ".cidata.iso" behind its name,
// which is returned.
std::filesystem::path add_seed_beside(const SeedFiles& seed, const std::filesystem::path& destination,
                                      Outputs& outputs);
// For images, which hold one disk: the seed's files in base64, for whoever starts machines from the image.
void add_seed_annotations(const SeedFiles& seed, std::map<std::string, std::string>& annotations);

std::shared_ptr<EditOptions> add_edit_options(CLI::App& command);

// What was changed and why, and what was found and left. `mode` decides between "would" and "did".
std::string edit_report_text(const EditReport& report, EditMode mode);
nlohmann::ordered_json edit_report_json(const EditReport& report);

} // namespace vm2oci::cli
