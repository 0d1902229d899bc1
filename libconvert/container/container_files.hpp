// The files of a container image: its tree, and their contents out of its layers.
#pragma once

#include "formats/base/progress.hpp"
#include "formats/codec/layer_content.hpp"
#include "formats/oci/store.hpp"
#include "libconvert/container/container_tree.hpp"
#include "libconvert/source/image_content.hpp"

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci {

// Whether an image is an ordinary container: it has a configuration, it is no bundle, and there is not one file in
// /disk, as in an image for virtual machines. Reads the headers of all layers.
bool is_container_image(ImageSource& source, const ImageContent& image, const OperationContext& operation);

// Not thread-safe. What layers cannot be read in place are decoded once, into scratch files without a name.
class ContainerFiles {
  public:
    // `source` and `operation` outlive this object. Content is watched by image.verifier, which must be there: call its
    // finish() before anything that was made of it is published. Error{corrupt}: a layer ends in the middle of a file.
    // Errors of ContainerTree::add(), with the layer in front.
    ContainerFiles(ImageSource& source, const ImageContent& image, const OperationContext& operation);

    // Another layer on top of the image's: a tar that is not compressed, made by whoever calls.
    void add_layer(std::shared_ptr<const BlockDevice> tar);

    const ContainerTree& tree() const { return tree_; }
    // The whole of a regular file, links followed; nullopt: there is none. Error{limit} when larger.
    std::optional<std::string> read_file(std::string_view path, std::size_t limit) const;
    // Fills the buffer from a file's content; holes as zeros. Error{corrupt} beyond its end.
    void read_at(const ContainerContent& content, std::uint64_t offset, std::span<std::byte> buffer) const;
    void export_tree(TreeSink& sink) const;

  private:
    void read_layer(std::shared_ptr<const LayerContent> layer);

    const OperationContext& operation_;
    std::vector<std::shared_ptr<const LayerContent>> layers_;
    ContainerTree tree_;
};

} // namespace vm2oci
