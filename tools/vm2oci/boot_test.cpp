#include "tools/vm2oci/boot_test.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/oci/written_image.hpp"
#include "libconvert/source/image_content.hpp"
#include "runner/report/json.hpp"
#include "tools/vm2oci/help.hpp"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <ostream>

namespace vm2oci::cli {
namespace {

// What was written stands alone: of the source's options only the limits hold for it too.
DiskSource written_disk(const SourceOptions& options, const std::string& path, std::optional<DiskFormat> format) {
    DiskSource source;
    source.path = path;
    source.format = format;
    source.policy = options.request().policy;
    return source;
}

BootReport boot_subject(const BootTest& test, OpenedDisk disk, const BootTestSubject& subject, Invocation& call) {
    BootSubject boot{subject.name, std::move(disk.device), nullptr};
    if (subject.seed)
        boot.seed = make_seed_disk(*subject.seed);
    return boot_disk(boot, *test.options, call);
}

} // namespace

void BootTest::check_usage(const CLI::App& command) const {
    if (wanted)
        return;
    for (const CLI::Option* option : command.get_options())
        if (option->get_group() == group::boot && option->count() != 0)
            fail(ErrorKind::usage, option->get_name() + " is for --boot-test");
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

BootReport boot_written_image(const BootTest& test, ImageDestination& destination, const Descriptor& top,
                              const SourceOptions& source_options, const BootTestSubject& subject, Invocation& call) {
    WrittenImage image(destination, top);
    const DiskInImage found = find_disk(image, read_image(image, ""), call.operation);
    return boot_subject(
        test, open_disk(found.bytes, written_disk(source_options, escape_untrusted(found.path), std::nullopt)), subject,
        call);
}

BootReport boot_written_disk(const BootTest& test, std::shared_ptr<const BlockDevice> file, DiskFormat format,
                             const SourceOptions& source_options, const BootTestSubject& subject, Invocation& call) {
    return boot_subject(test, open_disk(std::move(file), written_disk(source_options, subject.name, format)), subject,
                        call);
}

bool may_appear(const BootTestResult& boot) {
    return !boot || boot->passed();
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
    if (may_appear(boot))
        return ExitCode::done;
    return boot->verdict->outcome == Outcome::stopped ? ExitCode::cancelled : ExitCode::verdict_no;
}

} // namespace vm2oci::cli
