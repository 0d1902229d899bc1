// The words of `vm2oci batch`, and the values that they become.
#pragma once

#include "tools/batch/run.hpp"
#include "tools/vm2oci/batch_cluster.hpp"

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace vm2oci::cli {

struct BatchArguments {
    std::vector<std::string> lists;
    std::string state;
    std::optional<std::size_t> jobs;
    std::string memory;
    std::optional<std::size_t> index;
    std::optional<std::size_t> of;
    bool keep_going = false;
    bool dry_run = false;
    bool gather = false;
    std::string junit;
    std::string report;
    std::string digest_file;
    std::string destination_file;
    std::string target;
    ClusterWishes cluster;
};

void add_batch_options(CLI::App& command, BatchArguments& arguments);

// The only list, by its path; "-" is standard input. Error{usage}: there are several.
const std::string& the_list(const BatchArguments& arguments);

// What a path, or "-", holds. Error{limit}: more than `limit` bytes. Error{not_found}: there is no such file.
std::string read_list(const std::string& path, std::size_t limit);

// Which machines of the list are meant: all of them, or those of --index and --of. An Indexed Job of Kubernetes says in
// its environment which pod this is. Error{usage}: there is no such share.
BatchShare share_of(const BatchArguments& arguments);

// Where is remembered what was made.
std::filesystem::path state_folder(const BatchArguments& arguments);

// What `items` machines may take together. `threads`: what the program may take; 0: as many as there are processors.
BatchBudget budget_for(const BatchArguments& arguments, unsigned threads, std::size_t items);

} // namespace vm2oci::cli
