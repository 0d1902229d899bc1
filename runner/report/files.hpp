// Reports as files, each replaced as a whole: a reader never sees half of one.
#pragma once

#include "formats/base/outputs.hpp"
#include "runner/report/boot_report.hpp"

#include <filesystem>
#include <string_view>
#include <vector>

namespace vm2oci {

// At once, for a file that is watched while a machine boots.
void write_report_file(const std::filesystem::path& path, std::string_view text);

// The files of one report among the outputs of a command: a JUnit file, and a folder of console.log, boot.json,
// junit.xml, report.html and, if there is one, screenshot.png. Empty paths: not wanted.
class ReportFiles {
  public:
    // Makes the folder; errors as Outputs has them, at once. `outputs` outlives this object.
    ReportFiles(Outputs& outputs, const std::filesystem::path& junit, const std::filesystem::path& folder);

    // They appear when `outputs` are committed.
    void fill(const BootReport& report);

  private:
    using Render = std::string (*)(const BootReport& report);
    struct File {
        Outputs::Document* document;
        Render render;
    };

    std::vector<File> files_;
    Outputs::Document* screenshot_ = nullptr;
};

} // namespace vm2oci
