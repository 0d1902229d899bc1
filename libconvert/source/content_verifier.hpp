// Holds the layers that are read against what manifest and configuration say of them: size, digest, diff_id.
#pragma once

#include "formats/base/progress.hpp"
#include "formats/codec/layer_content.hpp"
#include "formats/oci/image.hpp"
#include "formats/oci/store.hpp"
#include "libconvert/source/image_content.hpp"
#include "libconvert/source/proven_layers.hpp"
#include "libconvert/source/source_verifier.hpp"

#include <map>
#include <memory>
#include <optional>
#include <string_view>

namespace vm2oci {

// Everything is hashed on its way to whoever reads it; what is left is read by finish(). Not thread-safe itself; what
// open() returns is.
class ContentVerifier final : public SourceVerifier {
  public:
    // `config`: nullopt for artifacts, whose layers have no diff_id. Error{corrupt}: another number of diff_ids than of
    // layers. `known`: of these layers only the stored bytes are hashed; what else is proven is kept there.
    ContentVerifier(const ImageManifest& manifest, const std::optional<ImageConfig>& config,
                    ProvenLayers known = ProvenLayers({}));
    ~ContentVerifier() override;

    // The content of a layer of this image, watched; asked again, the same object. Error{corrupt} if its size is not
    // what the manifest says, or as opening has it. The result may outlive this object.
    std::shared_ptr<const LayerContent> open(ImageSource& source, const Descriptor& layer,
                                             const OperationContext& operation);

    // Before anything that was made of the content is published: Error{corrupt} if one of the opened layers is not what
    // its digest or diff_id says. They are not watched any longer, and open() goes on handing out what was proven.
    void finish(const OperationContext& operation) override;

  private:
    struct Watched;

    ProvenLayers known_;
    std::map<Digest, std::optional<Digest>> diff_ids_; // by the layer's digest
    std::map<Digest, std::unique_ptr<Watched>> opened_;
};

// A layer's stored bytes. Error{corrupt}: the store has another number of them than the manifest says.
std::shared_ptr<const BlockDevice> open_sized_blob(ImageSource& source, const Descriptor& layer);

// Opens a layer's content, held against the table of contents that its annotations name, frame by frame as it is read.
std::shared_ptr<const LayerContent> open_layer_of(const std::shared_ptr<const BlockDevice>& blob,
                                                  const Descriptor& layer, const OperationContext& operation);

// Reads all layers once, for readers that need to know before they begin. Error{corrupt} as finish(). What is opened of
// `image` afterwards is what was read here, whatever the store would answer by then.
void verify_content(ImageSource& source, ImageContent& image, const OperationContext& operation);

// What is certain of content that is read in parts.
enum class ContentTrust {
    verified,     // every layer was read whole and is what its digest says
    proven_parts, // tables of contents, whose digests the manifest names, prove the contents of files as they are read
    not_verified, // whoever stores the image may have put something else in its place
};
std::string_view to_string(ContentTrust trust); // "verified", "proven-parts", "not-verified"
std::string_view describe(ContentTrust trust);  // for people

// Without reading layers whole. Error{corrupt}: a table of contents is not what the manifest says.
ContentTrust trust_in_parts(ImageSource& source, const ImageContent& image);

} // namespace vm2oci
