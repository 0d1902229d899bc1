// Inside of the room: from the segments of logical volumes to devices. Volumes consist of parts of physical volumes and
// of other, hidden volumes.
#pragma once

#include "formats/lvm/text.hpp"
#include "formats/lvm/thin_pool.hpp"
#include "formats/lvm/volume_group.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace vm2oci::lvm {

struct Member {
    std::string uuid;
    std::shared_ptr<const BlockDevice> device; // null: missing
    std::uint64_t first_extent = 0;            // bytes
    std::uint64_t extents = 0;
    std::map<std::uint64_t, std::uint64_t> used; // extent → count
};

// Error{corrupt} if it is not there, negative or no number.
std::uint64_t require_number(const Section& section, const char* name);
bool has_flag(const Section& section, const std::string& flag);

struct ResolvedVolume {
    std::shared_ptr<const BlockDevice> device; // null: `problem` says why
    std::vector<LvmSegment> segments;          // where it lies, of a mirror in each sound copy; empty: nowhere for long
    bool is_plain = true;                      // each byte lies in one place, and the segments say where
    std::string problem;                       // safe to print
};

class VolumeResolver {
  public:
    VolumeResolver(const Section& volumes, std::map<std::string, Member>& members, std::uint64_t extent_size);

    // Checks the segments of every volume and counts what they use of the members: first, and once. Error{corrupt}.
    void survey();
    // Whether the survey knows every kind of segment: else what is used is not known.
    bool understands_all() const { return understands_all_; }
    // The volumes are known by then. Error{io}.
    const ResolvedVolume& resolve(const std::string& name);

  private:
    struct Piece {
        std::shared_ptr<const BlockDevice> device;
        std::vector<LvmSegment> segments; // offsets in the piece
        bool is_plain = true;
    };

    void survey_segment(const Section& volume, const Section& segment, const std::string& type, std::uint64_t count);
    void survey_areas(const Section& segment, const char* list, std::uint64_t count);

    const Section* find(const std::string& name) const;
    ResolvedVolume build(const std::string& name, const Section& volume);
    // Error{unsupported, corrupt}: why it cannot be read.
    Piece build_segment(const Section& segment, std::uint64_t length);
    Piece area(const Section& segment, const char* list, std::size_t index, std::uint64_t length);
    Piece whole(const std::string& name, std::uint64_t length);
    Piece striped(const Section& segment, std::uint64_t length);
    Piece mirror(const Section& segment, std::uint64_t length);
    Piece raid1(const Section& segment, std::uint64_t length);
    Piece thin(const Section& segment, std::uint64_t length);
    const ThinPool& pool(const std::string& name);

    const Section& volumes_;
    std::map<std::string, Member>& members_;
    std::uint64_t extent_size_;
    std::map<std::string, const Section*> by_name_;
    std::map<std::string, ResolvedVolume> resolved_;
    std::map<std::string, std::unique_ptr<ThinPool>> pools_;
    std::set<std::string> open_;                 // being resolved
    std::map<std::string, std::string> merging_; // origin → the snapshot that takes its place
    std::size_t segments_ = 0;
    bool understands_all_ = true;
};

} // namespace vm2oci::lvm
