#include "libconvert/source/layered_view.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace vm2oci {
namespace {

constexpr std::string_view kWhiteout = ".wh.";
constexpr std::string_view kWhiteoutMeta = ".wh..wh."; // what aufs keeps for itself, but for the next
constexpr std::string_view kOpaque = ".wh..wh..opq";
constexpr unsigned kMaxDepth = 256; // bounds the recursion

// Removes and returns the first part.
std::string_view next_part(std::string_view& path) {
    const std::string_view part = path.substr(0, path.find('/'));
    path.remove_prefix(std::min(part.size() + 1, path.size()));
    return part;
}

// What stands for a folder of which there is only what lies in it; everybody makes it so.
const LayeredFile& implied_folder() {
    static const LayeredFile kFolder{TarType::directory, 0755, 0, 0, 0, 0, 0, {}, {}};
    return kFolder;
}

bool is_folder(const std::optional<LayeredFile>& file) {
    return !file || file->type == TarType::directory;
}

} // namespace

struct LayeredView::Node {
    std::map<std::string, Node, std::less<>> children;
    std::optional<LayeredFile> file; // none: a folder, because something lies in it
    std::size_t hidden_below = 0;    // what layers below this one (counted from 1) had here is gone
};

LayeredView::LayeredView() : root_(std::make_unique<Node>()) {}
LayeredView::~LayeredView() = default;
LayeredView::LayeredView(LayeredView&&) noexcept = default;
LayeredView& LayeredView::operator=(LayeredView&&) noexcept = default;

void LayeredView::begin_layer() {
    ++layers_;
}

void LayeredView::count_name(std::size_t bytes) {
    name_bytes_ += bytes;
    if (names_ > kMaxViewedNames || name_bytes_ > kMaxViewedNameBytes)
        fail(ErrorKind::limit, "the image holds more names of files than are looked at");
}

void LayeredView::note_obstacle(std::string text, bool everywhere) {
    if (!obstacle_ || (everywhere && !obstacle_->everywhere))
        obstacle_ = {std::move(text), everywhere};
}

void LayeredView::doubt(const std::string& path, const std::string& cause) {
    note_obstacle(cause, false);
    if (doubts_.emplace(path, cause).second) {
        ++names_;
        count_name(path.size() + cause.size());
    }
}

const LayeredView::Node* LayeredView::look_up(std::string_view path) const {
    const Node* node = root_.get();
    while (!path.empty()) {
        const auto found = node->children.find(next_part(path));
        if (found == node->children.end())
            return nullptr;
        node = &found->second;
    }
    return node;
}

LayeredView::Node* LayeredView::reach(const std::string& path) {
    Node* node = root_.get();
    std::string_view rest = path;
    for (unsigned depth = 0; !rest.empty(); ++depth) {
        if (depth == kMaxDepth)
            fail(ErrorKind::limit, fmt::format("the image holds folders more than {} deep", kMaxDepth));
        if (!is_folder(node->file))
            return nullptr;
        const std::string_view part = next_part(rest);
        auto found = node->children.find(part);
        if (found == node->children.end()) {
            ++names_;
            count_name(part.size());
            found = node->children.emplace(part, Node()).first;
        }
        node = &found->second;
    }
    return node;
}

bool LayeredView::leads_straight(std::string_view path) const {
    const Node* node = root_.get();
    while (!path.empty()) {
        if (!is_folder(node->file))
            return false;
        const auto found = node->children.find(next_part(path));
        if (found == node->children.end())
            return true;
        node = &found->second;
    }
    return !node->file || node->file->type != TarType::symlink;
}

// Runtimes unpack to the name itself, or to where the link leads, or not at all.
void LayeredView::doubt_way(const std::string& path) {
    const Node* node = root_.get();
    std::string way;
    std::string_view rest = path;
    while (is_folder(node->file)) {
        const std::string_view part = next_part(rest);
        way.append(way.empty() ? "" : "/").append(part);
        node = &node->children.find(part)->second;
    }
    const std::string cause =
        fmt::format("the member {} goes through {}, which is no folder", quote_untrusted(path), quote_untrusted(way));
    doubt(way, cause);
    if (node->file->type != TarType::symlink)
        return;
    const std::string& target = node->file->link_target;
    const std::size_t slash = way.rfind('/');
    const std::string base =
        target.starts_with('/') || slash == std::string::npos ? std::string() : way.substr(0, slash + 1);
    const std::optional<std::string> end = clean_path(base + target + "/" + std::string(rest));
    // Through another link, or out of the root, it may lead anywhere.
    doubt(end && leads_straight(*end) ? *end : std::string(), cause);
}

// Takes from `node` what lower layers have below it. Once for a layer is enough, however often it is asked for.
void LayeredView::hide_lower(Node& node) {
    if (node.hidden_below == layers_)
        return;
    node.hidden_below = layers_;
    for (auto child = node.children.begin(); child != node.children.end();) {
        hide_lower(child->second);
        const bool is_lower = child->second.file && child->second.file->layer + 1 < layers_;
        if (is_lower)
            child->second.file.reset();
        const bool is_empty = !child->second.file && child->second.children.empty();
        child = is_empty ? node.children.erase(child) : std::next(child);
    }
}

