#include "tools/vm2oci/boot_test.hpp"

#include "formats/base/error.hpp"
#include "runner/report/json.hpp"
#include "tools/vm2oci/help.hpp"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <ostream>

namespace vm2oci::cli {
std::optional<BootRequest> BootTest::request(const CLI::App& command) const {
    if (wanted)
        return options->request();
    for (const CLI::Option* option : command.get_options())
        if (option->get_group() == group::boot && option->count() != 0)
            fail(ErrorKind::usage, option->get_name() + " is for --boot-test");
    return std::nullopt;
}

std::shared_ptr<BootTest> add_boot_test(CLI::App& command) {
    auto test = std::make_shared<BootTest>();
    command
        .add_flag("--boot-test", test->wanted,
                  "Boot what was written, and let it appear at DEST only if it comes up; exit code 4 if it does not")
        ->group(group::boot);
    test->options = add_boot_test_options(command, SeedOptions::left_out);
    return test;
}

void add_boot_test_result(nlohmann::ordered_json& json, const BootTestResult& boot) {
    if (!boot)
        return;
    json["published"] = boot->passed();
    json["boot"] = nlohmann::ordered_json::parse(boot_report_json(*boot));
}

bool print_boot_test_result(const BootTestResult& boot, Invocation& call) {
    if (!boot)
        return true;
    print_verdict(*boot, call);
    if (!boot->passed())
        call.out << boot->source << " was not written: what does not come up is not published\n";
    return boot->passed();
}

ExitCode boot_test_exit_code(const BootTestResult& boot) {
    if (!boot || boot->passed())
        return ExitCode::done;
    return boot->verdict->outcome == Outcome::stopped ? ExitCode::cancelled : ExitCode::verdict_no;
}

} // namespace vm2oci::cli
