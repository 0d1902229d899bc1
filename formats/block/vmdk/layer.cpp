#include "formats/block/vmdk/layer.hpp"

#include "formats/base/checked.hpp"
#include "formats/base/escape.hpp"
#include "formats/base/fd.hpp"
#include "formats/block/empty.hpp"
#include "formats/block/joined.hpp"
#include "formats/block/mapped/device.hpp"
#include "formats/block/mapped/survey.hpp"
#include "formats/block/named.hpp"
#include "formats/block/padded.hpp"
#include "formats/block/raw_layer.hpp"
#include "formats/block/slice.hpp"
#include "formats/block/vmdk/descriptor.hpp"
#include "formats/block/vmdk/grain_map.hpp"
#include "formats/block/vmdk/header.hpp"
#include "formats/block/vmdk/sesparse.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

namespace vm2oci::vmdk {
namespace {

constexpr std::size_t kReportedExtents = 64;
constexpr std::size_t kMagicBytes = 8;

// One extent, ready but for the parent's part of it.
struct Part {
    std::uint64_t offset = 0; // on the guest's disk
    std::uint64_t size = 0;
    std::string name;                            // for messages
    DevicePtr whole;                             // zeros or flat: complete
    std::shared_ptr<const mapped::BlockMap> map; // sparse
    DevicePtr file;                              // of the map
};

std::string identity_of(std::uint32_t content_id) {
    return fmt::format("CID {:08x}", content_id);
}

class VmdkLayer final : public Layer {
  public:
    VmdkLayer(const Descriptor& descriptor, std::vector<Part> parts, Tolerance truncation)
        : identity_(identity_of(descriptor.content_id)), parts_(std::move(parts)), truncation_(truncation) {
        if (descriptor.parent_content_id)
            parent_ = ParentLink{descriptor.parent_hint, {identity_of(*descriptor.parent_content_id)}};
    }
    std::optional<ParentLink> parent() const override { return parent_; }
    std::string identity() const override { return identity_; }
    DevicePtr assemble(DevicePtr parent) override;

  private:
    std::string identity_;
    std::optional<ParentLink> parent_;
    std::vector<Part> parts_;
    Tolerance truncation_;
};

DevicePtr VmdkLayer::assemble(DevicePtr parent) {
    std::vector<DevicePtr> devices;
    const auto add = [&](const Part& part, const DevicePtr& device) {
        devices.push_back(parts_.size() == 1 ? device : std::make_shared<const NamedDevice>(device, part.name));
    };
    for (const Part& part : parts_) {
        if (part.whole) {
            add(part, part.whole);
            continue;
        }
        mapped::DeviceParts device;
        device.map = part.map;
        device.data = part.file;
        device.data_end = part.file->size();
        device.parent = parent;
        device.parent_offset = part.offset;
        device.truncation = truncation_;
        add(part, std::make_shared<const mapped::MappedDevice>(std::move(device)));
    }
    return devices.size() == 1 ? devices.front() : std::make_shared<const JoinedDevice>(devices);
}

class Loader {
  public:
    Loader(const LayerSource& source, VmdkInfo& info, LayerSizes& sizes)
        : source_(source), info_(info), sizes_(sizes) {}

    void add_zeros(const ExtentLine& line);
    void add_flat(const ExtentLine& line, const DevicePtr& file);
    // Hosted or COWD.
    void add_sparse(const ExtentLine& line, const DevicePtr& file, const SparseHeader& header);
    void add_sesparse(const ExtentLine& line, const DevicePtr& file);
    std::vector<Part> take() { return std::move(parts_); }

  private:
    std::uint64_t bytes_of(const ExtentLine& line) const {
        return checked_multiply(line.sectors, kSectorBytes, "size of an extent");
    }
    Part part_of(const ExtentLine& line) const;
    void add_part(Part part);
    void add_map(const ExtentLine& line, const DevicePtr& file, std::shared_ptr<const mapped::BlockMap> map,
                 mapped::RangeSet& taken);
    void check_capacity(const ExtentLine& line, std::uint64_t capacity) const;
    void describe(const SparseHeader& header);

