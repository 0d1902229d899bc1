#include "formats/block/open_disk.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/base/fd.hpp"
#include "formats/block/detect.hpp"
#include "formats/block/file_device.hpp"
#include "formats/block/in_use.hpp"
#include "formats/block/padded.hpp"
#include "formats/block/qcow2/device.hpp"
#include "formats/block/qcow2/header.hpp"
#include "formats/block/qcow2/snapshots.hpp"
#include "formats/block/qcow2/survey.hpp"
#include "formats/block/qcow2/tables.hpp"

#include <fmt/format.h>

#include <exception>

namespace vm2oci {
namespace {

using DevicePtr = std::shared_ptr<const BlockDevice>;

DevicePtr open_file(const std::filesystem::path& path, const DiskPolicy& policy) {
    return with_context(escape_untrusted(path.string()), [&] {
        UniqueFd file = open_read(path);
        if (policy.in_use == Tolerance::refuse)
            if (const std::optional<std::string> writer = writer_of(file.get()))
                fail(ErrorKind::unsafe, *writer +
                                            ": what is read would be of several moments; stop the machine, take a "
                                            "snapshot, or give --allow-in-use");
        return std::make_shared<const FileDevice>(std::move(file), path);
    });
}

// One file of a chain: the disk itself or one of its backing files.
struct LayerSource {
    DevicePtr container;
    std::string name; // for messages
    std::optional<DiskFormat> format;
    std::optional<std::filesystem::path> data_file;
};

// Everything of a layer that can be known before its backing file is open.
struct Layer {
    std::string name;
    DevicePtr raw;            // a raw layer, complete
    qcow2::DeviceParts parts; // a qcow2 layer, without its backing file
    bool needs_backing = false;
};

void describe_header(const qcow2::Header& header, DiskInfo& info) {
    info.virtual_size = header.virtual_size();
    info.qcow2_version = header.version;
    info.cluster_size = header.cluster_size();
    info.refcount_bits = header.refcount_order <= qcow2::kMaxRefcountOrder ? 1U << header.refcount_order : 0;
    if (header.compression_type <= static_cast<std::uint8_t>(qcow2::CompressionType::zstd))
        info.compression =
            header.compression_type == static_cast<std::uint8_t>(qcow2::CompressionType::zstd) ? "zstd" : "zlib";
    info.features = qcow2::describe_features(header);
    info.backing_file_name = header.backing_file_name;
    if (header.has_data_file())
        info.data_file_name = header.data_file_name.value_or("");
    info.snapshot_count = header.snapshot_count;
}

DevicePtr open_data_file(const qcow2::Header& header, const std::optional<std::filesystem::path>& path,
                         const DiskPolicy& policy) {
    if (header.has_data_file() && !path)
        fail(ErrorKind::unsafe, "the image keeps its data in the external file " +
                                    quote_untrusted(header.data_file_name.value_or("")) +
                                    ", which is not opened on an image's word; give it with --data-file PATH");
    if (!header.has_data_file() && path)
        fail(ErrorKind::usage, "--data-file is given, and the image has no external data file");
    return path ? open_file(*path, policy) : nullptr;
}

// What happens at a refusal: opening stops; examining remembers the first one and goes on with what can still be told.
enum class OnRefusal { stop, go_on };

bool is_refusal(const Error& error) {
    switch (error.kind()) {
    case ErrorKind::corrupt:
    case ErrorKind::unsupported:
    case ErrorKind::unsafe:
    case ErrorKind::limit:
        return true;
    default:
        return false;
    }
}

class Refusals {
  public:
    explicit Refusals(OnRefusal mode) : mode_(mode) {}

    // False if it was refused and there is more to do.
    template <class Step>
    bool attempt(Step&& step) {
        try {
            step();
            return true;
        } catch (const Error& error) {
            if (mode_ == OnRefusal::stop || !is_refusal(error))
                throw;
            if (!first_)
                first_ = std::current_exception();
            return false;
        }
    }
    void rethrow_first() const {
        if (first_)
            std::rethrow_exception(first_);
    }

