#include "libconvert/check/image_facts.hpp"

#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/codec/layer_content.hpp"

#include <algorithm>
#include <array>

namespace vm2oci {
namespace {

constexpr std::uint32_t kZstdMagic = 0xfd2fb528;
constexpr std::string_view kWhiteout = ".wh.";
constexpr std::string_view kOpaque = ".wh..wh..opq";

struct SplitPath {
    std::string folder; // with a trailing slash, or ""
    std::string name;
};

SplitPath split(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    if (slash == std::string::npos)
        return {"", path};
    return {path.substr(0, slash + 1), path.substr(slash + 1)};
}

// Everything below `folder` ("a/b/"; "" is the root).
void erase_below(std::map<std::string, ImageFile>& files, const std::string& folder) {
    if (folder.empty()) {
        files.clear();
        return;
    }
    const auto begin = files.lower_bound(folder);
    auto end = begin;
    while (end != files.end() && end->first.starts_with(folder))
        ++end;
    files.erase(begin, end);
}

void apply_member(std::map<std::string, ImageFile>& files, const TarMember& member) {
    if (member.path.empty())
        return;
    const SplitPath parts = split(member.path);
    if (parts.name == kOpaque) {
        erase_below(files, parts.folder);
    } else if (parts.name.starts_with(kWhiteout)) {
        const std::string hidden = parts.folder + parts.name.substr(kWhiteout.size());
        files.erase(hidden);
        erase_below(files, hidden + "/");
    } else {
        // A folder over a folder changes its attributes only; anything else replaces all that was there.
        if (member.type != TarType::directory)
            erase_below(files, member.path + "/");
        files[member.path] = {member.type, member.permissions, member.uid, member.gid, member.content_size};
    }
    if (files.size() > kMaxCheckedFiles)
        fail(ErrorKind::limit, "the image holds more files than are checked");
}

LayerHead read_head(const BlockDevice& blob) {
    std::array<std::byte, 64> buffer{};
    const std::size_t length = static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), blob.size()));
    const std::span<std::byte> head(buffer.data(), length);
    blob.read_at(0, head);
    if (length >= 4 && load_le<std::uint32_t>(head.data()) == kZstdMagic)
        return {"zstd", first_zstd_block_size(head)};
    if (length >= 2 && head[0] == std::byte{0x1f} && head[1] == std::byte{0x8b})
        return {"gzip", std::nullopt};
    return {"none", std::nullopt};
}

std::optional<DiskFindings> examine_only_disk(ImageSource& source, const ImageContent& content,
                                              const OperationContext& operation) {
    try {
        const DiskInImage disk = find_disk(source, content, operation);
        DiskSource named;
        named.path = escape_untrusted(disk.path);
        return examine_disk(disk.bytes, named);
    } catch (const Error& error) {
        // None, several, or no regular file: the list of files says it better.
        if (error.kind() == ErrorKind::not_found || error.kind() == ErrorKind::unsupported ||
            error.kind() == ErrorKind::unsafe)
            return std::nullopt;
        throw;
    }
}

} // namespace

std::optional<std::uint64_t> first_zstd_block_size(std::span<const std::byte> head) {
    if (head.size() < 5 || load_le<std::uint32_t>(head.data()) != kZstdMagic)
        return std::nullopt;
    const auto descriptor = std::to_integer<unsigned>(head[4]);
    const bool single_segment = (descriptor & 0x20U) != 0;
    constexpr std::array<std::size_t, 4> dictionary_bytes = {0, 1, 2, 4};
    constexpr std::array<std::size_t, 4> content_size_bytes = {0, 2, 4, 8};
    const unsigned size_flag = descriptor >> 6;
    std::size_t at = 5;
    at += single_segment ? 0 : 1; // the window descriptor
    at += dictionary_bytes[descriptor & 3U];
    at += size_flag == 0 && single_segment ? 1 : content_size_bytes[size_flag];
    if (head.size() < at + 3)
        return std::nullopt;
    const unsigned header = std::to_integer<unsigned>(head[at]) | std::to_integer<unsigned>(head[at + 1]) << 8 |
                            std::to_integer<unsigned>(head[at + 2]) << 16;
    constexpr unsigned run_length_block = 1;
    return (header >> 1 & 3U) == run_length_block ? 1 : header >> 3;
}

ImageFacts gather_image_facts(ImageSource& source, const std::string& architecture, const OperationContext& operation) {
    ImageFacts facts;
    facts.content = read_image(source, architecture);
    const std::vector<Descriptor>& layers = facts.content.parsed_manifest.layers;
    for (std::size_t i = 0; i < layers.size(); ++i) {
        operation.check_cancelled();
        const auto blob = source.open_blob(layers[i]);
        facts.layers.push_back(read_head(*blob));
        const auto content = open_layer_content(blob, operation);
        TarReader reader(*content);
        while (const auto member = reader.next()) {
            apply_member(facts.files, *member);
            if (i == 0 && member->type == TarType::regular)
                facts.regular_files.push_back(member->path);
        }
    }
    facts.disk = examine_only_disk(source, facts.content, operation);
    return facts;
}

} // namespace vm2oci
