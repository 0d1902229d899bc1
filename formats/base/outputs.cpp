#include "formats/base/outputs.hpp"

#include "formats/base/error.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <system_error>

namespace vm2oci {
namespace fs = std::filesystem;

Outputs::~Outputs() {
    if (is_committed_)
        return;
    // Temporary files with names go before the folders that they lie in.
    documents_.clear();
    files_.clear();
    // Only what is empty goes: nothing of anybody else can be lost.
    for (auto made = folders_.rbegin(); made != folders_.rend(); ++made)
        ::rmdir(made->c_str());
}

void Outputs::claim(const fs::path& target) {
    // Two ways to one folder are one, and nothing above it is looked at.
    const fs::path folder = target.has_parent_path() ? target.parent_path() : fs::path(".");
    struct stat status {};
    fs::path place = target;
    if (::stat(folder.c_str(), &status) == 0)
        place = fs::path(std::to_string(status.st_dev)) / std::to_string(status.st_ino) / target.filename();
    if (std::find(claimed_.begin(), claimed_.end(), place) != claimed_.end())
        fail(ErrorKind::usage, target.string() + " is named for two outputs; give each a name of its own");
    claimed_.push_back(std::move(place));
}

Outputs::Document& Outputs::add_document(const fs::path& path, std::optional<unsigned> mode) {
    Document document{path, {}, mode, {}};
    if (is_replaceable_output(path)) {
        document.file.emplace(path);
        claim(document.file->path());
    }
    Document& added = documents_.emplace_back(std::move(document));
    if (added.file)
        items_.push_back({&*added.file, &added});
    return added;
}

OutputFile& Outputs::add_file(const fs::path& path) {
    OutputFile file(path);
    claim(file.path());
    OutputFile& added = files_.emplace_back(std::move(file));
    items_.push_back({&added, nullptr});
    return added;
}

void Outputs::add_folder(const fs::path& path) {
    std::vector<fs::path> missing;
    for (fs::path folder = path; !folder.empty() && !fs::is_directory(folder); folder = folder.parent_path()) {
        missing.push_back(folder);
        if (folder == folder.parent_path())
            break;
    }
    for (auto folder = missing.rbegin(); folder != missing.rend(); ++folder) {
        const fs::path place = resolve_folder(*folder);
        if (::mkdir(place.c_str(), 0777) == 0)
            folders_.push_back(place);
        else if (const int error = errno; !fs::is_directory(*folder)) // "a/" is "a"; or somebody else was faster
            fail(ErrorKind::conflict,
                 "cannot make the folder " + path.string() + ": " + std::system_category().message(error));
    }
}

void Outputs::write() {
    if (is_written_)
        return;
    for (const Item& item : items_) {
        if (item.document != nullptr && item.document->content)
            write_exactly(item.file->fd(), as_bytes(*item.document->content));
        if (::fsync(item.file->fd()) != 0)
            fail_errno("cannot write " + item.file->path().string(), errno);
    }
    is_written_ = true;
}

void Outputs::commit(const std::function<void()>& publish) {
    if (is_committed_)
        return;
    write();
    std::vector<ReplacedFile> replacements; // taken back where an Error drops them
    replacements.reserve(items_.size());
    for (const Item& item : items_) {
        if (item.document == nullptr)
            replacements.push_back(item.file->replace());
        else if (item.document->content)
            replacements.push_back(item.file->replace(item.document->mode));
    }
    for (const Document& document : documents_)
        if (!document.file && document.content)
            write_output(document.path, as_bytes(*document.content), operation_);
    if (publish)
        publish();
    is_committed_ = true;
    for (ReplacedFile& replacement : replacements)
        replacement.keep();
}

} // namespace vm2oci