void LayeredView::add_whiteout(const std::string& folder, std::string_view hidden) {
    const std::string path = (folder.empty() ? "" : folder + "/") + std::string(hidden);
    if (hidden.empty() || hidden == "." || hidden == "..")
        fail(ErrorKind::unsafe, "the image holds a whiteout of no name, in the folder " + quote_untrusted(folder));
    Node* parent = reach(folder);
    if (parent == nullptr || !is_folder(parent->file)) {
        doubt_way(path);
        return;
    }
    const auto found = parent->children.find(hidden);
    if (found == parent->children.end())
        return;
    Node& node = found->second;
    hide_lower(node);
    if (node.file && node.file->layer + 1 < layers_)
        node.file.reset();
    if (node.file || !node.children.empty())
        doubt(path, "one layer holds it and, later on, its whiteout");
    else
        parent->children.erase(found);
}

LayeredFile LayeredView::file_of(const TarMember& member) {
    LayeredFile file{member.type,           member.permissions,  member.uid,     member.gid,        layers_ - 1,
                     member.content_offset, member.content_size, member.extents, member.link_target};
    if (member.type != TarType::hard_link)
        return file;
    const std::optional<std::string> target = clean_path(member.link_target);
    const Node* node = target && *target != member.path ? look_up(*target) : nullptr;
    const bool is_there = node != nullptr && !is_folder(node->file);
    if (!is_there || node->file->layer != file.layer) {
        // Some unpack each layer in a place of its own, where a lower one's files are not.
        note_obstacle(fmt::format("{} is a hard link to {}, which {}", quote_untrusted(member.path),
                                  quote_untrusted(member.link_target),
                                  is_there ? "lies in a lower layer" : "is not there before it"),
                      !is_there);
        return file;
    }
    file.type = node->file->type;
    file.content_offset = node->file->content_offset;
    file.content_size = node->file->content_size;
    file.extents = node->file->extents;
    file.link_target = node->file->link_target;
    return file;
}

void LayeredView::add_file(const TarMember& member) {
    const LayeredFile file = file_of(member);
    Node* node = reach(member.path);
    if (node == nullptr) {
        doubt_way(member.path);
        return;
    }
    const bool was_folder = is_folder(node->file) && (node->file || !node->children.empty());
    const bool was_there = node->file || !node->children.empty();
    const bool is_of_this_layer = node->file && node->file->layer == file.layer;
    if (was_there && is_of_this_layer && was_folder != (file.type == TarType::directory))
        doubt(member.path, "one layer holds it as a folder and as something else");
    // A folder over a folder changes its attributes only; anything else replaces all that was there.
    if (file.type != TarType::directory)
        node->children.clear();
    count_name(member.path.size() + file.link_target.size());
    node->file = file;
}

void LayeredView::add(const TarMember& member) {
    if (member.path.empty())
        return;
    const std::size_t slash = member.path.rfind('/');
    const std::string folder = slash == std::string::npos ? std::string() : member.path.substr(0, slash);
    const std::string_view name = std::string_view(member.path).substr(slash == std::string::npos ? 0 : slash + 1);
    if (name == kOpaque) {
        Node* node = reach(folder);
        if (node == nullptr || !is_folder(node->file))
            doubt_way(folder + "/");
        else
            hide_lower(*node);
    } else if (name.starts_with(kWhiteoutMeta)) {
        return;
    } else if (name.starts_with(kWhiteout)) {
        add_whiteout(folder, name.substr(kWhiteout.size()));
    } else {
        add_file(member);
    }
}

const LayeredFile* LayeredView::find(std::string_view path) const {
    const Node* node = look_up(path);
    return node == nullptr || !node->file ? nullptr : &*node->file;
}

std::vector<std::pair<std::string, const LayeredFile*>> LayeredView::children(std::string_view folder) const {
    std::vector<std::pair<std::string, const LayeredFile*>> found;
    if (const Node* node = look_up(folder))
        for (const auto& [name, child] : node->children)
            found.emplace_back((folder.empty() ? "" : std::string(folder) + "/") + name,
                               child.file ? &*child.file : &implied_folder());
    return found;
}

void LayeredView::for_each(const std::function<void(const std::string& path, const LayeredFile&)>& visit) const {
    const auto walk = [&visit](const auto& self, const std::string& folder, const Node& node) -> void {
        for (const auto& [name, child] : node.children) {
            const std::string path = folder + name;
            visit(path, child.file ? *child.file : implied_folder());
            self(self, path + "/", child);
        }
    };
    walk(walk, "", *root_);
}

void LayeredView::refuse_doubt(std::string_view path) const {
    const auto refuse = [](const auto& doubt) {
        fail(ErrorKind::unsafe, fmt::format("what the image holds as {} depends on who unpacks it: {}",
                                            quote_untrusted(doubt.first.empty() ? "/" : doubt.first), doubt.second));
    };
    for (std::size_t end = 0; end != std::string_view::npos && end <= path.size();) {
        if (const auto found = doubts_.find(path.substr(0, end)); found != doubts_.end())
            refuse(*found);
        end = end == path.size() ? std::string_view::npos : std::min(path.find('/', end + 1), path.size());
    }
    const std::string prefix = path.empty() ? std::string() : std::string(path) + "/";
    const auto below = doubts_.lower_bound(prefix);
    if (below != doubts_.end() && below->first.starts_with(prefix))
        refuse(*below);
}

} // namespace vm2oci
