// What a conversion of a batch reads: the files by which a change of it is seen.
#pragma once

#include "tools/flows/convert.hpp"
#include "tools/vm2oci/batch_list.hpp"

#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace vm2oci::cli {

class BatchInputs {
  public:
    // What the batch itself writes beside its sources is none of them.
    explicit BatchInputs(const std::vector<BatchLine>& lines);

    // Whatever of the words is a file; what lies beside a machine's description or a VMDK and belongs to it; the files
    // of an agent's folder; the index of a layout. nullopt: a change cannot be seen (a server's disk, an image by tag).
    std::optional<std::vector<std::filesystem::path>> of(const BatchLine& line, const ConvertRequest& request);

  private:
    using Files = std::set<std::filesystem::path>;
    void add_siblings(const std::filesystem::path& source, Files& into);
    const std::vector<std::string>& names_in(const std::filesystem::path& folder);

    Files written_;
    std::map<std::filesystem::path, std::vector<std::string>> folders_; // names of files in those that were read
};

} // namespace vm2oci::cli
