#include "formats/tree/tar_sink.hpp"

#include "formats/base/counting_sink.hpp"
#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/base/fd.hpp"
#include "formats/base/size.hpp"
#include "formats/tree/tar.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace vm2oci {
namespace {

constexpr std::uint32_t kSetIds = 06000;

void note(ReportedPaths& paths, const std::string& path) {
    if (paths.count++ < kReportedPaths)
        paths.first.push_back(path);
}

std::uint64_t total_of(const std::vector<DataRange>& pieces) {
    std::uint64_t total = 0;
    for (const DataRange& piece : pieces)
        total += piece.length;
    return total;
}

// In any part of the path: a folder ".wh.x" deletes just as a file does.
bool has_whiteout_name(std::string_view path) {
    constexpr std::string_view kWhiteoutPrefix = ".wh.";
    return path.substr(0, kWhiteoutPrefix.size()) == kWhiteoutPrefix || path.find("/.wh.") != std::string_view::npos;
}

} // namespace

void TarSink::add(const Entry& entry, const FileContent* content) {
    const FileType type = entry.status.type;
    if (type == FileType::socket) {
        note(report_.sockets, entry.path);
        return;
    }
    if (policy_.device_nodes == DeviceNodes::leave_out &&
        (type == FileType::character_device || type == FileType::block_device)) {
        note(report_.devices, entry.path);
        return;
    }
    if (policy_.whiteout_names == WhiteoutNames::refuse && has_whiteout_name(entry.path))
        fail(ErrorKind::unsupported, "a layer cannot hold " + quote_untrusted(entry.path) +
                                         ": the name would delete a file; remove it in the guest");
    if (type == FileType::regular && (entry.status.permissions & kSetIds) != 0)
        note(report_.set_id, entry.path);
    ++report_.entries;
    const std::optional<std::vector<DataRange>> pieces =
        content != nullptr && entry.status.size > kMaxStoredHoles ? content->data_ranges() : std::nullopt;
    const std::uint64_t holes = pieces ? entry.status.size - total_of(*pieces) : 0;
    if (policy_.large_holes == LargeHoles::refuse && holes > kMaxWholeHoles)
        fail(ErrorKind::limit, fmt::format("{} has {} of holes, and layers of this form store them; remove it in the "
                                           "guest, or choose another form",
                                           quote_untrusted(entry.path), format_size(holes)));
    if (policy_.large_holes == LargeHoles::leave_out && holes > kMaxStoredHoles)
        add_sparse(entry, *content, *pieces);
    else
        add_whole(entry, content);
}

void TarSink::add_sparse(const Entry& entry, const FileContent& content, std::vector<DataRange> pieces) {
    note(report_.sparse, entry.path);
    const std::uint64_t stored = total_of(pieces);
    if (pieces.empty() || pieces.back().offset + pieces.back().length < entry.status.size)
        pieces.push_back({entry.status.size, 0}); // where the last hole ends
    const std::string map = tar_sparse_map(pieces);
    const std::string header = tar_sparse_header(entry, map.size() + stored);
    if (observer_ != nullptr)
        observer_->entry_begins(entry, header);
    out_.write(as_bytes(header));
    out_.write(as_bytes(map));
    CountingSink counted(out_);
    for (const DataRange& piece : pieces)
        if (piece.length != 0)
            content.copy_range_to(piece, counted);
    if (counted.count() != stored)
        fail(ErrorKind::io, "the content of " + quote_untrusted(entry.path) + " is not as long as its extents say");
    const std::string padding(tar_padding(stored), '\0');
    out_.write(as_bytes(padding));
}

void TarSink::add_whole(const Entry& entry, const FileContent* content) {
    const std::string header = tar_header(entry);
    if (observer_ != nullptr)
        observer_->entry_begins(entry, header);
    out_.write(as_bytes(header));
    if (content == nullptr)
        return;
    CountingSink counted(out_);
    content->copy_to(counted);
    if (counted.count() != entry.status.size)
        fail(ErrorKind::io, "the content of " + quote_untrusted(entry.path) + " is not as long as its entry says");
    const std::string padding(tar_padding(entry.status.size), '\0');
    out_.write(as_bytes(padding));
}

TarReport TarSink::finish() {
    out_.write(as_bytes(std::string(kTarEndSize, '\0')));
    return std::move(report_);
}

} // namespace vm2oci
