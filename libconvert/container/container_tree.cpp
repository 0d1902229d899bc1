#include "libconvert/container/container_tree.hpp"

#include "formats/base/checked.hpp"
#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <unordered_map>
#include <utility>

namespace vm2oci {
namespace {

constexpr std::string_view kWhiteout = ".wh.";
constexpr std::string_view kOpaque = ".wh..wh..opq";
constexpr std::uint64_t kUsageBlock = 4096;

std::uint32_t owner_number(std::uint64_t number, const TarMember& member) {
    if (number > std::numeric_limits<std::uint32_t>::max())
        fail(ErrorKind::unsupported,
             fmt::format("{} is owned by {}, which no file system stores", quote_untrusted(member.path), number));
    return static_cast<std::uint32_t>(number);
}

FileType file_type(const TarMember& member) {
    switch (member.type) {
    case TarType::regular:
        return FileType::regular;
    case TarType::directory:
        return FileType::directory;
    case TarType::symlink:
        return FileType::symlink;
    case TarType::character_device:
        return FileType::character_device;
    case TarType::block_device:
        return FileType::block_device;
    case TarType::fifo:
        return FileType::fifo;
    case TarType::hard_link:
    case TarType::other:
        break;
    }
    fail(ErrorKind::unsupported,
         quote_untrusted(member.path) + " is of a type that container runtimes do not unpack either");
}

// The next part of a path, taken from its front; empty: none is left.
std::string_view take_part(std::string_view& path) {
    path.remove_prefix(std::min(path.find_first_not_of('/'), path.size()));
    const std::string_view part = path.substr(0, path.find('/'));
    path.remove_prefix(part.size());
    return part;
}

} // namespace

struct ContainerTree::Rare {
    std::string link_target;
    std::vector<ExtendedAttribute> attributes;
    std::shared_ptr<const std::vector<TarExtent>> extents;
};

struct ContainerTree::Folder {
    std::map<std::string, Name, std::less<>> names;
    std::uint32_t cleared = 0; // the last layer after whose marks nothing lower is left here
};

struct ContainerTree::Node {
    FileType type = FileType::directory;
    std::uint16_t permissions = 0755;
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    std::uint32_t links = 1;
    Timestamp modified;
    std::uint32_t layer = 0;        // of the content
    std::uint64_t offset = 0;       // of the content; devices: their numbers, the major one above
    std::uint64_t size = 0;         // of the content
    std::unique_ptr<Rare> rare;     // null: none of it
    std::unique_ptr<Folder> folder; // folders only
};

ContainerTree::ContainerTree() {
    nodes_.emplace_back().folder = std::make_unique<Folder>();
}
ContainerTree::~ContainerTree() = default;
ContainerTree::ContainerTree(ContainerTree&&) noexcept = default;
ContainerTree& ContainerTree::operator=(ContainerTree&&) noexcept = default;

void ContainerTree::begin_layer() {
    ++layer_;
}

void ContainerTree::count_text(std::size_t bytes) {
    text_bytes_ += bytes;
    if (text_bytes_ > kMaxContainerTextBytes)
        fail(ErrorKind::limit, fmt::format("the names, links and attributes of the image's files have more than {} "
                                           "bytes",
                                           kMaxContainerTextBytes));
}

ContainerTree::NodeNumber ContainerTree::take_node() {
    if (free_.empty()) {
        nodes_.emplace_back();
        return static_cast<NodeNumber>(nodes_.size() - 1);
    }
    const NodeNumber number = free_.back();
    free_.pop_back();
    nodes_[number] = Node();
    return number;
}

// Without recursion: an image sets the depth.
void ContainerTree::release(NodeNumber number) {
    std::vector<NodeNumber> waiting = {number};
    while (!waiting.empty()) {
        Node& node = nodes_[waiting.back()];
        const NodeNumber current = waiting.back();
        waiting.pop_back();
        if (--node.links != 0)
            continue;
        if (node.folder)
            for (const auto& [name, child] : node.folder->names) {
                waiting.push_back(child.node);
                --names_;
            }
        node.folder.reset();
        node.rare.reset();
        free_.push_back(current);
    }
}

void ContainerTree::remove(NodeNumber folder, std::string_view name) {
    auto& names = nodes_[folder].folder->names;
    const auto found = names.find(name);
    if (found == names.end())
        return;
    const NodeNumber node = found->second.node;
    names.erase(found);
    --names_;
    release(node);
}

void ContainerTree::count_followed(const std::string& target) const {
    followed_bytes_ += target.size();
    if (followed_bytes_ > kMaxFollowedBytes)
        fail(ErrorKind::limit, "the names of the image's files lead through too many symbolic links");
}

std::optional<ContainerTree::Way> ContainerTree::walk(std::string_view path) const {
    Way way;
    way.steps.push_back({0, nullptr});
    std::string pending;
    std::string_view rest = path;
    unsigned links = 0;
    std::size_t length = 0; // of the names on the way
    const auto check_length = [&](std::string_view part) {
        length += part.size() + 1;
        if (length > kMaxTarPath)
            fail(ErrorKind::limit, quote_untrusted(path) + " leads deeper than any system can follow");
    };
    std::vector<std::size_t> lengths;
    for (std::string_view part = take_part(rest); !part.empty(); part = take_part(rest)) {
        if (part == ".")
            continue;
        if (part == "..") {
            if (!way.missing.empty())
                way.missing.pop_back();
            else if (way.steps.size() > 1)
                way.steps.pop_back();
            else
                continue;
            length -= lengths.back();
            lengths.pop_back();
            continue;
        }
        auto& names = nodes_[way.steps.back().node].folder->names;
        const auto found = way.missing.empty() ? names.find(part) : names.end();
        if (!way.missing.empty() || found == names.end()) {
            check_length(part);
            lengths.push_back(part.size() + 1);
            way.missing.emplace_back(part);
            continue;
        }
        const Node& node = nodes_[found->second.node];
        if (node.type == FileType::directory) {
            check_length(part);
            lengths.push_back(part.size() + 1);
            way.steps.push_back({found->second.node, &found->second});
            continue;
        }
        if (node.type != FileType::symlink)
            return std::nullopt;
        if (++links > kMaxContainerLinks)
            fail(ErrorKind::unsafe, quote_untrusted(path) + " leads through more symbolic links than anybody follows");
        const std::string& target = node.rare->link_target;
        count_followed(target);
        if (target.starts_with('/')) {
            way.steps.resize(1);
            length = 0;
            lengths.clear();
        }
        std::string next = target + "/";
        next.append(rest);
        pending = std::move(next);
        rest = pending;
    }
    return way;
}

ContainerTree::Name& ContainerTree::put_name(NodeNumber folder, const std::string& name, NodeNumber node) {
    if (!is_valid_file_name(name))
        fail(ErrorKind::limit, quote_untrusted(name) + " is a name that no file system stores");
    if (++names_ > kMaxContainerNames)
        fail(ErrorKind::limit, fmt::format("the image has more than {} files", kMaxContainerNames));
    count_text(name.size());
    return nodes_[folder].folder->names.emplace(name, Name{node, layer_}).first->second;
}

void ContainerTree::make_missing(Way& way) {
    for (const std::string& name : way.missing) {
        const NodeNumber number = take_node();
        nodes_[number].folder = std::make_unique<Folder>();
        nodes_[number].folder->cleared = layer_;
        Name& placed = put_name(way.steps.back().node, name, number);
        way.steps.push_back({number, &placed});
    }
    way.missing.clear();
}

void ContainerTree::remove_lower(NodeNumber folder) {
    std::vector<NodeNumber> waiting = {folder};
    while (!waiting.empty()) {
        const NodeNumber current = waiting.back();
        waiting.pop_back();
        // Once in a layer: what comes afterwards is of this layer.
        if (nodes_[current].folder->cleared == layer_)
            continue;
        nodes_[current].folder->cleared = layer_;
        auto& names = nodes_[current].folder->names;
        for (auto at = names.begin(); at != names.end();) {
            const NodeNumber node = at->second.node;
            if (at->second.layer == layer_) {
                if (nodes_[node].folder)
                    waiting.push_back(node);
                ++at;
                continue;
            }
            at = names.erase(at);
            --names_;
            release(node);
        }
    }
}

void ContainerTree::apply_whiteout(const std::string& parent, std::string_view hidden, std::string_view path) {
    if (hidden.empty() || hidden == "." || hidden == "..")
        fail(ErrorKind::unsafe, quote_untrusted(path) + " is a whiteout of a folder by a name that is none");
    const std::optional<Way> way = walk(parent);
    if (!way || !way->missing.empty())
        return; // what it hides is not there
    const NodeNumber folder = way->steps.back().node;
    if (kOpaque.substr(kWhiteout.size()) == hidden)
        return remove_lower(folder);
    const auto& names = nodes_[folder].folder->names;
    const auto found = names.find(hidden);
    if (found == names.end())
        return;
    if (found->second.layer != layer_)
        remove(folder, hidden);
    else if (nodes_[found->second.node].folder)
        remove_lower(found->second.node);
}

void ContainerTree::apply_link(const TarMember& member, NodeNumber folder, const std::string& name) {
    const std::optional<std::string> target = clean_path(member.link_target);
    if (!target)
        fail(ErrorKind::unsafe, fmt::format("{} is a hard link to {}, which leads out of the root",
                                            quote_untrusted(member.path), quote_untrusted(member.link_target)));
    const std::size_t slash = target->rfind('/');
    const std::optional<Way> way = walk(slash == std::string::npos ? "" : target->substr(0, slash));
    const std::string last = target->substr(slash == std::string::npos ? 0 : slash + 1);
    const Name* found = nullptr;
    if (way && way->missing.empty()) {
        const auto& names = nodes_[way->steps.back().node].folder->names;
        const auto at = names.find(last);
        found = at == names.end() ? nullptr : &at->second;
    }
    if (found == nullptr || nodes_[found->node].folder)
        fail(ErrorKind::corrupt,
             fmt::format("{} is a hard link to {}, which is {}", quote_untrusted(member.path),
                         quote_untrusted(member.link_target), found == nullptr ? "not there" : "a folder"));
    const NodeNumber node = found->node;
    ++nodes_[node].links;
    put_name(folder, name, node);
}

void ContainerTree::set_attributes(NodeNumber number, const TarMember& member) {
    Node& node = nodes_[number];
    node.type = file_type(member);
    node.permissions = static_cast<std::uint16_t>(node.type == FileType::symlink ? 0777 : member.permissions);
    node.uid = owner_number(member.uid, member);
    node.gid = owner_number(member.gid, member);
    node.modified = member.modified;
    node.rare.reset();
    std::size_t text = member.link_target.size();
    for (const ExtendedAttribute& attribute : member.attributes)
        text += attribute.name.size() + attribute.value.size();
    count_text(text);
    if (text != 0 || member.extents)
        node.rare = std::make_unique<Rare>(Rare{member.link_target, member.attributes, member.extents});
    if (node.type == FileType::regular) {
        if (member.content_size > kMaxContainerFile)
            fail(ErrorKind::limit, quote_untrusted(member.path) + " is larger than a file can be");
        node.layer = layer_ - 1;
        node.offset = member.content_offset;
        node.size = member.content_size;
    } else if (node.type == FileType::character_device || node.type == FileType::block_device) {
        node.offset = std::uint64_t{member.device_major} << 32 | member.device_minor;
    }
    if (node.type == FileType::symlink && member.link_target.empty())
        fail(ErrorKind::corrupt, quote_untrusted(member.path) + " is a symbolic link to nothing");
}

void ContainerTree::add(const TarMember& member) {
    if (member.path.empty()) {
        if (member.type != TarType::directory)
            fail(ErrorKind::unsafe, "a layer makes the root of the image something else than a folder");
        return set_attributes(0, member);
    }
    const std::size_t slash = member.path.rfind('/');
    const std::string parent = slash == std::string::npos ? "" : member.path.substr(0, slash);
    const std::string name = member.path.substr(slash == std::string::npos ? 0 : slash + 1);
    if (name.starts_with(kWhiteout))
        return apply_whiteout(parent, std::string_view(name).substr(kWhiteout.size()), member.path);

    std::optional<Way> way = walk(parent);
    if (!way)
        fail(ErrorKind::corrupt, quote_untrusted(member.path) + " lies below something that is no folder");
    make_missing(*way);
    const NodeNumber folder = way->steps.back().node;
    const auto& names = nodes_[folder].folder->names;
    const auto found = names.find(name);
    const bool stays = found != names.end() && member.type == TarType::directory && nodes_[found->second.node].folder;
    if (!stays)
        remove(folder, name);
    if (stays) {
        set_attributes(found->second.node, member);
        nodes_[folder].folder->names.find(name)->second.layer = layer_;
    } else if (member.type == TarType::hard_link) {
        apply_link(member, folder, name);
    } else {
        const NodeNumber number = take_node();
        set_attributes(number, member);
        if (member.type == TarType::directory) {
            nodes_[number].folder = std::make_unique<Folder>();
            nodes_[number].folder->cleared = layer_;
        }
        put_name(folder, name, number);
    }
    for (const Step& step : way->steps)
        if (step.name != nullptr)
            step.name->layer = layer_;
}

ContainerFile ContainerTree::file_of(const Node& node) const {
    ContainerFile file;
    file.status.type = node.type;
    file.status.permissions = node.permissions;
    file.status.uid = node.uid;
    file.status.gid = node.gid;
    file.status.modified = node.modified;
    file.status.link_count = node.links;
    if (node.rare) {
        file.link_target = node.rare->link_target;
        file.attributes = node.rare->attributes;
    }
    if (node.type == FileType::regular) {
        file.status.size = node.size;
        file.content = ContainerContent{node.layer, node.offset, node.size, node.rare ? node.rare->extents : nullptr};
    } else if (node.type == FileType::symlink) {
        file.status.size = file.link_target.size();
    } else if (node.type == FileType::character_device || node.type == FileType::block_device) {
        file.status.device_major = static_cast<std::uint32_t>(node.offset >> 32);
        file.status.device_minor = static_cast<std::uint32_t>(node.offset);
    }
    return file;
}

std::optional<ContainerFile> ContainerTree::find(std::string_view path, LastLink last_link) const {
    std::string wanted(path);
    for (unsigned links = 0; links <= kMaxContainerLinks; ++links) {
        const std::size_t slash = wanted.rfind('/');
        const std::string last = wanted.substr(slash == std::string::npos ? 0 : slash + 1);
        const std::string parent = slash == std::string::npos ? "" : wanted.substr(0, slash);
        const bool is_folder = last.empty() || last == "." || last == "..";
        const std::optional<Way> way = walk(is_folder ? wanted : parent);
        if (!way || !way->missing.empty())
            return std::nullopt;
        const NodeNumber folder = way->steps.back().node;
        if (is_folder)
            return file_of(nodes_[folder]);
        const auto& names = nodes_[folder].folder->names;
        const auto found = names.find(last);
        if (found == names.end())
            return std::nullopt;
        const Node& node = nodes_[found->second.node];
        if (node.type != FileType::symlink || last_link == LastLink::keep)
            return file_of(node);
        const std::string& target = node.rare->link_target;
        wanted = target.starts_with('/') ? target : fmt::format("{}/{}", parent, target);
        if (wanted.size() > 2 * kMaxTarPath)
            return std::nullopt;
    }
    return std::nullopt;
}

ContainerFile ContainerTree::file(NodeNumber node) const {
    return file_of(nodes_.at(node));
}

std::vector<std::pair<std::string, ContainerTree::NodeNumber>> ContainerTree::children(NodeNumber folder) const {
    std::vector<std::pair<std::string, NodeNumber>> found;
    if (const auto& listed = nodes_.at(folder).folder)
        for (const auto& [name, place] : listed->names)
            found.emplace_back(name, place.node);
    return found;
}

std::optional<ContainerTree::NodeNumber> ContainerTree::child(NodeNumber folder, std::string_view name) const {
    const auto& listed = nodes_.at(folder).folder;
    if (!listed)
        return std::nullopt;
    const auto found = listed->names.find(name);
    return found == listed->names.end() ? std::nullopt : std::optional(found->second.node);
}

ContainerUsage ContainerTree::usage() const {
    ContainerUsage usage;
    for (const Node& node : nodes_) {
        if (node.links == 0)
            continue;
        ++usage.files;
        if (node.type == FileType::regular) {
            const std::uint64_t stored =
                node.rare && node.rare->extents ? stored_bytes(*node.rare->extents) : node.size;
            const std::uint64_t pieces = node.rare && node.rare->extents ? node.rare->extents->size() : 1;
            usage.content_bytes =
                checked_add(usage.content_bytes,
                            align_up(checked_add(stored, pieces * kUsageBlock, "the size of the files"), kUsageBlock),
                            "the size of the files");
        }
        if (node.folder) {
            constexpr std::uint64_t entry = 12; // what a name costs beside its letters
            usage.name_bytes += kUsageBlock;
            for (const auto& [name, child] : node.folder->names)
                usage.name_bytes += name.size() + entry;
        }
        if (node.rare)
            usage.attribute_bytes +=
                node.rare->attributes.empty() && node.rare->link_target.size() < 60 ? 0 : kUsageBlock;
    }
    return usage;
}

void ContainerTree::for_each(const Visit& visit) const {
    struct Open {
        const Folder* folder;
        std::map<std::string, Name, std::less<>>::const_iterator next;
        std::size_t path_size; // of the folder itself
    };
    std::unordered_map<NodeNumber, std::string> first_paths; // of files with several names
    Entry entry;
    const auto fill = [&](const Node& node) {
        ContainerFile file = file_of(node);
        entry.status = file.status;
        entry.link_target = std::move(file.link_target);
        entry.attributes = std::move(file.attributes);
        entry.hard_link_to.reset();
        return std::move(file.content);
    };
    visit(entry, fill(nodes_.front()));
    std::vector<Open> open = {{nodes_.front().folder.get(), nodes_.front().folder->names.begin(), 0}};
    while (!open.empty()) {
        Open& current = open.back();
        entry.path.resize(current.path_size);
        if (current.next == current.folder->names.end()) {
            open.pop_back();
            continue;
        }
        const auto& [name, place] = *current.next++;
        entry.path.append(current.path_size == 0 ? "" : "/").append(name);
        const Node& node = nodes_[place.node];
        std::optional<ContainerContent> content = fill(node);
        if (node.links > 1 && !node.folder) {
            const auto [first, is_first] = first_paths.try_emplace(place.node, entry.path);
            if (!is_first) {
                entry.hard_link_to = first->second;
                content.reset();
            }
        }
        visit(entry, content);
        if (node.folder)
            open.push_back({node.folder.get(), node.folder->names.begin(), entry.path.size()});
    }
}

} // namespace vm2oci
