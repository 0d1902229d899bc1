#include "libconvert/source/content_verifier.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/base/ordered_hash.hpp"
#include "formats/base/sha256.hpp"
#include "formats/codec/compression.hpp"
#include "formats/codec/seek_table.hpp"
#include "formats/oci/chunked_toc.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

namespace vm2oci {
namespace {

// Hashes the stored bytes as they pass.
class WatchedBlob final : public BlockDevice {
  public:
    WatchedBlob(std::shared_ptr<const BlockDevice> blob, std::shared_ptr<OrderedHash> hash)
        : blob_(std::move(blob)), hash_(std::move(hash)) {}

    std::uint64_t size() const override { return blob_->size(); }
    void read_at(std::uint64_t offset, std::span<std::byte> buffer) const override {
        blob_->read_at(offset, buffer);
        hash_->feed(offset, buffer);
    }
    Extent extent_at(std::uint64_t offset) const override { return blob_->extent_at(offset); }

  private:
    std::shared_ptr<const BlockDevice> blob_;
    std::shared_ptr<OrderedHash> hash_;
};

class WatchedContent final : public LayerContent {
  public:
    WatchedContent(std::shared_ptr<const LayerContent> content, std::shared_ptr<OrderedHash> hash)
        : content_(std::move(content)), hash_(std::move(hash)) {}

    std::uint64_t size() const override { return content_->size(); }
    bool reads_anywhere() const override { return content_->reads_anywhere(); }
    std::size_t read_some_at(std::uint64_t offset, std::span<std::byte> buffer) const override {
        const std::size_t got = content_->read_some_at(offset, buffer);
        hash_->feed(offset, buffer.first(got));
        return got;
    }

