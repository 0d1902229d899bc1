// An earlier version of an image, as a source of parts of the next one.
#pragma once

#include "formats/base/progress.hpp"
#include "formats/codec/earlier_frames.hpp"
#include "formats/oci/store.hpp"
#include "libconvert/copy/frame_index_cache.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace vm2oci {

// The layers of the manifest for `architecture`; with "", those of all manifests that the reference names.
std::vector<Descriptor> layers_of_image(ImageSource& source, const std::string& architecture);

// The frames of all layers that have a seek table with checksums, with what `cache` holds about them; a note says so
// if there is none. What is opened of `source` outlives it.
std::shared_ptr<const EarlierFrames> open_earlier_frames(ImageSource& source, const std::string& architecture,
                                                         const FrameIndexCache& cache,
                                                         const OperationContext& operation);

// A range of a stored layer, and what makes it known again in another one: its size, and the checksum of its content
// by the seek table or the digest by the table of contents. Two ranges of one key are not for certain the same.
struct LayerPart {
    std::uint64_t offset = 0;
    std::uint64_t size = 0;
    std::string key;
};

// In order, without overlaps; empty for a layer without tables. Reads the tables alone.
std::vector<LayerPart> parts_of_layer(const BlockDevice& layer, const Annotations& annotations);

// Parts of layers that lie at hand, by their keys.
class EarlierParts {
  public:
    // Of a layer whose tables are broken nothing is known, and what is wrong with them comes back.
    std::optional<std::string> add(const std::shared_ptr<const BlockDevice>& layer, const Annotations& annotations);
    bool empty() const { return places_.empty(); }

    struct Place {
        std::shared_ptr<const BlockDevice> layer;
        std::uint64_t offset;
    };
    std::optional<Place> find(const LayerPart& part) const;

  private:
    std::vector<std::shared_ptr<const BlockDevice>> layers_;
    std::map<std::string, std::pair<std::size_t, std::uint64_t>> places_; // layer, offset
};

std::shared_ptr<const EarlierParts> open_earlier_parts(ImageSource& source, const std::string& architecture,
                                                       const OperationContext& operation);

} // namespace vm2oci
