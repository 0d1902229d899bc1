#include "formats/block/open_disk.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/block/detect.hpp"
#include "formats/block/layer.hpp"
#include "formats/block/named.hpp"
#include "formats/block/open_file.hpp"
#include "formats/block/qcow2/layer.hpp"
#include "formats/block/raw_layer.hpp"
#include "formats/block/refusals.hpp"
#include "formats/block/vdi/layer.hpp"
#include "formats/block/vhd/layer.hpp"
#include "formats/block/vhdx/layer.hpp"
#include "formats/block/vmdk/extent_files.hpp"
#include "formats/block/vmdk/layer.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace vm2oci {
namespace {

// One file of a chain: the disk itself or one of its backing files.
struct ChainFile {
    DevicePtr container;
    std::string name; // for messages
    std::optional<DiskFormat> format;
    std::optional<std::filesystem::path> data_file;
    std::optional<std::filesystem::path> path; // none: it lies inside something else, and has no siblings
    ExtentFiles* package = nullptr;            // of that
};

struct ChainLayer {
    std::string name;
    DiskFormat format;
    std::unique_ptr<Layer> layer;
};

DiskFormat find_format(const ChainFile& file, DiskFindings& findings) {
    if (file.format)
        return *file.format;
    if (file.container->size() == 0)
        fail(ErrorKind::unsupported, "the file is empty; say raw:PATH if it really is a disk of no bytes");
    const Detection detection = detect(*file.container);
    if (detection.matches.size() == 1 && !detection.matches.front().is_read())
        findings.foreign_format = detection.matches.front().name;
    return require_format(detection);
}

// The one place that knows which reader is whose.
std::unique_ptr<Layer> load_format(DiskFormat format, const LayerSource& source, Refusals& refusals, DiskInfo& info,
                                   LayerSizes& sizes) {
    switch (format) {
    case DiskFormat::qcow2:
        return qcow2::load(source, refusals, info.details.emplace<Qcow2Info>(), sizes);
    case DiskFormat::vmdk:
        return vmdk::load(source, refusals, info.details.emplace<VmdkInfo>(), sizes);
    case DiskFormat::vhd:
        return vhd::load(source, refusals, info.details.emplace<VhdInfo>(), sizes);
    case DiskFormat::vhdx:
        return vhdx::load(source, refusals, info.details.emplace<VhdxInfo>(), sizes);
    case DiskFormat::vdi:
        return vdi::load(source, refusals, info.details.emplace<VdiInfo>(), sizes);
    case DiskFormat::raw:
        break;
    }
    return load_raw(source, sizes);
}

ChainLayer load_layer(const ChainFile& file, const DiskSource& source, vmdk::GivenExtents& given, OnRefusal mode,
                      DiskFindings& findings) {
    return with_context(file.name, [&]() -> ChainLayer {
        DiskInfo& info = findings.info;
        info.file_size = file.container->size();
        info.format = find_format(file, findings);
        findings.format_known = true;
        if (file.data_file && info.format != DiskFormat::qcow2)
            fail(ErrorKind::usage,
                 fmt::format("an external data file is given, and a {} disk has none", display_name(info.format)));
        LayerSizes sizes;
        Refusals refusals(mode);
        const auto store_sizes = [&] {
            info.virtual_size = sizes.virtual_size;
            info.allocated_size = sizes.allocated_size;
        };
        vmdk::ExtentFilesOnDisk extents(given, file.path, source.policy);
        ExtentFiles* files = file.package != nullptr && given.files.empty() ? file.package : &extents;
        const LayerSource layer_source{file.container, file.name, source.policy, source.scan, file.data_file, files};
        std::unique_ptr<Layer> layer;
        refusals.attempt([&] { layer = load_format(info.format, layer_source, refusals, info, sizes); });
        store_sizes();
        refusals.rethrow_first();
        return {file.name, info.format, std::move(layer)};
    });
}

// The file below `above`, if one is needed and given.
const BackingFile* next_backing(const ChainLayer& above, const DiskSource& source, std::size_t next) {
    const std::optional<ParentLink> parent = above.layer->parent();
    if (!parent)
        return nullptr;
    if (next == source.backing.size())
        with_context(above.name, [&] {
            const std::string what = parent->name.empty() ? "a backing file, and says no name of it"
                                                          : "the backing file " + quote_untrusted(parent->name) +
                                                                ", which is not opened on an image's word";
            fail(ErrorKind::unsafe, "the image needs " + what, HintKind::backing);
        });
    return &source.backing[next];
}

// A layer that knows its parent by a number takes no other.
void check_parent(const ChainLayer& above, const ChainLayer& below) {
    const std::optional<ParentLink> parent = above.layer->parent();
    if (!parent || parent->identities.empty())
        return;
    const std::vector<std::string>& wanted = parent->identities;
    with_context(above.name, [&] {
        if (below.format != above.format)
            fail(ErrorKind::unsafe, fmt::format("its parent is a {}, and {} is a {}", display_name(above.format),
                                                below.name, display_name(below.format)));
        if (std::ranges::find(wanted, below.layer->identity()) == wanted.end())
            fail(ErrorKind::unsafe,
                 fmt::format("its parent has {}, and {} has {}: it is another disk, or it was written to since; give "
                             "the file that this one was made on",
                             wanted.front(), below.name, below.layer->identity()));
    });
}

// Opens the chain from the top down and puts it together from the bottom up: no recursion, whatever its depth.
DevicePtr open_chain(const ChainFile& top, const DiskSource& source, OnRefusal mode, DiskFindings& findings) {
    if (source.backing.size() > kMaxBackingFiles)
        fail(ErrorKind::limit,
             fmt::format("{} backing files are given; the limit is {}", source.backing.size(), kMaxBackingFiles));
    vmdk::GivenExtents extents;
    for (const std::filesystem::path& path : source.extents)
        extents.files.push_back({path});
    std::vector<ChainLayer> layers;
    layers.push_back(load_layer(top, source, extents, mode, findings));
    while (const BackingFile* backing = next_backing(layers.back(), source, layers.size() - 1)) {
        DiskFindings below;
        const ChainFile file{open_disk_file(backing->path, source.policy),
                             escape_untrusted(backing->path.string()),
                             backing->format,
                             {},
                             backing->path};
        layers.push_back(load_layer(file, source, extents, mode, below));
        check_parent(layers[layers.size() - 2], layers.back());
    }
    if (layers.size() - 1 != source.backing.size())
        fail(ErrorKind::usage, fmt::format("{} backing files are given, and the image needs {}", source.backing.size(),
                                           layers.size() - 1));
    for (const vmdk::GivenExtents::File& extent : extents.files)
        if (!extent.used)
            fail(ErrorKind::usage, "the extent " + escape_untrusted(extent.path.string()) +
                                       " is given, and the image asks for no such file");
    DevicePtr device;
    for (auto layer = layers.rbegin(); layer != layers.rend(); ++layer)
        device = std::make_shared<const NamedDevice>(layer->layer->assemble(std::move(device)), layer->name);
    return device;
}

ChainFile top_file(DevicePtr container, const DiskSource& source, std::optional<std::filesystem::path> path) {
    return {std::move(container), escape_untrusted(source.path.string()),
            source.format,        source.data_file,
            std::move(path),      source.package.get()};
}

std::optional<std::filesystem::path> own_path(const DiskSource& source, Siblings siblings) {
    return siblings == Siblings::beside_path ? std::optional(source.path) : std::nullopt;
}

OpenedDisk open_top(const ChainFile& top, const DiskSource& source) {
    DiskFindings findings;
    DevicePtr device = open_chain(top, source, OnRefusal::stop, findings);
    return {std::move(device), top.container, std::move(findings.info)};
}

DiskFindings examine_top(const ChainFile& top, const DiskSource& source) {
    DiskFindings findings;
    try {
        open_chain(top, source, OnRefusal::go_on, findings);
    } catch (const Error& error) {
        if (!is_refusal(error))
            throw;
        findings.refusal = error.message();
        findings.refusal_hint = error.hint();
        findings.refusal_kind = error.kind();
    }
    return findings;
}

} // namespace

OpenedDisk open_disk(const DiskSource& source) {
    return open_disk(open_disk_file(source.path, source.policy), source, Siblings::beside_path);
}

OpenedDisk open_disk(std::shared_ptr<const BlockDevice> container, const DiskSource& source, Siblings siblings) {
    try {
        return open_top(top_file(std::move(container), source, own_path(source, siblings)), source);
    } catch (Error& error) {
        if (source.number > 1)
            for (const HintKind kind : {HintKind::backing, HintKind::data_file, HintKind::extent})
                error.complete_hint(kind, std::to_string(source.number));
        throw;
    }
}

DiskFindings examine_disk(const DiskSource& source) {
    return examine_top(top_file(open_disk_file(source.path, source.policy), source, source.path), source);
}

DiskFindings examine_disk(std::shared_ptr<const BlockDevice> container, const DiskSource& source, Siblings siblings) {
    return examine_top(top_file(std::move(container), source, own_path(source, siblings)), source);
}

} // namespace vm2oci
