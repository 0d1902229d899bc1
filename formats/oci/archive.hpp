// An OCI layout in one tar file (skopeo's oci-archive).
#pragma once

#include "formats/oci/archive_members.hpp"
#include "formats/oci/store.hpp"

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

namespace vm2oci {

// The archive is written beside FILE and renamed over it by publish(): until then nothing of it has a name. The images
// that an archive of that name holds under other tags are taken over, verified, behind the new one; what no tag reaches
// any more is left out. Of several writers at once each keeps the images of those that published before it, as far as
// the file system has locks. Its bytes depend on the blobs and the order in which they were begun: fixed modes, owner
// 0:0, time 0; and, without a tag, on the name of FILE, after which containerd and podman then call the image. A blob
// that is begun alone is written once; those begun meanwhile pass through scratch files beside FILE.
class OciArchiveDestination final : public ImageDestination {
  public:
    // Error{conflict} if FILE exists and is neither empty nor a whole OCI archive: a wrong name must not cost a disk.
    // `operation` stops the reading of the archive that is there.
    OciArchiveDestination(std::filesystem::path file, std::optional<std::string> tag,
                          const OperationContext& operation = {});
    ~OciArchiveDestination() override;

    DestinationTraits traits() const override;
    // Also what the archive that is there has, if it is whole.
    bool has_blob(const Descriptor& blob) override;
    std::unique_ptr<BlobWriter> begin_blob(const std::optional<Descriptor>& expected) override;
    Descriptor put_manifest(const std::string& bytes, const std::string& media_type) override;
    std::shared_ptr<const BlockDevice> open_written(const Descriptor& blob) override;
    // Once. Error{corrupt} if a blob of another tag's image is not what its digest says.
    void publish(const Descriptor& top) override;
    void publish_together(const Descriptor& top, const std::vector<TaggedImage>& others) override;

  private:
    class State; // shared with the writers, which may outlive this object
    std::shared_ptr<State> state_;
};

// Reads blobs where they lie in the archive. An archive that is compressed as a whole is decoded into a scratch file.
class OciArchiveSource final : public ImageSource {
  public:
    // Reads the headers of all members. `operation` is used during the object's whole life (open_layer_content()).
    OciArchiveSource(const std::filesystem::path& file, std::optional<std::string> tag,
                     const OperationContext& operation);

    Descriptor resolve() override;
    std::vector<Descriptor> images() override;
    std::string read_manifest(const Descriptor& manifest) override;
    std::shared_ptr<const BlockDevice> open_blob(const Descriptor& blob) override;

  private:
    std::string index_text() const;

    std::string name_;
    std::optional<std::string> tag_;
    ArchiveMembers members_;
};

} // namespace vm2oci
