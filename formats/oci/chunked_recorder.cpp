#include "formats/oci/chunked_recorder.hpp"

#include "formats/base/base64.hpp"
#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/base/fd.hpp"
#include "formats/oci/chunked_toc.hpp"
#include "formats/oci/digest.hpp"

#include <fmt/format.h>
#include <isa-l/crc64.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>

namespace vm2oci {
namespace {

using Json = nlohmann::ordered_json;

std::string_view toc_type(const Entry& entry) {
    if (entry.hard_link_to)
        return "hardlink";
    switch (entry.status.type) {
    case FileType::regular:
        return "reg";
    case FileType::directory:
        return "dir";
    case FileType::symlink:
        return "symlink";
    case FileType::character_device:
        return "char";
    case FileType::block_device:
        return "block";
    case FileType::fifo:
        return "fifo";
    case FileType::socket:
        break;
    }
    fail(ErrorKind::unsupported, "tar cannot hold the socket " + quote_untrusted(entry.path));
}

// RFC 3339 in UTC, as Go prints times.
std::string format_time(const Timestamp& time) {
    using namespace std::chrono;
    const sys_seconds moment{seconds(time.seconds)};
    const sys_days day = floor<days>(moment);
    const year_month_day date(day);
    const hh_mm_ss clock(moment - day);
    std::string text = fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", static_cast<int>(date.year()),
                                   static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                                   clock.hours().count(), clock.minutes().count(), clock.seconds().count());
    if (time.nanoseconds != 0) {
        text += fmt::format(".{:09}", time.nanoseconds);
        text.erase(text.find_last_not_of('0') + 1);
    }
    return text + "Z";
}

std::string tar_name(const Entry& entry) {
    std::string name = entry.path.empty() ? "." : entry.path;
    if (entry.status.type == FileType::directory)
        name += '/';
    return name;
}

bool has_content(const Entry& entry) {
    return !entry.hard_link_to && entry.status.type == FileType::regular && entry.status.size > 0;
}

// What the header says, in the order in which the reference writer prints it; zeros and empty strings are left out.
Json describe(const Entry& entry) {
    const FileStatus& status = entry.status;
    Json json = {{"type", toc_type(entry)}, {"name", tar_name(entry)}};
    const auto text = [&](const char* key, const std::string& value) {
        if (!value.empty())
            json[key] = value;
    };
    const auto number = [&](const char* key, std::uint64_t value) {
        if (value != 0)
            json[key] = value;
    };
    text("linkName", entry.hard_link_to.value_or(entry.link_target));
    number("mode", status.permissions & 07777);
    number("size", has_content(entry) ? status.size : 0);
    number("uid", status.uid);
    number("gid", status.gid);
    json["modtime"] = format_time(status.modified);
    if (status.type == FileType::character_device || status.type == FileType::block_device) {
        number("devMajor", status.device_major);
        number("devMinor", status.device_minor);
    }
    for (const ExtendedAttribute& attribute : entry.attributes)
        json["xattrs"][attribute.name] = encode_base64(attribute.value);
    return json;
}

std::string print(const Json& json, const Entry& entry) {
    try {
        return json.dump();
    } catch (const Json::type_error&) {
        fail(ErrorKind::unsupported,
             "the name " + quote_untrusted(entry.path) + " is not UTF-8, which a table of contents cannot hold",
             HintKind::chunked);
    }
}

// One file's chunk: a frame, or as many frames of zeros as follow each other.
struct Chunk {
    std::uint64_t stored_offset = 0;
    std::uint64_t content_offset = 0; // in the file
    std::uint64_t size = 0;
    FrameContent content;
};

// Walks the frames of a layer in order.
class FrameWalk {
  public:
    explicit FrameWalk(const EncodedLayer& layer) : layer_(layer) {}

