// Reports as files, each replaced as a whole: a reader never sees half of one.
#pragma once

#include "runner/report/boot_report.hpp"

#include <filesystem>
#include <string_view>

namespace vm2oci {

void write_report_file(const std::filesystem::path& path, std::string_view text);

// console.log, boot.json, junit.xml, report.html and, if there is one, screenshot.png. Makes the folder.
void write_report_folder(const std::filesystem::path& folder, const BootReport& report);

} // namespace vm2oci
