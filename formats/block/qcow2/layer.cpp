#include "formats/block/qcow2/layer.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/block/open_file.hpp"
#include "formats/block/qcow2/device.hpp"
#include "formats/block/qcow2/header.hpp"
#include "formats/block/qcow2/snapshots.hpp"
#include "formats/block/qcow2/survey.hpp"
#include "formats/block/qcow2/tables.hpp"

namespace vm2oci::qcow2 {
namespace {

class Qcow2Layer final : public Layer {
  public:
    Qcow2Layer(DeviceParts parts, std::optional<ParentLink> parent)
        : parts_(std::move(parts)), parent_(std::move(parent)) {}

    std::optional<ParentLink> parent() const override { return parent_; }
    DevicePtr assemble(DevicePtr parent) override {
        parts_.backing = std::move(parent);
        return std::make_shared<const Qcow2Device>(std::move(parts_));
    }

  private:
    DeviceParts parts_;
    std::optional<ParentLink> parent_;
};

void describe_header(const Header& header, Qcow2Info& info) {
    info.version = header.version;
    info.cluster_size = header.cluster_size();
    info.refcount_bits = header.refcount_order <= kMaxRefcountOrder ? 1U << header.refcount_order : 0;
    if (header.compression_type <= static_cast<std::uint8_t>(CompressionType::zstd))
        info.compression =
            header.compression_type == static_cast<std::uint8_t>(CompressionType::zstd) ? "zstd" : "zlib";
    info.features = describe_features(header);
    info.backing_file_name = header.backing_file_name;
    if (header.has_data_file())
        info.data_file_name = header.data_file_name.value_or("");
    info.snapshot_count = header.snapshot_count;
}

DevicePtr open_data_file(const Header& header, const LayerSource& source) {
    if (header.has_data_file() && !source.data_file)
        fail(ErrorKind::unsafe,
             "the image keeps its data in the external file " + quote_untrusted(header.data_file_name.value_or("")) +
                 ", which is not opened on an image's word",
             HintKind::data_file);
    if (!header.has_data_file() && source.data_file)
        fail(ErrorKind::usage, "an external data file is given, and the image has none");
    return source.data_file ? open_disk_file(*source.data_file, source.policy) : nullptr;
}

void add_survey(const Survey& survey, Qcow2Info& info, LayerSizes& sizes) {
    sizes.allocated_size = survey.allocated_bytes;
    info.clusters = survey.clusters;
}

// For a disk that is refused: its numbers all the same, if a survey that shuts one eye gets through.
void count_regardless(const DevicePtr& container, const DevicePtr& data, const Header& header, DiskPolicy policy,
                      Qcow2Info& info, LayerSizes& sizes) {
    policy.truncation = Tolerance::allow;
    try {
        const Tables tables(container, header, policy.truncation);
        add_survey(survey(*container, data.get(), header, tables, policy), info, sizes);
    } catch (const Error& error) {
        if (!is_refusal(error))
            throw;
    }
}

} // namespace

std::unique_ptr<Layer> load(const LayerSource& source, Refusals& refusals, Qcow2Info& info, LayerSizes& sizes) {
    const BlockDevice& container = *source.container;
    Header header = read_header(container);
    sizes.virtual_size = header.virtual_size();
    describe_header(header, info);
    refusals.attempt([&] { read_extensions(container, header); });
    describe_header(header, info);
    check_features(header);
    refusals.attempt([&] { check_policy(header, source.policy); });
    if (header.snapshot_count != 0)
        refusals.attempt([&] { info.snapshots = read_snapshots(container, header); });
    check_layout(header, container.size(), source.policy.truncation);

    DeviceParts parts;
    parts.container = source.container;
    parts.data = header.has_data_file() ? nullptr : source.container;
    parts.compression = static_cast<CompressionType>(header.compression_type);
    parts.truncation = source.policy.truncation;
    refusals.attempt([&] {
        if (DevicePtr data = open_data_file(header, source))
            parts.data = std::move(data);
    });
    parts.tables = std::make_shared<const Tables>(source.container, header, source.policy.truncation);
    const auto survey_tables = [&] {
        add_survey(survey(container, parts.data.get(), header, *parts.tables, source.policy), info, sizes);
    };
    if (source.scan == TableScan::complete && !refusals.attempt(survey_tables))
        count_regardless(source.container, parts.data, header, source.policy, info, sizes);
    std::optional<ParentLink> parent;
    if (header.has_backing_file())
        parent = ParentLink{header.backing_file_name.value_or(""), {}};
    return std::make_unique<Qcow2Layer>(std::move(parts), std::move(parent));
}

} // namespace vm2oci::qcow2