    // The chunks of the file that lies at [begin, end) of the content, which begins and ends with frames.
    std::vector<Chunk> chunks(std::uint64_t begin, std::uint64_t end) {
        while (content_offset_ < begin)
            next();
        std::vector<Chunk> chunks;
        while (content_offset_ < end) {
            const FrameContent& content = layer_.contents[frame_];
            const std::uint64_t size = layer_.frames[frame_].content_size;
            if (!chunks.empty() && chunks.back().content.is_zero && content.is_zero)
                chunks.back().size += size;
            else
                chunks.push_back({stored_offset_, content_offset_ - begin, size, content});
            next();
        }
        return chunks;
    }
    std::uint64_t stored_offset() const { return stored_offset_; }

  private:
    void next() {
        stored_offset_ += layer_.frames[frame_].compressed_size;
        content_offset_ += layer_.frames[frame_].content_size;
        ++frame_;
    }

    const EncodedLayer& layer_;
    std::size_t frame_ = 0;
    std::uint64_t stored_offset_ = 0;
    std::uint64_t content_offset_ = 0;
};

void append_chunk_fields(std::string& json, const Chunk& chunk) {
    json += fmt::format(",\"offset\":{}", chunk.stored_offset);
}

void append_part_fields(std::string& json, const Chunk& chunk) {
    json += fmt::format(",\"chunkSize\":{}", chunk.size);
    if (chunk.content_offset != 0)
        json += fmt::format(",\"chunkOffset\":{}", chunk.content_offset);
    if (chunk.content.is_zero)
        json += ",\"chunkType\":\"zeros\"";
    else
        json += fmt::format(",\"chunkDigest\":\"{}\"", Digest(chunk.content.digest).text());
}

std::vector<std::byte> make_footer(const std::uint64_t (&numbers)[7]) {
    constexpr std::string_view kMagic = "GNUlInUx";
    std::vector<std::byte> footer(sizeof numbers + kMagic.size());
    for (std::size_t i = 0; i < std::size(numbers); ++i)
        store_le(footer.data() + 8 * i, numbers[i]);
    std::ranges::copy(as_bytes(kMagic), footer.begin() + sizeof numbers);
    return footer;
}

} // namespace

ChunkedRecorder::ChunkedRecorder() = default;
ChunkedRecorder::~ChunkedRecorder() = default;

void ChunkedRecorder::entry_begins(const Entry& entry, std::string_view header) {
    Listed listed;
    listed.json = print(describe(entry), entry);
    listed.json.pop_back(); // the closing brace: more may follow
    listed.name = print(Json(tar_name(entry)), entry);
    if (has_content(entry)) {
        listed.file = files_.size();
        files_.push_back({position_ + header.size(), entry.status.size, {}});
    }
    header_left_ = header.size();
    entries_.push_back(std::move(listed));
}

