// Everything that one command writes appears together: all of it is opened before work begins and written before the
// first file appears; then there are only renames, and the reference of an image last. What fails until the end leaves
// everything as it was.
#pragma once

#include "formats/base/output_file.hpp"

#include <deque>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace vm2oci {

class Outputs {
  public:
    // A whole small file. Devices, pipes and mount points are taken, as write_output() writes them.
    struct Document {
        std::filesystem::path path;
        std::optional<std::string> content{}; // set before commit(); none: nothing appears
        std::optional<unsigned> mode;         // of a new file; none: 0666 less the umask
        std::optional<OutputFile> file{};
    };

    // `operation`: of what waits for somebody to read a named pipe.
    explicit Outputs(const OperationContext& operation = {}) : operation_(operation) {}
    Outputs(const Outputs&) = delete;
    Outputs& operator=(const Outputs&) = delete;
    // What was not committed leaves nothing, folders included.
    ~Outputs();

    // References stay valid. Errors as OutputFile and write_output() have them, at once; Error{usage} for a path that
    // is among the outputs already.
    Document& add_document(const std::filesystem::path& path, std::optional<unsigned> mode = std::nullopt);
    OutputFile& add_file(const std::filesystem::path& path);
    // A folder for files that are added then, made now, with those above it, if it is not there. Error{conflict}.
    void add_folder(const std::filesystem::path& path);

    // Writes the documents and makes everything durable; nothing appears. Done by commit(), if it was not done.
    void write();
    // Lets everything appear in the order in which it was added, then calls `publish`, for what cannot be taken back.
    // After an Error, also one of `publish`, what was there before is there again. Documents that go to devices and
    // pipes cannot be taken back either and come last before `publish`. Again: does nothing.
    void commit(const std::function<void()>& publish = {});

  private:
    struct Item {
        OutputFile* file = nullptr;
        Document* document = nullptr; // of `file`; null: a disk
    };

    void claim(const std::filesystem::path& target);

    const OperationContext operation_;
    std::deque<Document> documents_;
    std::deque<OutputFile> files_;
    std::vector<Item> items_;                    // what is replaced, in order
    std::vector<std::filesystem::path> claimed_; // where outputs go, links resolved
    std::vector<std::filesystem::path> folders_; // that were made here, parents first
    bool is_written_ = false;
    bool is_committed_ = false;
};

} // namespace vm2oci
