#include "tests/support/corpus.hpp"

#include <archive.h>
#include <archive_entry.h>

#include <sstream>
#include <stdexcept>

namespace vm2oci::test {
namespace {

struct ArchiveCloser {
    void operator()(archive* handle) const { archive_read_free(handle); }
};

std::string first_field(std::istringstream& line) {
    std::string field;
    std::getline(line, field, '\t');
    return field;
}

} // namespace

Corpus::Corpus(const std::string& archive_path) {
    const std::unique_ptr<archive, ArchiveCloser> handle(archive_read_new());
    archive_read_support_filter_xz(handle.get());
    archive_read_support_format_tar(handle.get());
    const auto require_ok = [&](int status) {
        if (status != ARCHIVE_OK)
            throw std::runtime_error(archive_path + ": " + archive_error_string(handle.get()));
    };
    require_ok(archive_read_open_filename(handle.get(), archive_path.c_str(), 1 << 16));
    std::string manifest;
    archive_entry* entry = nullptr;
    int status = ARCHIVE_OK;
    while ((status = archive_read_next_header(handle.get(), &entry)) == ARCHIVE_OK) {
        if (archive_entry_filetype(entry) != AE_IFREG)
            continue;
        const std::string name = archive_entry_pathname(entry);
        auto device = std::make_shared<MemoryDevice>(static_cast<std::uint64_t>(archive_entry_size(entry)));
        const void* data = nullptr;
        std::size_t length = 0;
        la_int64_t offset = 0;
        while ((status = archive_read_data_block(handle.get(), &data, &length, &offset)) == ARCHIVE_OK)
            if (length != 0)
                device->put(static_cast<std::uint64_t>(offset), std::span(static_cast<const std::byte*>(data), length));
        if (status != ARCHIVE_EOF)
            require_ok(status);
        if (name == "MANIFEST.tsv") {
            manifest.resize(device->size());
            device->read_at(0, std::as_writable_bytes(std::span(manifest)));
        }
        files_[name] = std::move(device);
    }
    if (status != ARCHIVE_EOF)
        require_ok(status);
    std::istringstream lines(manifest);
    std::string text;
    std::getline(lines, text); // the column names
    while (std::getline(lines, text)) {
        std::istringstream line(text);
        CorpusRow row;
        for (std::string* field : {&row.file, &row.kind, &row.expect, &row.detail, &row.why})
            *field = first_field(line);
        rows_.push_back(std::move(row));
    }
}

std::vector<CorpusRow> Corpus::rows(const std::string& kind) const {
    std::vector<CorpusRow> found;
    for (const CorpusRow& row : rows_)
        if (row.kind == kind)
            found.push_back(row);
    if (found.empty())
        throw std::runtime_error("the corpus has no rows of kind " + kind);
    return found;
}

std::shared_ptr<const MemoryDevice> Corpus::open(const std::string& file) const {
    const auto found = files_.find(file);
    if (found == files_.end())
        throw std::runtime_error("the corpus has no file " + file);
    return found->second;
}

} // namespace vm2oci::test
