#include "tests/support/qcow2_builder.hpp"

#include "formats/base/checked.hpp"
#include "formats/base/endian.hpp"

#include <algorithm>

namespace vm2oci::test {
using namespace qcow2;

Qcow2Builder::Qcow2Builder(const Qcow2Shape& shape) : shape_(shape) {
    const std::uint64_t reach = cluster_size() / entry_bytes() * cluster_size();
    const std::uint64_t l1_entries = divide_up(shape.size, reach);
    const std::uint64_t l1_clusters =
        std::max<std::uint64_t>(1, divide_up(l1_entries * kTableEntryBytes, cluster_size()));
    l1_offset_ = 3 * cluster_size();
    file_.resize(l1_offset_ + l1_clusters * cluster_size());
    put32(header_offset::magic, kMagic);
    put32(header_offset::version, shape.version);
    put32(header_offset::cluster_bits, shape.cluster_bits);
    put64(header_offset::size, shape.size);
    put32(header_offset::l1_size, static_cast<std::uint32_t>(l1_entries));
    put64(header_offset::l1_table_offset, l1_offset_);
    put64(header_offset::refcount_table_offset, cluster_size());
    put32(header_offset::refcount_table_clusters, 1);
    put64(cluster_size(), 2 * cluster_size());
    extensions_end_ = kHeaderLengthVersion2;
    if (shape.version >= kVersion3) {
        put64(header_offset::incompatible_features, shape.incompatible);
        put32(header_offset::refcount_order, kRefcountOrderVersion2);
        put32(header_offset::header_length, kHeaderLengthWithCompression);
        put8(header_offset::compression_type, static_cast<std::uint8_t>(shape.compression));
        extensions_end_ = kHeaderLengthWithCompression;
    }
}

std::uint64_t Qcow2Builder::entry_bytes() const {
    return (shape_.incompatible & incompatible::extended_l2) != 0 ? kExtendedL2EntryBytes : kTableEntryBytes;
}

void Qcow2Builder::align() {
    file_.resize(align_up(file_.size(), cluster_size()));
}

std::uint64_t Qcow2Builder::append(std::span<const std::byte> bytes) {
    const std::uint64_t offset = file_.size();
    file_.insert(file_.end(), bytes.begin(), bytes.end());
    return offset;
}

std::uint64_t Qcow2Builder::append_cluster(std::uint8_t value) {
    align();
    return append(std::vector<std::byte>(cluster_size(), std::byte{value}));
}

std::uint64_t Qcow2Builder::add_data(std::uint64_t guest_cluster, std::uint8_t value) {
    l2_offset(guest_cluster); // before the data
    const std::uint64_t offset = append_cluster(value);
    set_l2(guest_cluster, offset | kEntryCopied);
    return offset;
}

std::uint64_t Qcow2Builder::add_compressed(std::uint64_t guest_cluster, std::span<const std::byte> stream) {
    l2_offset(guest_cluster); // before the data, so that it does not lie between this stream and the next
    const std::uint64_t offset = append(stream);
    const std::uint64_t last = offset + stream.size() - 1;
    set_compressed(guest_cluster, offset, last / kCompressedSectorBytes - offset / kCompressedSectorBytes);
    return offset;
}

void Qcow2Builder::set_compressed(std::uint64_t guest_cluster, std::uint64_t offset, std::uint64_t further_sectors) {
    set_l2(guest_cluster, kEntryCompressed | further_sectors << compressed_offset_bits(shape_.cluster_bits) | offset);
}

void Qcow2Builder::set_l1(std::uint64_t index, std::uint64_t entry) {
    put64(l1_offset_ + index * kTableEntryBytes, entry);
}

std::uint64_t Qcow2Builder::l2_offset(std::uint64_t guest_cluster) {
    const std::uint64_t l1_index = guest_cluster / (cluster_size() / entry_bytes());
    const auto [found, is_new] = l2_tables_.try_emplace(l1_index, 0);
    if (is_new) {
        found->second = append_cluster(0);
        set_l1(l1_index, found->second | kEntryCopied);
    }
    return found->second;
}

void Qcow2Builder::set_l2(std::uint64_t guest_cluster, std::uint64_t entry, std::uint64_t bitmap) {
    const std::uint64_t index = guest_cluster % (cluster_size() / entry_bytes());
    const std::uint64_t at = l2_offset(guest_cluster) + index * entry_bytes();
    put64(at, entry);
    if (entry_bytes() == kExtendedL2EntryBytes)
        put64(at + kTableEntryBytes, bitmap);
}

void Qcow2Builder::add_extension(std::uint32_t type, std::string_view data) {
    put32(extensions_end_, type);
    put32(extensions_end_ + 4, static_cast<std::uint32_t>(data.size()));
    put(extensions_end_ + extension::header_bytes, data);
    extensions_end_ += extension::header_bytes + align_up(data.size(), extension::alignment);
}

void Qcow2Builder::set_backing_file(std::string_view name) {
    const std::uint64_t offset = extensions_end_ + extension::header_bytes; // behind an end mark
    put64(header_offset::backing_file_offset, offset);
    put32(header_offset::backing_file_size, static_cast<std::uint32_t>(name.size()));
    put(offset, name);
}

void Qcow2Builder::put8(std::uint64_t offset, std::uint8_t value) {
    file_.at(offset) = std::byte{value};
}

void Qcow2Builder::put32(std::uint64_t offset, std::uint32_t value) {
    store_be(&file_.at(offset), value);
}

void Qcow2Builder::put64(std::uint64_t offset, std::uint64_t value) {
    store_be(&file_.at(offset), value);
}

void Qcow2Builder::put(std::uint64_t offset, std::string_view text) {
    std::ranges::copy(std::as_bytes(std::span(text)), file_.begin() + static_cast<std::ptrdiff_t>(offset));
}

std::shared_ptr<MemoryDevice> Qcow2Builder::device() const {
    auto device = std::make_shared<MemoryDevice>(file_.size());
    device->put(0, file_);
    return device;
}

} // namespace vm2oci::test
