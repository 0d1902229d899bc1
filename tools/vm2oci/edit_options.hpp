// The options of every command that changes a guest.
#pragma once

#include "libconvert/edit/edit_disk.hpp"
#include "libconvert/edit/request.hpp"

#include <CLI/App.hpp>
#include <nlohmann/json_fwd.hpp>

#include <memory>
#include <string>
#include <vector>

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

std::shared_ptr<EditOptions> add_edit_options(CLI::App& command);

// What was changed and why, and what was found and left. `mode` decides between "would" and "did".
std::string edit_report_text(const EditReport& report, EditMode mode);
nlohmann::ordered_json edit_report_json(const EditReport& report);

} // namespace vm2oci::cli
