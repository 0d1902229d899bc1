// One conversion of a batch as a process of its own: this program, with its words.
#pragma once

#include "tools/batch/run.hpp"

#include <memory>
#include <string>
#include <vector>

namespace vm2oci::cli {

struct ConversionProgram {
    std::string path;           // of this program
    std::string scratch_folder; // empty: as this program has it
};

// Its output goes into `files`. Error{external} when it cannot be started.
std::unique_ptr<RunningItem> start_conversion(const ConversionProgram& program, const BatchItem& item,
                                              const ItemFiles& files, unsigned threads);

// What one line of a conversion's standard error says, where it was told to write JSON: progress, or its last word.
void read_progress_line(const std::string& line, ItemProgress& progress, std::string& last_word);

} // namespace vm2oci::cli
