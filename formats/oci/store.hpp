// Where images come from and go to. Content-addressed; an unfinished blob and a finished one are different types.
#pragma once

#include "formats/base/progress.hpp"
#include "formats/base/sink.hpp"
#include "formats/block/block_device.hpp"
#include "formats/oci/descriptor.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace vm2oci {

// A blob that is being written. Dropped uncommitted, it leaves nothing behind.
class BlobWriter : public ByteSink {
  public:
    // Makes the blob durable and visible under its digest. If a blob of that digest exists, that one stays.
    // The writer must not be used afterwards.
    virtual BlobIdentity commit() = 0;
};

// What a destination can do, as data, so that nobody asks which destination it is.
struct DestinationTraits {
    bool stores_blobs = true;        // false: null:, which computes and forgets
    bool one_blob_at_a_time = false; // blobs written side by side cost a detour, and their order shows
    std::uint64_t max_manifest_bytes = 4ull * 1024 * 1024;
};

// An image under a tag of its own, at the same place as the one that a reference names.
struct TaggedImage {
    std::string tag;
    Descriptor top;
};

class ImageDestination {
  public:
    virtual ~ImageDestination() = default;
    virtual DestinationTraits traits() const = 0;
    virtual bool has_blob(const Descriptor& blob) = 0;
    // Several may be open at once, from several threads. `expected` lets a registry check or mount before upload.
    virtual std::unique_ptr<BlobWriter> begin_blob(const std::optional<Descriptor>& expected = std::nullopt) = 0;
    // Stores a blob that can be read again, for destinations that do that better than begin_blob() (a registry mounts,
    // resumes or starts over). False: not done, use begin_blob(). The content has been verified by the caller.
    virtual bool put_stored_blob(const Descriptor& /*blob*/, const BlockDevice& /*content*/,
                                 const OperationContext& /*operation*/) {
        return false;
    }
    // Stores a manifest or index by digest; its blobs must be there already.
    virtual Descriptor put_manifest(const std::string& bytes, const std::string& media_type) = 0;
    // A committed blob or manifest as it was stored, before publish(). Null: this destination cannot read it.
    virtual std::shared_ptr<const BlockDevice> open_written(const Descriptor& /*blob*/) { return nullptr; }
    // Makes `top` what the destination's reference names. The last step: until it returns, readers see the old image.
    // What else the destination holds stays.
    virtual void publish(const Descriptor& top) = 0;
    // The same, with `others` under tags of their own: at one moment where the destination can, else the others first
    // and what the reference names last. Error{unsupported} where there is no second tag.
    virtual void publish_together(const Descriptor& top, const std::vector<TaggedImage>& others);
};

// What is particular about a source, as data.
struct SourceTraits {
    bool blobs_are_remote = false; // to read a blob twice costs the network twice
};

class ImageSource {
  public:
    virtual ~ImageSource() = default;
    virtual SourceTraits traits() const { return {}; }
    // What the reference names: a manifest or an index. Error{not_found} lists the tags that exist.
    virtual Descriptor resolve() = 0;
    // All images of the store, where the reference names none of them: the entries of a layout's index.
    virtual std::vector<Descriptor> images() { return {resolve()}; }
    // The bytes of a manifest or index, digest and size checked, at most 4 MiB.
    virtual std::string read_manifest(const Descriptor& manifest) = 0;
    // Random access to a blob's stored bytes. extent_at() says data. Content is not checked against the digest.
    virtual std::shared_ptr<const BlockDevice> open_blob(const Descriptor& blob) = 0;
    // As open_blob(), for readers that know which parts they want: every read is one request for just those bytes.
    // Error{unsupported}, when it is read, if the store gives whole blobs only.
    virtual std::shared_ptr<const BlockDevice> open_parts(const Descriptor& blob) { return open_blob(blob); }
    // Writes the whole blob to `out` in order, for sources that do that better than open_blob() (a registry answers one
    // request). False: nothing was written, use open_blob(). Error{corrupt}, after the last byte, if size or digest
    // differ.
    virtual bool stream_blob(const Descriptor& /*blob*/, ByteSink& /*out*/, const OperationContext& /*operation*/) {
        return false;
    }
};

} // namespace vm2oci
