#include "runner/report/files.hpp"

#include "formats/base/error.hpp"
#include "formats/base/output_file.hpp"
#include "runner/report/html.hpp"
#include "runner/report/json.hpp"
#include "runner/report/junit.hpp"

namespace vm2oci {

void write_report_file(const std::filesystem::path& path, std::string_view text) {
    write_output(path, as_bytes(text));
}

void write_report_folder(const std::filesystem::path& folder, const BootReport& report) {
    std::error_code error;
    std::filesystem::create_directories(folder, error);
    if (error)
        fail_errno("cannot make the folder " + folder.string(), error.value());
    write_report_file(folder / "console.log", report.console.text());
    write_report_file(folder / "boot.json", boot_report_json(report) + "\n");
    write_report_file(folder / "junit.xml", boot_report_junit(report));
    write_report_file(folder / "report.html", boot_report_html(report));
    if (!report.screenshot.empty())
        write_report_file(folder / "screenshot.png", as_text(report.screenshot));
}

} // namespace vm2oci
