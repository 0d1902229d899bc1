#include "formats/oci/chunked_toc.hpp"

#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"
#include "formats/base/fd.hpp"
#include "formats/base/size.hpp"
#include "formats/codec/skippable_frame.hpp"
#include "formats/oci/digest.hpp"
#include "formats/oci/json.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace vm2oci {
namespace {

using nlohmann::json;

constexpr int kEntryDepth = 2;  // in the document and its list
constexpr int kMaxTocDepth = 4; // the document, its list, an entry, its attributes

// "offset:packed size:size[:type]"
struct Position {
    std::uint64_t offset = 0;
    std::uint64_t packed_size = 0;
    std::uint64_t text_size = 0;
    std::uint64_t type = chunked::kTocType;
};

[[noreturn]] void fail_toc(const std::string& why) {
    fail(ErrorKind::corrupt, "the layer's table of contents " + why);
}

Position parse_position(std::string_view text, std::size_t numbers) {
    std::uint64_t values[4] = {0, 0, 0, chunked::kTocType};
    const char* at = text.data();
    const char* const end = text.data() + text.size();
    for (std::size_t i = 0; i < numbers; ++i) {
        if (i > 0 && (at == end || *at++ != ':'))
            fail_toc("has an unreadable position");
        const auto [next, error] = std::from_chars(at, end, values[i]);
        if (error != std::errc())
            fail_toc("has an unreadable position");
        at = next;
    }
    if (at != end)
        fail_toc("has an unreadable position");
    return {values[0], values[1], values[2], values[3]};
}

std::vector<std::byte> read_range(const BlockDevice& layer, const Position& position) {
    if (position.packed_size > chunked::kMaxTocSize || position.text_size > chunked::kMaxTocSize)
        fail(ErrorKind::limit,
             fmt::format("the layer's table of contents is larger than {}", format_size(chunked::kMaxTocSize)));
    if (position.offset > layer.size() || position.packed_size > layer.size() - position.offset)
        fail_toc("lies outside of the layer");
    std::vector<std::byte> packed(position.packed_size);
    layer.read_at(position.offset, packed);
    return packed;
}

struct Annotated {
    Position position;
    std::string_view checksum;
};

std::optional<Annotated> find_annotations(const Annotations& annotations) {
    for (const auto& [checksum_key, position_key] : {std::pair{chunked::kTocChecksum, chunked::kTocPosition},
                                                     std::pair{chunked::kOldTocChecksum, chunked::kOldTocPosition}}) {
        const auto checksum = annotations.find(checksum_key);
        const auto position = annotations.find(position_key);
        if (checksum == annotations.end() || position == annotations.end())
            continue;
        Annotated found{parse_position(position->second, 4), checksum->second};
        if (found.position.type != chunked::kTocType)
            fail_toc("is of an unknown type");
        return found;
    }
    return std::nullopt;
}

// Hands on each object of a list in the document, and keeps the texts and numbers beside the lists, so that a table of
// any length costs one entry of memory. Not by the parser's callback: with one, every object that ends looks at all of
// those before it.
template <class TakeEntry>
class EntryReader final : public nlohmann::json_sax<json> {
  public:
    explicit EntryReader(TakeEntry& take_entry) : take_entry_(take_entry) {}

    json document = nullptr; // an object, without what holds others

    bool null() override { return put(nullptr); }
    bool boolean(bool value) override { return put(value); }
    bool number_integer(number_integer_t value) override { return put(value); }
    bool number_unsigned(number_unsigned_t value) override { return put(value); }
    bool number_float(number_float_t value, const string_t& /*text*/) override { return put(value); }
    bool string(string_t& value) override { return put(std::move(value)); }
    bool binary(binary_t& /*value*/) override { return false; }
    bool key(string_t& name) override {
        key_ = std::move(name);
        return true;
    }
    bool start_object(std::size_t /*elements*/) override {
        if (depth_ == 0)
            document = json::object();
        if (depth_ == kEntryDepth) {
            entry_ = json::object();
            open_ = {&entry_};
            return deeper();
        }
        return open(json::object());
    }
    bool start_array(std::size_t /*elements*/) override { return open(json::array()); }
    bool end_object() override { return close(); }
    bool end_array() override { return close(); }
    bool parse_error(std::size_t /*position*/, const std::string& /*token*/,
                     const nlohmann::detail::exception& /*error*/) override {
        return false;
    }

