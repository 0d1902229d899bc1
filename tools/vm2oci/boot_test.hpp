// `convert --boot-test`: boots what was written, before anybody else sees it.
#pragma once

#include "formats/block/open_disk.hpp"
#include "formats/oci/store.hpp"
#include "formats/tree/seed_iso.hpp"
#include "libconvert/hardware/hardware.hpp"
#include "tools/vm2oci/boot_options.hpp"
#include "tools/vm2oci/command_table.hpp"
#include "tools/vm2oci/source_options.hpp"

#include <CLI/App.hpp>
#include <nlohmann/json_fwd.hpp>

#include <memory>
#include <optional>
#include <string>

namespace vm2oci::cli {

struct BootTest {
    bool wanted = false;
    std::shared_ptr<BootTestOptions> options;

    // Error{usage} when an option of booting was given without --boot-test.
    void check_usage(const CLI::App& command) const;
};

// Adds --boot-test and the options of booting, but for the seed, whose options change the guest in these commands.
std::shared_ptr<BootTest> add_boot_test(CLI::App& command);

struct BootTestSubject {
    std::string name;                          // for the report
    std::optional<SeedFiles> seed;             // a second disk that the guest looks for
    std::optional<MachineHardware> hardware{}; // as the source describes the machine
};

// The disk of the image `top`, which `destination` was given and has not published.
BootReport boot_written_image(const BootTest& test, ImageDestination& destination, const Descriptor& top,
                              const SourceOptions& source_options, const BootTestSubject& subject, Invocation& call);
BootReport boot_written_disk(const BootTest& test, std::shared_ptr<const BlockDevice> file, DiskFormat format,
                             const SourceOptions& source_options, const BootTestSubject& subject, Invocation& call);

// What the boot test said; nullopt: there was none.
using BootTestResult = std::optional<BootReport>;

bool may_appear(const BootTestResult& boot);
// "published" and "boot", where there was a test.
void add_boot_test_result(nlohmann::ordered_json& json, const BootTestResult& boot);
// The verdict for people. True if there is more to print, of what was written.
bool print_boot_test_result(const BootTestResult& boot, Invocation& call);
// cancelled when somebody left before the end: nothing was written then.
ExitCode boot_test_exit_code(const BootTestResult& boot);

} // namespace vm2oci::cli
