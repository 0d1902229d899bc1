// The list of a batch: lines "SOURCE DEST [OPTIONS]", or YAML.
//
// A line is split as a shell splits it (quotes, backslashes, comments), and nothing is expanded but the patterns * ? [
// ] of SOURCE. {name} in DEST and in options is the machine's name: its file's, without endings.
//
//   defaults:
//     destination: docker://registry.example/vm/{name}:1
//     options: [--fix, --sysprep]
//   machines:
//     - exports/*.ova
//     - source: web01.qcow2
//       name: web
//       options: --boot-test --memory 2G
#pragma once

#include "tools/batch/item.hpp"
#include "tools/flows/convert.hpp"

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci::cli {

struct BatchLine {
    std::size_t line = 0; // in the list, from 1
    std::string name;
    std::string source;
    std::string destination;
    std::vector<std::string> options;
};

// The files that a pattern means, sorted.
using FindFiles = std::function<std::vector<std::string>(const std::string& pattern)>;
std::vector<std::string> find_files(const std::string& pattern);

// Error{usage} "line N: …" for what is no list, for a pattern that no file fits, and for two machines with one
// destination.
std::vector<BatchLine> parse_batch_list(std::string_view text, const FindFiles& find);

// A machine's name by its source: "web01" of "qcow2:exports/web01.qcow2.gz"; fit for a tag.
std::string name_of_source(std::string_view source);

struct PlannedConversion {
    BatchItem item;
    ImageReference image;                 // where it goes; null: for other destinations
    registry::RegistryOptions registry{}; // how it is reached
    bool is_delta = false;                // it goes there as a delta against another one
};

// Reads the words as `convert` would, the files that options name included. Error{usage} "line N: …".
std::vector<PlannedConversion> plan_conversions(const std::vector<BatchLine>& lines);

// The same words for a batch that runs in pods, whose disks are not here; the memory that the largest one takes.
// Error{usage} "line N: …", also for a destination that is no registry's.
std::uint64_t check_words(const std::vector<BatchLine>& lines);

} // namespace vm2oci::cli
