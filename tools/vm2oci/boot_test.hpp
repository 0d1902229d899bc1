// `convert --boot-test`: boots what was written, before anybody else sees it.
#pragma once

#include "tools/vm2oci/boot_options.hpp"
#include "tools/vm2oci/command_table.hpp"

#include <CLI/App.hpp>
#include <nlohmann/json_fwd.hpp>

#include <memory>
#include <optional>

namespace vm2oci::cli {

struct BootTest {
    bool wanted = false;
    std::shared_ptr<BootTestOptions> options;

    // nullopt: no test. Error{usage} as BootTestOptions::request(), and when an option of booting was given without
    // --boot-test.
    std::optional<BootRequest> request(const CLI::App& command) const;
};

// Adds --boot-test and the options of booting, but for the seed, whose options change the guest in these commands.
std::shared_ptr<BootTest> add_boot_test(CLI::App& command);

// What the boot test said; nullopt: there was none.
using BootTestResult = std::optional<BootReport>;

// "published" and "boot", where there was a test.
void add_boot_test_result(nlohmann::ordered_json& json, const BootTestResult& boot);
// The verdict for people. True if there is more to print, of what was written.
bool print_boot_test_result(const BootTestResult& boot, Invocation& call);
// cancelled when somebody left before the end: nothing was written then.
ExitCode boot_test_exit_code(const BootTestResult& boot);

} // namespace vm2oci::cli
