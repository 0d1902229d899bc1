// The files of an image as a container would see them, from the members of its layers, lowest layer first. Reads
// nothing: every command that looks into images has its answer from here, and so the same one.
//
// Within a layer the last member of a name wins, and hard links share the content of an earlier member. Whiteouts
// (".wh.NAME") and opaque marks (".wh..wh..opq") hide what lower layers have, wherever they stand in theirs.
//
// Runtimes do not agree on a member whose folder is a link or a file at that time, nor on a name that is a folder and
// something else within one layer. Such names are in doubt, with all below them: asking for them is refused.
#pragma once

#include "formats/tree/tar_reader.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vm2oci {

inline constexpr std::size_t kMaxViewedNames = 1'000'000;    // more than a full desktop installation has
inline constexpr std::size_t kMaxViewedNameBytes = 96 << 20; // of all paths; both bound the memory

struct LayeredFile {
    TarType type = TarType::regular; // hard_link: one whose target its layer does not hold
    std::uint32_t permissions = 0;
    std::uint64_t uid = 0;
    std::uint64_t gid = 0;
    std::size_t layer = 0;
    std::uint64_t content_offset = 0; // in the layer's content
    std::uint64_t content_size = 0;
    std::shared_ptr<const std::vector<TarExtent>> extents{}; // as TarMember has them
    std::string link_target;                                 // untrusted
};

// Something for which container runtimes refuse to unpack the image, wherever it lies.
struct UnpackObstacle {
    std::string text;        // as a sentence about the image; safe to print
    bool everywhere = false; // false: it depends on which runtime unpacks it
};

class LayeredView {
  public:
    LayeredView();
    ~LayeredView();
    LayeredView(LayeredView&&) noexcept;
    LayeredView& operator=(LayeredView&&) noexcept;

    // The members of the next layer follow.
    void begin_layer();
    // Error{unsafe}: a whiteout of "." or "..". Error{limit}.
    void add(const TarMember& member);

    // Null: there is no such file, or a folder that no member stands for.
    const LayeredFile* find(std::string_view path) const;
    // What lies directly in a folder ("": the root), in byte order; folders that no member stands for are among it, as
    // runtimes make them.
    std::vector<std::pair<std::string, const LayeredFile*>> children(std::string_view folder) const;
    // All, in no particular order.
    void for_each(const std::function<void(const std::string& path, const LayeredFile&)>& visit) const;

    // The first one, those for every runtime before others; null: none.
    const UnpackObstacle* obstacle() const { return obstacle_ ? &*obstacle_ : nullptr; }

    // Error{unsafe} with the cause if `path`, what is above it or anything below it is in doubt.
    void refuse_doubt(std::string_view path) const;

  private:
    struct Node;

    void count_name(std::size_t bytes);
    void doubt(const std::string& path, const std::string& cause);
    void note_obstacle(std::string text, bool everywhere);
    // `path` goes through something that is no folder; both its own name and where that leads are in doubt.
    void doubt_way(const std::string& path);
    void hide_lower(Node& node);
    void add_whiteout(const std::string& folder, std::string_view hidden);
    void add_file(const TarMember& member);
    // False: something that is no folder lies on the way, or at the end a link.
    bool leads_straight(std::string_view path) const;
    // The node of a cleaned path, made if it is not there; null: something on the way is no folder.
    Node* reach(const std::string& path);
    const Node* look_up(std::string_view path) const;
    LayeredFile file_of(const TarMember& member);

    std::unique_ptr<Node> root_;
    std::map<std::string, std::string, std::less<>> doubts_; // path to cause
    std::optional<UnpackObstacle> obstacle_;
    std::size_t layers_ = 0;
    std::size_t names_ = 0;
    std::size_t name_bytes_ = 0;
};

} // namespace vm2oci
