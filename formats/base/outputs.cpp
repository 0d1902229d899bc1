#include "formats/base/outputs.hpp"

#include "formats/base/error.hpp"

#include <unistd.h>

#include <cerrno>

namespace vm2oci {
namespace {

void make_content_durable(const OutputFile& file, const std::filesystem::path& path) {
    if (::fsync(file.fd()) != 0)
        fail_errno("cannot write " + path.string(), errno);
}

} // namespace

Outputs::Document& Outputs::add_document(const std::filesystem::path& path, std::optional<unsigned> mode) {
    Document document{path, {}, mode, {}};
    if (is_replaceable_output(path))
        document.file.emplace(path);
    return documents_.emplace_back(std::move(document));
}

OutputFile& Outputs::add_file(const std::filesystem::path& path) {
    return files_.emplace_back(path);
}

void Outputs::commit() {
    if (is_committed_)
        return;
    for (const OutputFile& file : files_)
        make_content_durable(file, file.path());
    for (const Document& document : documents_)
        if (document.file) {
            write_exactly(document.file->fd(), as_bytes(document.content));
            make_content_durable(*document.file, document.path);
        }
    is_committed_ = true;
    // What cannot be taken back goes last of the documents, and before what it is about.
    for (OutputFile& file : files_)
        file.publish();
    for (Document& document : documents_)
        if (document.file)
            document.file->publish(document.mode);
    for (const Document& document : documents_)
        if (!document.file)
            write_output(document.path, as_bytes(document.content));
}

} // namespace vm2oci
