#include "formats/oci/layer_check.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/base/size.hpp"
#include "formats/codec/layer_decoder.hpp"
#include "formats/codec/seek_table.hpp"
#include "formats/codec/sink_thread.hpp"
#include "formats/oci/chunked_toc.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace vm2oci {
namespace {

constexpr std::size_t kReadStep = 1 * MiB;

class HashSink final : public ByteSink {
  public:
    void write(std::span<const std::byte> bytes) override { hash_.update(bytes); }
    Digest finish() { return Digest(hash_.finish()); }

  private:
    Sha256 hash_;
};

// The stored bytes go through here: hashed on this thread, decoded on the next, the content hashed on a third.
class LayerReader final : public ByteSink {
  public:
    LayerReader(LayerKind kind, const OperationContext& operation)
        : kind_(kind), operation_(operation), content_thread_(content_), decoder_(content_thread_),
          decoder_thread_(decoder_) {}

    void write(std::span<const std::byte> bytes) override {
        operation_.check_cancelled();
        stored_.update(bytes);
        facts_.stored_size += bytes.size();
        operation_.progress->advance(bytes.size());
        if (kind_ == LayerKind::file_system && !decoding_failed_)
            decode([&] { decoder_thread_.write(bytes); });
    }

    LayerFacts finish() {
        facts_.digest = Digest(stored_.finish());
        if (kind_ == LayerKind::opaque)
            return std::move(facts_);
        if (!decoding_failed_)
            decode([&] {
                decoder_thread_.finish();
                decoder_.finish();
                content_thread_.finish();
            });
        if (!decoding_failed_) {
            facts_.diff_id = content_.finish();
            facts_.content_size = decoder_.content_size();
            facts_.compression = decoder_.compression();
        }
        return std::move(facts_);
    }

  private:
    // The stored bytes are hashed to their end whatever the decoder thinks of them.
    template <class Body>
    void decode(Body&& body) {
        try {
            body();
        } catch (const Error& error) {
            decoding_failed_ = true;
            facts_.problems.push_back(error.what());
        }
    }

    const LayerKind kind_;
    const OperationContext& operation_;
    LayerFacts facts_;
    Sha256 stored_;
    HashSink content_;
    SinkThread content_thread_;
    LayerDecoder decoder_;
    SinkThread decoder_thread_;
    bool decoding_failed_ = false;
};

void stream(ImageSource& source, const Descriptor& blob, ByteSink& out, const OperationContext& operation,
            std::vector<std::string>& problems) {
    const std::shared_ptr<const BlockDevice> content = source.open_blob(blob);
    std::vector<std::byte> buffer(kReadStep);
    for (std::uint64_t offset = 0; offset < content->size();) {
        const std::span<std::byte> step = std::span(buffer).first(
            static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), content->size() - offset)));
        content->read_at(offset, step);
        out.write(step);
        offset += step.size();
    }
    operation.check_cancelled();
    for (const std::optional<std::string>& problem :
         {check_seek_table(*content), check_layer_toc(*content, blob.annotations)})
        if (problem)
            problems.push_back(*problem);
}

// What a media type says of the compression; nullopt: it says nothing.
std::optional<Compression> said_compression(std::string_view media_type) {
    if (media_type.ends_with("+zstd") || media_type.ends_with(".tar.zstd"))
        return Compression::zstd;
    if (media_type.ends_with("+gzip") || media_type.ends_with(".tar.gzip"))
        return Compression::gzip;
    if (media_type.ends_with(".tar"))
        return Compression::none;
    return std::nullopt;
}

} // namespace

LayerKind layer_kind(std::string_view media_type) {
    return said_compression(media_type) ? LayerKind::file_system : LayerKind::opaque;
}

LayerFacts read_layer(ImageSource& source, const LayerExpectation& expectation, const OperationContext& operation) {
    LayerReader reader(expectation.kind, operation);
    bool streamed = false;
    std::vector<std::string> problems;
    try {
        streamed = source.stream_blob(expectation.descriptor, reader, operation);
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::corrupt)
            throw;
        streamed = true; // size or digest differ, which compare_layer() says as well
    }
    if (!streamed)
        stream(source, expectation.descriptor, reader, operation, problems);
    LayerFacts facts = reader.finish();
    facts.problems.insert(facts.problems.end(), problems.begin(), problems.end());
    return facts;
}

std::vector<std::string> compare_layer(const LayerFacts& facts, const std::vector<LayerExpectation>& expectations) {
    std::vector<std::string> problems = facts.problems;
    const auto add = [&](std::string problem) {
        if (std::ranges::find(problems, problem) == problems.end())
            problems.push_back(std::move(problem));
    };
    for (const LayerExpectation& expected : expectations) {
        if (facts.digest != expected.descriptor.digest)
            add("its content has the digest " + facts.digest.text());
        if (facts.stored_size != expected.descriptor.size)
            add(fmt::format("it has {} bytes, its descriptor says {}", facts.stored_size, expected.descriptor.size));
        if (expected.kind == LayerKind::opaque) {
            if (expected.diff_id && *expected.diff_id != facts.digest)
                add(fmt::format("its content has the digest {}, and the config says {}", facts.digest.text(),
                                expected.diff_id->text()));
            continue;
        }
        const std::optional<Compression> said = said_compression(expected.descriptor.media_type);
        if (said && facts.compression && said != facts.compression)
            add(fmt::format("it is compressed with {}, and its media type says {}", to_string(*facts.compression),
                            to_string(*said)));
        if (expected.diff_id && facts.diff_id && expected.diff_id != facts.diff_id)
            add(fmt::format("its content has the diff_id {}, and the config says {}", facts.diff_id->text(),
                            expected.diff_id->text()));
    }
    return problems;
}

} // namespace vm2oci