  private:
    bool deeper() {
        if (++depth_ > kMaxTocDepth)
            fail_toc("nests too deeply");
        return true;
    }
    bool open(json value) {
        if (!open_.empty())
            open_.push_back(&add(std::move(value)));
        return deeper();
    }
    bool close() {
        --depth_;
        if (open_.empty())
            return true;
        open_.pop_back();
        if (open_.empty())
            take_entry_(entry_);
        return true;
    }
    bool put(json value) {
        if (!open_.empty())
            add(std::move(value));
        else if (depth_ == 1 && document.is_object())
            document[key_] = std::move(value);
        return true;
    }
    // To what was opened last.
    json& add(json value) {
        json& parent = *open_.back();
        if (parent.is_object())
            return parent[key_] = std::move(value);
        parent.push_back(std::move(value));
        return parent.back();
    }

    TakeEntry& take_entry_;
    json entry_;
    std::vector<json*> open_; // of the entry; empty: outside of one
    std::string key_;
    int depth_ = 0;
};

// Calls `take_entry` with each of the entries; returns the rest of the document.
template <class TakeEntry>
json read_document(const BlockDevice& layer, const Annotated& annotated, TakeEntry take_entry) {
    const std::vector<std::byte> packed = read_range(layer, annotated.position);
    if (Digest(sha256(packed)) != Digest::parse(annotated.checksum))
        fail_toc("is not the one that the manifest names");
    EntryReader reader(take_entry);
    if (!json::sax_parse(unpack_text(packed, annotated.position.text_size), &reader) || !reader.document.is_object())
        fail_toc("is not JSON");
    return std::move(reader.document);
}

Sha256Sum parse_sum(const std::string& text) {
    const std::string hex = Digest::parse(text).hex();
    Sha256Sum sum{};
    for (std::size_t i = 0; i < sum.size(); ++i) {
        unsigned value = 0;
        std::from_chars(hex.data() + 2 * i, hex.data() + 2 * i + 2, value, 16);
        sum[i] = static_cast<std::byte>(value);
    }
    return sum;
}

std::uint64_t number(const json& entry, const char* name) {
    return find_field(entry, name) == nullptr ? 0 : required_unsigned(entry, name, "the layer's table of contents");
}

std::string text(const json& entry, const char* name) {
    return optional_string(entry, name, "the layer's table of contents");
}

// Takes the entries in order: a regular file, then the further chunks of it.
class ChunkReader {
  public:
    void take(const json& entry) {
        if (!entry.is_object())
            fail_toc("has an entry that is no object");
        const std::string type = text(entry, "type");
        const std::uint64_t size = type == "reg" ? number(entry, "size") : 0;
        if (type != "chunk") {
            end_file();
            if (size == 0)
                return;
            rest_ = size;
            file_digest_ = text(entry, "digest");
            file_end_ = number(entry, "endOffset");
        } else if (rest_ == 0) {
            fail_toc("has a chunk that belongs to no file");
        }
        add_chunk(entry);
    }

    std::vector<TocChunk> finish(std::uint64_t end_of_content) {
        end_file();
        std::ranges::stable_sort(chunks_, {}, &TocChunk::stored_offset);
        for (std::size_t i = 0; i < chunks_.size(); ++i) {
            const std::uint64_t limit = i + 1 < chunks_.size() ? chunks_[i + 1].stored_offset : end_of_content;
            TocChunk& chunk = chunks_[i];
            if (chunk.stored_end == 0) // a chunk reaches to the next one
                chunk.stored_end = limit;
            if (chunk.stored_offset >= chunk.stored_end || chunk.stored_end > limit)
                fail_toc("names parts that overlap");
        }
        return std::move(chunks_);
    }