  private:
    std::shared_ptr<const LayerContent> content_;
    std::shared_ptr<OrderedHash> hash_;
};

bool is_stored_plainly(const BlockDevice& blob) {
    std::array<std::byte, 4> beginning{};
    if (blob.size() < beginning.size())
        return true;
    blob.read_at(0, beginning);
    return detect_compression(beginning) == Compression::none;
}

[[noreturn]] void fail_layer(const Digest& layer, const std::string& why) {
    fail(ErrorKind::corrupt, fmt::format("the image's layer {} {}; get the image anew", layer.text(), why));
}

} // namespace

struct ContentVerifier::Watched {
    Descriptor layer;
    std::shared_ptr<const LayerContent> content; // as it was opened, unwatched
    std::shared_ptr<const LayerContent> watched;
    std::shared_ptr<OrderedHash> stored_hash;
    std::shared_ptr<OrderedHash> content_hash; // null: stored as it is, or without a diff_id
    bool stored_plainly = false;
    bool is_proven = false; // by finish()
};

std::shared_ptr<const BlockDevice> open_sized_blob(ImageSource& source, const Descriptor& layer) {
    std::shared_ptr<const BlockDevice> blob = source.open_blob(layer);
    if (blob->size() != layer.size)
        fail_layer(layer.digest, fmt::format("has {} bytes, and the manifest says {}", blob->size(), layer.size));
    return blob;
}

std::shared_ptr<const LayerContent> open_layer_of(const std::shared_ptr<const BlockDevice>& blob,
                                                  const Descriptor& layer, const OperationContext& operation) {
    const std::optional<LayerToc> toc = read_layer_toc(*blob, layer.annotations);
    return open_layer_content(blob, operation, {}, toc ? toc->proofs() : std::vector<FrameProof>());
}

ContentVerifier::ContentVerifier(const ImageManifest& manifest, const std::optional<ImageConfig>& config,
                                 ProvenLayers known)
    : known_(std::move(known)) {
    if (config && config->diff_ids.size() != manifest.layers.size())
        fail(ErrorKind::corrupt, fmt::format("the image has {} layers, and its configuration names {} diff_ids",
                                             manifest.layers.size(), config->diff_ids.size()));
    for (std::size_t i = 0; i < manifest.layers.size(); ++i) {
        const Digest& digest = manifest.layers[i].digest;
        const std::optional<Digest> diff_id = config ? std::optional(config->diff_ids[i]) : std::nullopt;
        const auto [entry, is_new] = diff_ids_.emplace(digest, diff_id);
        if (!is_new && entry->second != diff_id)
            fail_layer(digest, "stands twice in the manifest, with two diff_ids");
    }
}

ContentVerifier::~ContentVerifier() = default;

std::shared_ptr<const LayerContent> ContentVerifier::open(ImageSource& source, const Descriptor& layer,
                                                          const OperationContext& operation) {
    std::unique_ptr<Watched>& slot = opened_[layer.digest];
    if (slot)
        return slot->watched;
    auto watched = std::make_unique<Watched>();
    watched->layer = layer;
    const std::shared_ptr<const BlockDevice> blob = open_sized_blob(source, layer);
    watched->stored_hash = std::make_shared<OrderedHash>(
        [blob](std::uint64_t offset, std::span<std::byte> buffer) { blob->read_at(offset, buffer); });
    const auto watched_blob = std::make_shared<WatchedBlob>(blob, watched->stored_hash);
    watched->stored_plainly = is_stored_plainly(*watched_blob);
    watched->content = open_layer_of(watched_blob, layer, operation);
    watched->watched = watched->content;
    const std::optional<Digest>& diff_id = diff_ids_[layer.digest];
    if (!watched->stored_plainly && diff_id && known_.diff_id_of(layer.digest) != diff_id) {
        const std::shared_ptr<const LayerContent> content = watched->content;
        watched->content_hash =
            std::make_shared<OrderedHash>([content](std::uint64_t offset, std::span<std::byte> buffer) {
                if (content->read_some_at(offset, buffer) != buffer.size())
                    fail(ErrorKind::corrupt, "the layer ends before the end that it says");
            });
        watched->watched = std::make_shared<WatchedContent>(content, watched->content_hash);
    }
    slot = std::move(watched);
    return slot->watched;
}

void ContentVerifier::finish(const OperationContext& operation) {
    const auto before_step = [&] { operation.check_cancelled(); };
    std::vector<ProvenLayer> proven;
    for (const auto& [digest, watched] : opened_) {
        if (watched->is_proven)
            continue;
        std::optional<Digest> diff_id;
        // The content first: what it takes of the stored bytes is then hashed already.
        if (watched->content_hash)
            diff_id = Digest(as_sha256_sum(watched->content_hash->finish(watched->content->size(), before_step)));
        const Digest stored(as_sha256_sum(watched->stored_hash->finish(watched->layer.size, before_step)));
        if (stored != digest)
            fail_layer(digest, "holds other content: its digest is " + stored.text());
        if (watched->stored_plainly)
            diff_id = stored;
        const std::optional<Digest>& said = diff_ids_[digest];
        if (said && diff_id && *said != *diff_id)
            fail_layer(digest,
                       fmt::format("unpacks to {}, and the configuration says diff_id {}; container runtimes refuse it",
                                   diff_id->text(), said->text()));
        if (watched->content_hash && diff_id)
            proven.push_back({digest, *diff_id});
        watched->is_proven = true;
        watched->watched = watched->content;
        watched->content_hash.reset();
    }
    known_.keep(proven);
}

void verify_content(ImageSource& source, ImageContent& image, const OperationContext& operation) {
    image.verifier = std::make_shared<ContentVerifier>(image.parsed_manifest, image.config);
    for (const Descriptor& layer : image.parsed_manifest.layers)
        image.verifier->open(source, layer, operation);
    image.verifier->finish(operation);
}

std::string_view to_string(ContentTrust trust) {
    switch (trust) {
    case ContentTrust::verified:
        return "verified";
    case ContentTrust::proven_parts:
        return "proven-parts";
    case ContentTrust::not_verified:
        return "not-verified";
    }
    return "";
}

std::string_view describe(ContentTrust trust) {
    switch (trust) {
    case ContentTrust::verified:
        return "verified: every layer is what its digest says";
    case ContentTrust::proven_parts:
        return "read in parts, each held against the layer's table of contents";
    case ContentTrust::not_verified:
        return "not verified against its digests, for only parts are read";
    }
    return "";
}

ContentTrust trust_in_parts(ImageSource& source, const ImageContent& image) {
    const auto is_proven = [&](const Descriptor& layer) {
        const std::shared_ptr<const BlockDevice> blob = open_sized_blob(source, layer);
        return read_layer_toc(*blob, layer.annotations).has_value() && read_seek_table(*blob).has_value();
    };
    const std::vector<Descriptor>& layers = image.parsed_manifest.layers;
    return !layers.empty() && std::ranges::all_of(layers, is_proven) ? ContentTrust::proven_parts
                                                                     : ContentTrust::not_verified;
}

} // namespace vm2oci
