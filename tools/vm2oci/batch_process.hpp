// One conversion of a batch as a process of its own: this program, with its words.
#pragma once

#include "tools/batch/look_alikes.hpp"
#include "tools/batch/run.hpp"

#include <memory>
#include <string>
#include <vector>

namespace vm2oci::cli {

struct ConversionProgram {
    std::string path;           // of this program
    std::string scratch_folder; // empty: as this program has it
};

// Its output goes into `files`. An item whose image may share frames is looked at before, in a process as well, and
// gets those of the nearest look-alike. `look_alikes` outlives the result. Error{external} when it cannot be started.
std::unique_ptr<RunningItem> start_conversion(const ConversionProgram& program, const BatchItem& item,
                                              const ItemFiles& files, unsigned threads, const LookAlikes& look_alikes);

// Until one of those descriptors has something to read or hangs up, a fraction of a second at most.
void wait_for_conversions(const std::vector<int>& descriptors);

// The item's image is there: later ones may take its frames, if it is known what it looks like.
void remember_look(const BatchItem& item, const ItemFiles& files, LookAlikes& look_alikes);

// What one line of a conversion's standard error says, where it was told to write JSON: progress, or its last word.
void read_progress_line(const std::string& line, ItemProgress& progress, std::string& last_word);

} // namespace vm2oci::cli