  private:
    void add_chunk(const json& entry) {
        TocChunk chunk;
        chunk.stored_offset = number(entry, "offset");
        const std::uint64_t size = number(entry, "chunkSize");
        chunk.content_size = size == 0 ? rest_ : size; // the only chunk, or the last one
        if (chunk.content_size > rest_ || chunk.stored_offset == 0)
            fail_toc("names chunks that do not make up their file");
        chunk.is_zero = text(entry, "chunkType") == "zeros";
        const bool is_whole_file = chunk.content_size == rest_ && text(entry, "type") == "reg";
        const std::string digest = is_whole_file ? file_digest_ : text(entry, "chunkDigest");
        if (!chunk.is_zero)
            chunk.digest = parse_sum(digest);
        rest_ -= chunk.content_size;
        chunks_.push_back(chunk);
    }

    void end_file() {
        if (rest_ != 0)
            fail_toc("names chunks that do not make up their file");
        if (file_end_ != 0 && !chunks_.empty())
            chunks_.back().stored_end = file_end_;
        file_end_ = 0;
    }

    std::vector<TocChunk> chunks_;
    std::uint64_t rest_ = 0; // of the file, that its chunks have not covered yet
    std::uint64_t file_end_ = 0;
    std::string file_digest_;
};

std::uint64_t le64(const std::vector<std::byte>& bytes, std::size_t index) {
    return load_le<std::uint64_t>(bytes.data() + index * 8);
}

void check_tar_split(const BlockDevice& layer, const Position& toc, const Annotations& annotations,
                     const json& document) {
    const auto annotation = annotations.find(chunked::kTarSplitPosition);
    if (annotation == annotations.end())
        return;
    const Position position = parse_position(annotation->second, 3);
    const std::vector<std::byte> packed = read_range(layer, position);
    if (Digest(sha256(packed)) != Digest::parse(text(document, "tarSplitDigest")))
        fail_toc("names another tar-split than the layer has");
    unpack_text(packed, position.text_size);
    constexpr std::uint64_t kFooterSize = 64;
    const std::vector<std::byte> footer =
        read_range(layer, {position.offset + position.packed_size + kSkippableHeaderSize, kFooterSize, 0});
    const bool same = le64(footer, 0) == toc.offset && le64(footer, 1) == toc.packed_size &&
                      le64(footer, 2) == toc.text_size && le64(footer, 4) == position.offset &&
                      le64(footer, 5) == position.packed_size && le64(footer, 6) == position.text_size;
    if (!same)
        fail_toc("is named by its footer at another place than by the manifest");
}

} // namespace

std::vector<FrameProof> LayerToc::proofs() const {
    std::vector<FrameProof> proofs;
    proofs.reserve(chunks.size());
    for (const TocChunk& chunk : chunks)
        proofs.push_back({chunk.stored_offset, chunk.content_size, chunk.is_zero, chunk.digest});
    return proofs;
}

std::optional<LayerToc> read_layer_toc(const BlockDevice& layer, const Annotations& annotations) {
    const std::optional<Annotated> annotated = find_annotations(annotations);
    if (!annotated)
        return std::nullopt;
    ChunkReader reader;
    read_document(layer, *annotated, [&](const json& entry) { reader.take(entry); });
    // Behind the content comes the frame of the table itself.
    const std::uint64_t end =
        annotated->position.offset - std::min<std::uint64_t>(annotated->position.offset, kSkippableHeaderSize);
    return LayerToc{reader.finish(end)};
}

std::optional<std::string> check_layer_toc(const BlockDevice& layer, const Annotations& annotations) {
    try {
        const std::optional<Annotated> annotated = find_annotations(annotations);
        if (!annotated)
            return std::nullopt;
        check_tar_split(layer, annotated->position, annotations,
                        read_document(layer, *annotated, [](const json& /*entry*/) {}));
        read_layer_toc(layer, annotations);
        return std::nullopt;
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::corrupt && error.kind() != ErrorKind::limit)
            throw;
        return error.what();
    }
}

} // namespace vm2oci
