// A delta: of an image only what another one lacks, as an artifact that every store carries.
//
// A manifest of the artifact type below. Its layers are files: blobs of the image as they are, manifests among them,
// and recipes, which make a blob of ranges of the base's layers and of bytes of their own. A recipe is
//
//   "vm2oci delta 1\n" LENGTH "\n" JSON BYTES
//
// LENGTH in decimal digits is that of the JSON, {"size": N, "steps": [[SIZE, "sha256:…", OFFSET] | [SIZE], …]}: SIZE
// bytes of a layer of the base, or the next ones of BYTES. Nothing of it is believed: what comes of it has the digest
// that the image's manifest names, or is refused.
#pragma once

#include "formats/base/progress.hpp"
#include "formats/oci/store.hpp"
#include "libconvert/copy/earlier_image.hpp"

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

namespace vm2oci {

inline constexpr const char* kDeltaArtifactType = "application/vnd.vm2oci.delta.v1";

// The image that a delta is against. Reads what its store gives as long as the source lives.
class DeltaBase {
  public:
    // Error{unsupported} if the store gives no blobs that can be read from the middle.
    explicit DeltaBase(std::unique_ptr<ImageSource> source);

    const Descriptor& top() const { return top_; }
    const EarlierParts& parts() const { return parts_; }
    // A layer by its digest; null: the base has none of it.
    std::shared_ptr<const BlockDevice> layer(const Digest& digest) const;
    const Digest& digest_of(const BlockDevice& layer) const;

  private:
    std::unique_ptr<ImageSource> source_;
    Descriptor top_;
    EarlierParts parts_;
    std::map<Digest, std::shared_ptr<const BlockDevice>> layers_;
};

// What is written to it arrives at `inner` as a delta.
class DeltaDestination final : public ImageDestination {
  public:
    DeltaDestination(std::unique_ptr<ImageDestination> inner, std::shared_ptr<const DeltaBase> base,
                     OperationContext operation);
    ~DeltaDestination() override;

    DestinationTraits traits() const override { return inner_->traits(); }
    bool has_blob(const Descriptor& blob) override;
    std::unique_ptr<BlobWriter> begin_blob(const std::optional<Descriptor>& expected) override;
    Descriptor put_manifest(const std::string& bytes, const std::string& media_type) override;
    std::shared_ptr<const BlockDevice> open_written(const Descriptor& blob) override;
    void publish(const Descriptor& top) override;
    void publish_together(const Descriptor& top, const std::vector<TaggedImage>& others) override;

  private:
    class Writer;
    void keep(const BlobIdentity& blob, std::shared_ptr<const BlockDevice> content);
    Descriptor store(std::span<const std::byte> head, const std::vector<std::shared_ptr<const BlockDevice>>& pieces);
    Descriptor delta_of(const Descriptor& top);

    std::unique_ptr<ImageDestination> inner_;
    std::shared_ptr<const DeltaBase> base_;
    OperationContext operation_;
    std::mutex mutex_;                                             // guards what follows
    std::map<Digest, std::shared_ptr<const BlockDevice>> written_; // blobs of the image, as they are
    std::vector<Descriptor> files_;                                // of the delta
};

// Whether `top` of that store is a delta. Reads the manifest.
bool is_delta(ImageSource& source, const Descriptor& top);

// The digest of what the delta `top` makes of its base; nullopt: it is none. Error{corrupt} for a delta that is broken.
std::optional<Digest> delta_target(ImageSource& source, const Descriptor& top);

// The image that a delta makes of its base. Error{not_found}, when a blob is opened, if the base lacks a layer that the
// delta needs, Error{corrupt} for a delta that is broken.
std::unique_ptr<ImageSource> open_delta(std::unique_ptr<ImageSource> source, std::shared_ptr<const DeltaBase> base);

} // namespace vm2oci
