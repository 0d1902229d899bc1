// OCI image layout in a folder (image-layout.md): oci-layout, index.json, blobs/sha256/HEX.
//
// Safe at any instant: blobs have no name until publish(); then they are made durable and visible, and index.json
// follows by rename under a lock, so that concurrent writers lose no tag. Modes obey the umask, so that a
// private disk stays private; the bytes of all files depend on the content alone.
#pragma once

#include "formats/oci/store.hpp"

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

namespace vm2oci {

class OciLayoutDestination final : public ImageDestination {
  public:
    // The folder is made with the first blob if it is absent, and removed again if nothing was published.
    // Error{conflict} if it holds something else than a layout, Error{corrupt} if the layout is broken. What others
    // keep inside a layout stays. `operation` stops the reading of blobs that are there.
    OciLayoutDestination(const std::filesystem::path& folder, std::optional<std::string> tag,
                         OperationContext operation = {});
    ~OciLayoutDestination() override;

    DestinationTraits traits() const override;
    // A stored blob is read, once for each digest: one that is damaged does not count, and is replaced.
    bool has_blob(const Descriptor& blob) override;
    std::unique_ptr<BlobWriter> begin_blob(const std::optional<Descriptor>& expected) override;
    Descriptor put_manifest(const std::string& bytes, const std::string& media_type) override;
    std::shared_ptr<const BlockDevice> open_written(const Descriptor& blob) override;
    // May be called again; each call publishes the blobs that were committed since.
    void publish(const Descriptor& top) override;
    void publish_together(const Descriptor& top, const std::vector<TaggedImage>& others) override;

  private:
    class State; // shared with the writers, which may outlive this object
    std::shared_ptr<State> state_;
};

class OciLayoutSource final : public ImageSource {
  public:
    // Links inside the layout are not followed: a blob is a file of the layout.
    OciLayoutSource(std::filesystem::path folder, std::optional<std::string> tag);

    Descriptor resolve() override;
    std::vector<Descriptor> images() override;
    std::string read_manifest(const Descriptor& manifest) override;
    std::shared_ptr<const BlockDevice> open_blob(const Descriptor& blob) override;

  private:
    std::string index_text() const;

    std::filesystem::path folder_;
    std::optional<std::string> tag_;
};

} // namespace vm2oci
