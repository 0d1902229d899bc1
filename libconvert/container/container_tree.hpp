// The file tree of a container image, in memory: what unpacking its layers one over the other into an empty folder
// leaves, as `umoci unpack` does it. Contents of files stay in their layers.
//
// Nothing here touches a file system. Names are resolved inside of the tree alone: symbolic links on the way are
// followed as if the tree were "/", ".." stays below it. A member replaces what its name stood for, unless both are
// folders; then the folder's attributes are replaced. Whiteouts (".wh.NAME") and opaque marks (".wh..wh..opq") remove
// what lower layers left, wherever they stand in theirs. Folders that no member stands for are made, with 0755, owned
// by root, from 1970.
#pragma once

#include "formats/tree/entry.hpp"
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

inline constexpr std::size_t kMaxContainerNames = 1'000'000; // more than any image in use holds; some 250 bytes each
inline constexpr std::size_t kMaxContainerTextBytes = 256 << 20; // of names, link targets and attributes
inline constexpr unsigned kMaxContainerLinks = 255;              // on one way; as in Go's securejoin, which umoci takes
inline constexpr std::size_t kMaxFollowedBytes = 256 << 20;      // of link targets on all ways; bounds the time
inline constexpr std::uint64_t kMaxContainerFile = std::uint64_t{16} << 40; // what ext4 holds, with holes

// Where the content of a file lies.
struct ContainerContent {
    std::size_t layer = 0;
    std::uint64_t offset = 0; // in the layer's content
    std::uint64_t size = 0;
    std::shared_ptr<const std::vector<TarExtent>> extents{}; // as TarMember has them
};

struct ContainerFile {
    FileStatus status;
    std::string link_target;
    std::vector<ExtendedAttribute> attributes;
    std::optional<ContainerContent> content; // of regular files
};

// What a file system must have room for.
struct ContainerUsage {
    std::uint64_t files = 0;         // of all types, each once
    std::uint64_t content_bytes = 0; // in whole blocks of 4 KiB, without holes
    std::uint64_t name_bytes = 0;    // in folders
    std::uint64_t attribute_bytes = 0;
};

enum class LastLink { follow, keep };

class ContainerTree {
  public:
    ContainerTree();
    ~ContainerTree();
    ContainerTree(ContainerTree&&) noexcept;
    ContainerTree& operator=(ContainerTree&&) noexcept;

    // The members of the next layer follow.
    void begin_layer();
    // Error{corrupt}: below something that is no folder, or a hard link to nothing or to a folder. Error{unsafe}: links
    // that go in circles, a root that is no folder, a whiteout of "." or "..". Error{unsupported}: a type that nobody
    // unpacks. Error{limit}.
    void add(const TarMember& member);

    // The file at the end of a path, links followed; nullopt: there is none.
    std::optional<ContainerFile> find(std::string_view path, LastLink last = LastLink::follow) const;
    ContainerUsage usage() const;
    // By nodes, of which several names may have the same; the root is 0.
    using NodeNumber = std::uint32_t;
    ContainerFile file(NodeNumber node) const;
    std::vector<std::pair<std::string, NodeNumber>> children(NodeNumber folder) const; // in byte order
    std::optional<NodeNumber> child(NodeNumber folder, std::string_view name) const;
    // In the order that TreeSink asks for.
    using Visit = std::function<void(const Entry& entry, const std::optional<ContainerContent>& content)>;
    void for_each(const Visit& visit) const;

  private:
    struct Rare;
    struct Node;
    struct Name {
        NodeNumber node = 0;
        std::uint32_t layer = 0; // the last that had a member of that name, or below it
    };
    struct Folder;
    // From the root, which has no name, to a folder.
    struct Step {
        NodeNumber node;
        Name* name;
    };
    struct Way {
        std::vector<Step> steps;
        std::vector<std::string> missing; // folders behind the last step that are not there
    };

    // Error{unsafe}, Error{limit}. nullopt: something on the way is no folder.
    std::optional<Way> walk(std::string_view path) const;
    // Error{limit}: targets of links were followed for too long, in all.
    void count_followed(const std::string& target) const;
    void make_missing(Way& way);
    NodeNumber take_node();
    void release(NodeNumber number);
    void remove(NodeNumber folder, std::string_view name);
    // What lower layers left in a folder, and in those below it that this layer has members in.
    void remove_lower(NodeNumber folder);
    void apply_whiteout(const std::string& parent, std::string_view hidden, std::string_view path);
    void apply_link(const TarMember& member, NodeNumber folder, const std::string& name);
    void set_attributes(NodeNumber number, const TarMember& member);
    void count_text(std::size_t bytes);
    Name& put_name(NodeNumber folder, const std::string& name, NodeNumber node);
    ContainerFile file_of(const Node& node) const;

    std::vector<Node> nodes_; // the root first
    std::vector<NodeNumber> free_;
    std::uint32_t layer_ = 0;
    std::size_t names_ = 0;
    std::size_t text_bytes_ = 0;
    mutable std::size_t followed_bytes_ = 0;
};

} // namespace vm2oci
