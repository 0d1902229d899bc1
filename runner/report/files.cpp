#include "runner/report/files.hpp"

#include "runner/report/html.hpp"
#include "runner/report/json.hpp"
#include "runner/report/junit.hpp"

#include <string>
#include <system_error>

namespace vm2oci {
namespace {

namespace fs = std::filesystem;

bool is_same_place(const fs::path& one, const fs::path& other) {
    std::error_code error;
    const fs::path place = fs::weakly_canonical(one, error);
    return !error && place == fs::weakly_canonical(other, error) && !error;
}

} // namespace

void write_report_file(const fs::path& path, std::string_view text) {
    write_output(path, as_bytes(text));
}

ReportFiles::ReportFiles(Outputs& outputs, const fs::path& junit, const fs::path& folder) {
    if (!folder.empty()) {
        outputs.add_folder(folder);
        const auto add = [&](const char* name, Render render) {
            files_.push_back({&outputs.add_document(folder / name), render});
        };
        add("console.log", [](const BootReport& report) { return report.console.text(); });
        add("boot.json", [](const BootReport& report) { return boot_report_json(report) + "\n"; });
        add("junit.xml", [](const BootReport& report) { return boot_report_junit(report); });
        add("report.html", [](const BootReport& report) { return boot_report_html(report); });
        screenshot_ = &outputs.add_document(folder / "screenshot.png");
    }
    if (!junit.empty() && (folder.empty() || !is_same_place(junit, folder / "junit.xml")))
        files_.push_back(
            {&outputs.add_document(junit), [](const BootReport& report) { return boot_report_junit(report); }});
}

void ReportFiles::fill(const BootReport& report) {
    for (const File& file : files_)
        file.document->content = file.render(report);
    if (screenshot_ != nullptr && !report.screenshot.empty())
        screenshot_->content = as_text(report.screenshot);
}

} // namespace vm2oci
