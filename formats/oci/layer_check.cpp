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
        if (kind_ != LayerKind::file_system)
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
            (error.kind() == ErrorKind::unsupported ? facts_.remarks : facts_.problems).push_back(error.what());
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
    if (media_type.ends_with("+xz"))
        return Compression::xz;
    if (media_type.ends_with(".tar"))
        return Compression::none;
    return std::nullopt;
}

bool is_layer_type(std::string_view media_type) {
    return media_type.starts_with("application/vnd.oci.image.layer.") ||
           media_type.starts_with("application/vnd.docker.image.rootfs.");
}

// Each said once.
void add_once(std::vector<std::string>& lines, std::string line) {
    if (std::ranges::find(lines, line) == lines.end())
        lines.push_back(std::move(line));
}

void compare_diff_id(const LayerFacts& facts, const LayerExpectation& expected, LayerVerdict& verdict) {
    const auto differs = [&](const char* name, const Digest& digest) {
        add_once(verdict.problems, fmt::format("its content has the {} {}, and the config says {}", name, digest.text(),
                                               expected.diff_id->text()));
    };
    if (!expected.diff_id)
        return;
    switch (expected.kind) {
    case LayerKind::file_system:
        if (facts.diff_id && *expected.diff_id != *facts.diff_id)
            differs("diff_id", *facts.diff_id);
        return;
    case LayerKind::opaque:
        if (*expected.diff_id != facts.digest)
            differs("digest", facts.digest);
        return;
    case LayerKind::encrypted:
        add_once(verdict.remarks, "it is encrypted: what it unpacks to cannot be held against its diff_id");
        return;
    case LayerKind::foreign_form:
        if (*expected.diff_id != facts.digest)
            add_once(verdict.remarks,
                     fmt::format("{} is not known here: what it unpacks to cannot be held against its diff_id",
                                 quote_untrusted(expected.descriptor.media_type)));
        return;
    }
}

} // namespace

LayerKind layer_kind(std::string_view media_type) {
    if (media_type.ends_with("+encrypted"))
        return LayerKind::encrypted;
    if (said_compression(media_type) || media_type.ends_with("+bzip2"))
        return LayerKind::file_system;
    return is_layer_type(media_type) ? LayerKind::foreign_form : LayerKind::opaque;
}

bool may_be_elsewhere(std::string_view media_type) {
    return media_type.starts_with("application/vnd.oci.image.layer.nondistributable.") ||
           media_type.starts_with("application/vnd.docker.image.rootfs.foreign.");
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

LayerVerdict compare_layer(const LayerFacts& facts, const std::vector<LayerExpectation>& expectations) {
    LayerVerdict verdict{facts.problems, facts.remarks};
    for (const LayerExpectation& expected : expectations) {
        if (facts.digest != expected.descriptor.digest)
            add_once(verdict.problems, "its content has the digest " + facts.digest.text());
        if (facts.stored_size != expected.descriptor.size)
            add_once(verdict.problems, fmt::format("it has {} bytes, its descriptor says {}", facts.stored_size,
                                                   expected.descriptor.size));
        compare_diff_id(facts, expected, verdict);
        if (expected.kind != LayerKind::file_system)
            continue;
        const std::optional<Compression> said = said_compression(expected.descriptor.media_type);
        if (said && facts.compression && said != facts.compression)
            add_once(verdict.problems, fmt::format("it is compressed with {}, and its media type says {}",
                                                   to_string(*facts.compression), to_string(*said)));
    }
    return verdict;
}

} // namespace vm2oci