    const LayerSource& source_;
    VmdkInfo& info_;
    LayerSizes& sizes_;
    std::vector<Part> parts_;
    std::uint64_t offset_ = 0;
    std::map<std::string, mapped::RangeSet> flat_ranges_; // by the name of the file
};

Part Loader::part_of(const ExtentLine& line) const {
    Part part;
    part.size = bytes_of(line);
    part.name = quote_untrusted(line.name);
    return part;
}

void Loader::add_part(Part part) {
    part.offset = offset_;
    offset_ += part.size;
    parts_.push_back(std::move(part));
}

void Loader::add_zeros(const ExtentLine& line) {
    Part part = part_of(line);
    part.whole = std::make_shared<const EmptyDevice>(part.size);
    add_part(std::move(part));
}

void Loader::add_flat(const ExtentLine& line, const DevicePtr& file) {
    Part part = part_of(line);
    const std::uint64_t begin = checked_multiply(line.file_sector, kSectorBytes, "place of an extent");
    const std::uint64_t end = checked_add(begin, part.size, "end of an extent");
    if (end > file->size() && source_.policy.truncation == Tolerance::refuse)
        fail(ErrorKind::corrupt,
             fmt::format("the extent {} ends at byte {}, and its file has {}: it is truncated",
                         quote_untrusted(line.name), end, file->size()),
             HintKind::allow_truncated);
    mapped::RangeSet& taken = flat_ranges_[line.name];
    taken.add(begin, end);
    taken.check();
    const std::uint64_t from = std::min(begin, file->size());
    part.whole = std::make_shared<const SliceDevice>(file, from, std::min(end, file->size()) - from);
    if (part.whole->size() < part.size)
        part.whole = std::make_shared<const PaddedDevice>(part.whole, part.size);
    if (source_.scan == TableScan::complete)
        sizes_.allocated_size += data_bytes(*part.whole);
    add_part(std::move(part));
}

void Loader::describe(const SparseHeader& header) {
    const auto add_feature = [&](std::string_view feature) {
        if (std::ranges::find(info_.features, feature) == info_.features.end())
            info_.features.emplace_back(feature);
    };
    info_.version = std::max(info_.version, header.version);
    info_.grain_size = header.grain_size;
    info_.compressed = info_.compressed || header.compressed;
    if (header.unclean)
        add_feature("unclean shutdown");
    if (header.zeroed_grains)
        add_feature("zeroed grains");
}

void Loader::check_capacity(const ExtentLine& line, std::uint64_t capacity) const {
    if (capacity != bytes_of(line))
        fail(ErrorKind::corrupt,
             fmt::format("the descriptor gives the extent {} {} sectors, and its own header says {}",
                         quote_untrusted(line.name), line.sectors, capacity / kSectorBytes));
}

void Loader::add_map(const ExtentLine& line, const DevicePtr& file, std::shared_ptr<const mapped::BlockMap> map,
                     mapped::RangeSet& taken) {
    if (source_.scan == TableScan::complete) {
        const mapped::Survey survey = mapped::survey(*map, taken, file->size(), source_.policy);
        info_.grains.data += survey.units.data;
        info_.grains.compressed += survey.units.compressed;
        info_.grains.zero += survey.units.zero;
        info_.grains.unallocated += survey.units.unallocated;
        sizes_.allocated_size += survey.allocated_bytes;
    }
    Part part = part_of(line);
    part.size = map->size();
    part.map = std::move(map);
    part.file = file;
    add_part(std::move(part));
}

void Loader::add_sparse(const ExtentLine& line, const DevicePtr& file, const SparseHeader& header) {
    describe(header);
    check_capacity(line, header.capacity);
    const auto map = std::make_shared<const GrainMap>(file, header, source_.policy.truncation);
    mapped::RangeSet taken;
    if (source_.scan == TableScan::complete) {
        add_metadata(header, taken);
        map->check_tables(taken);
    }
    add_map(line, file, map, taken);
}

void Loader::add_sesparse(const ExtentLine& line, const DevicePtr& file) {
    const SeSparseHeader header = read_sesparse_header(*file, source_.policy.truncation);
    check_capacity(line, header.capacity);
    const auto map = std::make_shared<const SeSparseMap>(file, header, source_.policy.truncation);
    info_.grain_size = map->unit();
    mapped::RangeSet taken;
    if (source_.scan == TableScan::complete)
        map->check_tables(taken);
    add_map(line, file, map, taken);
}

std::string read_text(const BlockDevice& file, std::uint64_t offset, std::uint64_t length) {
    if (length > kMaxDescriptorBytes)
        fail(ErrorKind::limit,
             fmt::format("the VMDK descriptor has {} bytes; the limit is {}", length, kMaxDescriptorBytes));
    std::string text(static_cast<std::size_t>(length), '\0');
    file.read_at(offset, std::as_writable_bytes(std::span(text)));
    return text;
}

std::string read_magic(const BlockDevice& file) {
    return read_text(file, 0, std::min<std::uint64_t>(kMagicBytes, file.size()));
}

void describe(const Descriptor& descriptor, VmdkInfo& info) {
    info.create_type = descriptor.create_type;
    info.content_id = descriptor.content_id;
    info.parent_content_id = descriptor.parent_content_id;
    info.parent_hint = descriptor.parent_hint;
    info.extent_count = descriptor.extents.size();
    for (const ExtentLine& line : descriptor.extents)
        if (info.extents.size() < kReportedExtents)
            info.extents.push_back({std::string(to_string(line.type)), line.name, line.sectors * kSectorBytes});
}

[[noreturn]] void fail_lone_extent() {
    fail(ErrorKind::unsafe,
         "the file is one extent of a VMDK and says nothing of the disk that it belongs to; name the "
         "disk's descriptor, which is a small text file beside it, and this file as its extent",
         HintKind::extent);
}

// The extents of a descriptor that stands alone.
void load_extents(const Descriptor& descriptor, const LayerSource& source, Loader& loader) {
    std::vector<std::string> names;
    std::set<std::string> sparse_names;
    for (const ExtentLine& line : descriptor.extents) {
        if (line.type == ExtentType::zero)
            continue;
        names.push_back(line.name);
        const bool is_flat = line.type == ExtentType::flat || line.type == ExtentType::vmfs;
        if (!is_flat && !sparse_names.insert(line.name).second)
            fail(ErrorKind::corrupt, "the descriptor names the extent " + quote_untrusted(line.name) + " twice");
    }
    std::vector<DevicePtr> files;
    if (source.extents != nullptr)
        files = source.extents->open(names);
    else if (!names.empty())
        fail(ErrorKind::unsafe, "the disk lies in the file " + quote_untrusted(names.front()) +
                                    ", which is not opened on an image's word");
    auto file = files.begin();
    for (const ExtentLine& line : descriptor.extents) {
        if (line.type == ExtentType::zero) {
            loader.add_zeros(line);
            continue;
        }
        with_context(quote_untrusted(line.name), [&] {
            switch (line.type) {
            case ExtentType::flat:
            case ExtentType::vmfs:
                loader.add_flat(line, *file);
                break;
            case ExtentType::sparse:
                loader.add_sparse(line, *file, read_hosted_header(**file, source.policy.truncation));
                break;
            case ExtentType::vmfs_sparse:
                loader.add_sparse(line, *file, read_cowd_header(**file, source.policy.truncation));
                break;
            case ExtentType::se_sparse:
                loader.add_sesparse(line, *file);
                break;
            case ExtentType::zero:
                break;
            }
        });
        ++file;
    }
}

// A file that is descriptor and extent at once may be called anything by now.
void load_embedded(const Descriptor& descriptor, const LayerSource& source, const SparseHeader& header,
                   Loader& loader) {
    if (descriptor.extents.size() != 1 || descriptor.extents.front().type != ExtentType::sparse)
        fail(ErrorKind::corrupt, fmt::format("the VMDK holds one sparse extent, and its descriptor names {} extents",
                                             descriptor.extents.size()));
    loader.add_sparse(descriptor.extents.front(), source.container, header);
}

} // namespace

std::unique_ptr<Layer> load(const LayerSource& source, Refusals& refusals, VmdkInfo& info, LayerSizes& sizes) {
    const BlockDevice& container = *source.container;
    const std::string magic = read_magic(container);
    if (magic.starts_with(kCowdMagic) || magic == kSeSparseMagic)
        fail_lone_extent();
    std::optional<SparseHeader> header;
    if (magic.starts_with(kHostedMagic)) {
        header = read_hosted_header(container, source.policy.truncation);
        if (header->descriptor.length == 0)
            fail_lone_extent();
    }
    // It was called one: nothing in it says so.
    if (!header && container.size() > kMaxDescriptorBytes && !magic.starts_with("# Disk"))
        fail(ErrorKind::corrupt,
             "not a VMDK: it begins with no magic of one, and is too large for a descriptor; a flat extent is named by "
             "the descriptor beside it");
    const Descriptor descriptor =
        parse_descriptor(header ? read_text(container, header->descriptor.offset, header->descriptor.length)
                                : read_text(container, 0, container.size()));
    describe(descriptor, info);
    sizes.virtual_size = descriptor.sectors() * kSectorBytes;
    LayerSource scanned = source;
    if (!refusals.attempt([&] { check_virtual_size(sizes.virtual_size, source.policy); }))
        scanned.scan = TableScan::none;
    Loader loader(scanned, info, sizes);
    if (header && header->capacity != 0)
        load_embedded(descriptor, source, *header, loader);
    else
        load_extents(descriptor, source, loader);
    return std::make_unique<VmdkLayer>(descriptor, loader.take(), source.policy.truncation);
}

} // namespace vm2oci::vmdk