  private:
    OnRefusal mode_;
    std::exception_ptr first_;
};

void add_survey(const qcow2::Survey& survey, DiskInfo& info) {
    info.allocated_size = survey.allocated_bytes;
    info.data_clusters = survey.data_clusters;
    info.compressed_clusters = survey.compressed_clusters;
    info.zero_clusters = survey.zero_clusters;
    info.unallocated_clusters = survey.unallocated_clusters;
}

// For a disk that is refused: its numbers all the same, if a survey that shuts one eye gets through.
void count_regardless(const DevicePtr& container, const DevicePtr& data, const qcow2::Header& header, DiskPolicy policy,
                      DiskInfo& info) {
    policy.truncation = Tolerance::allow;
    try {
        const qcow2::Tables tables(container, header, policy.truncation);
        add_survey(qcow2::survey(*container, data.get(), header, tables, policy), info);
    } catch (const Error& error) {
        if (!is_refusal(error))
            throw;
    }
}

// Fills `info` as far as it gets, whatever is thrown.
Layer load_qcow2(const LayerSource& file, const DiskSource& source, OnRefusal mode, DiskInfo& info) {
    info.format = DiskFormat::qcow2;
    Refusals refusals(mode);
    const BlockDevice& container = *file.container;
    qcow2::Header header = qcow2::read_header(container);
    describe_header(header, info);
    refusals.attempt([&] { qcow2::read_extensions(container, header); });
    describe_header(header, info);
    qcow2::check_features(header);
    refusals.attempt([&] { qcow2::check_policy(header, source.policy); });
    if (header.snapshot_count != 0)
        refusals.attempt([&] { info.snapshots = qcow2::read_snapshots(container, header); });
    qcow2::check_layout(header, container.size(), source.policy.truncation);

    Layer layer;
    layer.name = file.name;
    layer.needs_backing = header.has_backing_file();
    layer.parts.container = file.container;
    layer.parts.data = header.has_data_file() ? nullptr : file.container;
    layer.parts.compression = static_cast<qcow2::CompressionType>(header.compression_type);
    layer.parts.truncation = source.policy.truncation;
    refusals.attempt([&] {
        if (DevicePtr data = open_data_file(header, file.data_file, source.policy))
            layer.parts.data = std::move(data);
    });
    layer.parts.tables = std::make_shared<const qcow2::Tables>(file.container, header, source.policy.truncation);
    const auto survey = [&] {
        add_survey(qcow2::survey(container, layer.parts.data.get(), header, *layer.parts.tables, source.policy), info);
    };
    if (source.scan == TableScan::complete && !refusals.attempt(survey))
        count_regardless(file.container, layer.parts.data, header, source.policy, info);
    refusals.rethrow_first();
    return layer;
}

Layer load_raw(const LayerSource& file, const DiskSource& source, DiskInfo& info) {
    Layer layer;
    layer.name = file.name;
    layer.raw = raw_image(file.container);
    info.format = DiskFormat::raw;
    info.virtual_size = layer.raw->size();
    if (info.virtual_size > source.policy.max_virtual_size)
        fail(ErrorKind::limit,
             fmt::format("the disk has {}, and the limit is {}; raise it with --max-virtual-size",
                         format_size(info.virtual_size), format_size(source.policy.max_virtual_size)));
    if (source.scan == TableScan::complete)
        info.allocated_size = data_bytes(*file.container);
    return layer;
}

DiskFormat find_format(const LayerSource& file, DiskFindings& findings) {
    if (file.format)
        return *file.format;
    if (file.container->size() == 0)
        fail(ErrorKind::unsupported, "the file is empty; say raw:PATH if it really is a disk of no bytes");
    const Detection detection = detect(*file.container);
    if (detection.matches.size() == 1 && detection.matches.front().name != to_string(DiskFormat::qcow2))
        findings.foreign_format = detection.matches.front().name;
    return require_format(detection);
}

Layer load_layer(const LayerSource& file, const DiskSource& source, OnRefusal mode, DiskFindings& findings) {
    return with_context(file.name, [&] {
        findings.info.file_size = file.container->size();
        const DiskFormat format = find_format(file, findings);
        findings.format_known = true;
        if (format == DiskFormat::qcow2)
            return load_qcow2(file, source, mode, findings.info);
        if (file.data_file)
            fail(ErrorKind::usage, "--data-file is given, and a raw disk has no external data file");
        return load_raw(file, source, findings.info);
    });
}

// Opens the chain from the top down and puts it together from the bottom up: no recursion, whatever its depth.
DevicePtr open_chain(const LayerSource& top, const DiskSource& source, OnRefusal mode, DiskFindings& findings) {
    if (source.backing.size() > kMaxBackingFiles)
        fail(ErrorKind::limit,
             fmt::format("{} backing files are given; the limit is {}", source.backing.size(), kMaxBackingFiles));
    std::vector<Layer> layers;
    layers.push_back(load_layer(top, source, mode, findings));
    std::optional<std::string> wanted = findings.info.backing_file_name;
    for (std::size_t next = 0; layers.back().needs_backing; ++next) {
        if (next == source.backing.size())
            with_context(layers.back().name, [&] {
                fail(ErrorKind::unsafe, "the image needs the backing file " + quote_untrusted(wanted.value_or("")) +
                                            ", which is not opened on an image's word; give it with --backing "
                                            "PATH[:FORMAT]");
            });
        const BackingFile& backing = source.backing[next];
        DiskFindings below;
        const LayerSource file{
            open_file(backing.path, source.policy), escape_untrusted(backing.path.string()), backing.format, {}};
        layers.push_back(load_layer(file, source, mode, below));
        wanted = below.info.backing_file_name;
    }
    if (layers.size() - 1 != source.backing.size())
        fail(ErrorKind::usage, fmt::format("{} backing files are given, and the image needs {}", source.backing.size(),
                                           layers.size() - 1));
    DevicePtr device;
    for (auto layer = layers.rbegin(); layer != layers.rend(); ++layer) {
        if (layer->raw) {
            device = layer->raw;
        } else {
            layer->parts.backing = device;
            device = std::make_shared<const qcow2::Qcow2Device>(std::move(layer->parts));
        }
    }
    return device;
}

LayerSource top_layer(DevicePtr container, const DiskSource& source) {
    return {std::move(container), escape_untrusted(source.path.string()), source.format, source.data_file};
}

} // namespace

std::string_view to_string(DiskFormat format) {
    return format == DiskFormat::raw ? "raw" : "qcow2";
}

std::shared_ptr<const BlockDevice> open_disk_container(const std::filesystem::path& path, const DiskPolicy& policy) {
    return open_file(path, policy);
}

OpenedDisk open_disk(const DiskSource& source) {
    return open_disk(open_file(source.path, source.policy), source);
}

OpenedDisk open_disk(std::shared_ptr<const BlockDevice> container, const DiskSource& source) {
    DiskFindings findings;
    DevicePtr device = open_chain(top_layer(container, source), source, OnRefusal::stop, findings);
    return {std::move(device), std::move(container), std::move(findings.info)};
}

DiskFindings examine_disk(const DiskSource& source) {
    return examine_disk(open_file(source.path, source.policy), source);
}

DiskFindings examine_disk(std::shared_ptr<const BlockDevice> container, const DiskSource& source) {
    DiskFindings findings;
    try {
        open_chain(top_layer(std::move(container), source), source, OnRefusal::go_on, findings);
    } catch (const Error& error) {
        if (!is_refusal(error))
            throw;
        findings.refusal = error.message();
    }
    return findings;
}

} // namespace vm2oci
