// The files of one command that appear together: all are opened before work begins, all are written before the first
// appears, and what fails until then leaves everything as it was.
#pragma once

#include "formats/base/output_file.hpp"

#include <cstddef>
#include <deque>
#include <filesystem>
#include <optional>
#include <string>

namespace vm2oci {

class Outputs {
  public:
    // A whole small file. Devices, pipes and mount points are taken, as write_output() writes them.
    struct Document {
        std::filesystem::path path;
        std::string content{};        // set before commit()
        std::optional<unsigned> mode; // of a new file; none: 0666 less the umask
        std::optional<OutputFile> file{};
    };

    // References stay valid. Errors as OutputFile and write_output() have them, at once.
    Document& add_document(const std::filesystem::path& path, std::optional<unsigned> mode = std::nullopt);
    OutputFile& add_file(const std::filesystem::path& path);

    // Makes everything durable, then lets it appear in the order in which it was added; again: does nothing.
    void commit();

  private:
    std::deque<Document> documents_;
    std::deque<OutputFile> files_;
    bool is_committed_ = false;
};

} // namespace vm2oci