ChunkedRecorder::Step ChunkedRecorder::take(std::span<const std::byte> bytes) {
    const auto at_most = [&](std::uint64_t limit) {
        return bytes.first(static_cast<std::size_t>(std::min<std::uint64_t>(bytes.size(), limit)));
    };
    const bool begins_frame = std::exchange(frame_begins_, false);
    if (content_left_ > 0) {
        bytes = at_most(content_left_);
        digest_->update(bytes);
        crc_ = crc64_iso_refl(crc_, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
        content_left_ -= bytes.size();
        if (content_left_ == 0)
            end_content();
    } else {
        if (header_left_ > 0)
            bytes = at_most(header_left_);
        segment_ += as_text(bytes);
        if (header_left_ > 0) {
            header_left_ -= bytes.size();
            if (header_left_ == 0)
                end_header();
        }
    }
    position_ += bytes.size();
    return {bytes.size(), begins_frame};
}

void ChunkedRecorder::end_header() {
    add_segment();
    if (entries_.back().file == kNoFile) {
        add_line(fmt::format("{{\"type\":1,\"name\":{},\"payload\":null,\"position\":{}}}\n", entries_.back().name,
                             tar_split_lines_));
        return;
    }
    content_left_ = files_.back().size;
    frame_begins_ = true;
    digest_ = std::make_unique<Sha256>();
    crc_ = 0;
}

void ChunkedRecorder::end_content() {
    File& file = files_.back();
    file.digest = digest_->finish();
    std::byte sum[8];
    store_be(sum, crc_);
    add_line(fmt::format("{{\"type\":1,\"name\":{},\"size\":{},\"payload\":\"{}\",\"position\":{}}}\n",
                         entries_.back().name, file.size, encode_base64(as_text(sum)), tar_split_lines_));
    frame_begins_ = true;
}

void ChunkedRecorder::add_segment() {
    add_line(
        fmt::format("{{\"type\":2,\"payload\":\"{}\",\"position\":{}}}\n", encode_base64(segment_), tar_split_lines_));
    segment_.clear();
}

void ChunkedRecorder::add_line(const std::string& line) {
    tar_split_.append(line);
    ++tar_split_lines_;
}

void ChunkedRecorder::list_entries(const EncodedLayer& layer, TextPacker& toc) {
    FrameWalk frames(layer);
    bool first = true;
    for (Listed& entry : entries_) {
        std::string json = (first ? "" : ",") + std::move(entry.json);
        first = false;
        if (entry.file != kNoFile) {
            const File& file = files_[entry.file];
            const std::vector<Chunk> chunks = frames.chunks(file.begin, file.begin + file.size);
            const std::string end = fmt::format(",\"endOffset\":{}", frames.stored_offset());
            json += fmt::format(",\"digest\":\"{}\"", Digest(file.digest).text());
            append_chunk_fields(json, chunks.front());
            json += end;
            if (chunks.size() > 1)
                append_part_fields(json, chunks.front());
            for (std::size_t i = 1; i < chunks.size(); ++i) {
                json += fmt::format("}},{{\"type\":\"chunk\",\"name\":{}", entry.name);
                append_chunk_fields(json, chunks[i]);
                if (i + 1 == chunks.size())
                    json += end;
                append_part_fields(json, chunks[i]);
            }
        }
        toc.append(json + "}");
    }
}

std::vector<std::vector<std::byte>> ChunkedRecorder::make_tail(const EncodedLayer& layer) {
    add_segment(); // what ends the archive
    const std::uint64_t tar_split_size = tar_split_.text_size();
    const std::vector<std::byte> tar_split = tar_split_.finish();

    TextPacker packer;
    packer.append("{\"version\":1,\"entries\":[");
    list_entries(layer, packer);
    packer.append(fmt::format("],\"tarSplitDigest\":\"{}\"}}", Digest(sha256(tar_split)).text()));
    const std::uint64_t toc_size = packer.text_size();
    const std::vector<std::byte> toc = packer.finish();
    if (std::max(toc_size, tar_split_size) > chunked::kMaxTocSize)
        fail(ErrorKind::limit, "the layer has more files than readers of zstd:chunked take", HintKind::chunked);

    const std::uint64_t toc_at = layer.compressed_size + kSkippableHeaderSize;
    const std::uint64_t tar_split_at = toc_at + toc.size() + kSkippableHeaderSize;
    const std::string checksum = Digest(sha256(toc)).text();
    const std::string position = fmt::format("{}:{}:{}:{}", toc_at, toc.size(), toc_size, chunked::kTocType);
    annotations_ = {
        {chunked::kTocChecksum, checksum},
        {chunked::kTocPosition, position},
        {chunked::kTarSplitPosition, fmt::format("{}:{}:{}", tar_split_at, tar_split.size(), tar_split_size)},
        {chunked::kOldTocChecksum, checksum},
        {chunked::kOldTocPosition, position},
    };
    const std::vector<std::byte> footer =
        make_footer({toc_at, toc.size(), toc_size, chunked::kTocType, tar_split_at, tar_split.size(), tar_split_size});
    return {make_skippable_frame(toc), make_skippable_frame(tar_split), make_skippable_frame(footer)};
}

} // namespace vm2oci
