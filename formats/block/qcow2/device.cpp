#include "formats/block/qcow2/device.hpp"

#include "formats/base/checked.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace vm2oci::qcow2 {
namespace {

constexpr std::uint64_t kDecodedBytes = 4 * MiB;
constexpr std::uint64_t kMaxExtentSteps = 64; // lookups in one extent_at, so that one call stays short

} // namespace

bool is_stored(const Geometry& geometry, std::uint64_t begin, std::uint64_t end, std::uint64_t host_size) {
    if (end <= host_size)
        return true;
    const std::uint64_t last_cluster = align_down(end - 1, geometry.cluster_size);
    return host_size % 512 == 0 && host_size > std::max(last_cluster, begin);
}

void fail_beyond_end(std::uint64_t guest_offset, std::uint64_t host_offset, std::uint64_t host_size) {
    fail(ErrorKind::corrupt,
         fmt::format("the data of guest offset {:#x} is at {:#x} and goes on beyond the end of the file at {:#x}: it "
                     "is truncated",
                     guest_offset, host_offset, host_size),
         HintKind::allow_truncated);
}

Qcow2Device::Qcow2Device(DeviceParts parts)
    : parts_(std::move(parts)), geometry_(parts_.tables->geometry()),
      max_decoded_(static_cast<std::size_t>(std::clamp<std::uint64_t>(kDecodedBytes / geometry_.cluster_size, 2, 64))),
      decoders_(parts_.compression) {}

void Qcow2Device::read_at(std::uint64_t offset, std::span<std::byte> buffer) const {
    check_range(*this, offset, buffer.size());
    // An allocated run that later lookups may still make longer.
    std::uint64_t run_guest = 0;
    std::uint64_t run_host = 0;
    std::span<std::byte> run;
    const auto flush = [&] {
        if (!run.empty())
            read_allocated(run_guest, run_host, run);
        run = {};
    };
    while (!buffer.empty()) {
        const Mapping mapping = parts_.tables->lookup(offset, buffer.size(), RunRule::contiguous);
        const auto piece = buffer.first(static_cast<std::size_t>(mapping.length));
        if (mapping.placement == Placement::allocated) {
            if (!run.empty() && run_host + run.size() == mapping.host_offset) {
                run = {run.data(), run.size() + piece.size()};
            } else {
                flush();
                run_guest = offset;
                run_host = mapping.host_offset;
                run = piece;
            }
        } else {
            flush();
            if (mapping.placement == Placement::compressed)
                read_compressed(offset, mapping, piece);
            else if (mapping.placement == Placement::unallocated)
                read_backing(offset, piece);
            else
                std::ranges::fill(piece, std::byte{0});
        }
        offset += mapping.length;
        buffer = buffer.subspan(piece.size());
    }
    flush();
}

void Qcow2Device::read_allocated(std::uint64_t guest_offset, std::uint64_t host_offset,
                                 std::span<std::byte> buffer) const {
    const std::uint64_t host_size = parts_.data->size();
    if (!is_stored(geometry_, host_offset, host_offset + buffer.size(), host_size) &&
        parts_.truncation == Tolerance::refuse)
        fail_beyond_end(guest_offset, host_offset, host_size);
    const std::uint64_t readable = host_offset < host_size ? host_size - host_offset : 0;
    const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(readable, buffer.size()));
    if (count != 0)
        parts_.data->read_at(host_offset, buffer.first(count));
    std::ranges::fill(buffer.subspan(count), std::byte{0});
}

void Qcow2Device::read_backing(std::uint64_t guest_offset, std::span<std::byte> buffer) const {
    const std::uint64_t size = parts_.backing ? parts_.backing->size() : 0;
    const std::uint64_t readable = guest_offset < size ? size - guest_offset : 0;
    const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(readable, buffer.size()));
    if (count != 0)
        parts_.backing->read_at(guest_offset, buffer.first(count));
    std::ranges::fill(buffer.subspan(count), std::byte{0});
}

void Qcow2Device::read_compressed(std::uint64_t guest_offset, const Mapping& mapping,
                                  std::span<std::byte> buffer) const {
    const std::uint64_t guest_cluster = align_down(guest_offset, geometry_.cluster_size);
    if (buffer.size() == geometry_.cluster_size) {
        decode(guest_cluster, mapping, buffer);
        return;
    }
    std::shared_ptr<const std::vector<std::byte>> bytes;
    {
        const std::lock_guard lock(mutex_);
        const auto found = std::ranges::find(decoded_, guest_cluster, &DecodedCluster::guest_offset);
        if (found != decoded_.end())
            bytes = found->bytes;
    }
    if (!bytes) {
        auto cluster = std::make_shared<std::vector<std::byte>>(geometry_.cluster_size);
        decode(guest_cluster, mapping, *cluster);
        bytes = cluster;
        const std::lock_guard lock(mutex_);
        decoded_.push_front({guest_cluster, bytes});
        if (decoded_.size() > max_decoded_)
            decoded_.pop_back();
    }
    const auto begin = static_cast<std::size_t>(guest_offset - guest_cluster);
    std::ranges::copy(std::span(*bytes).subspan(begin, buffer.size()), buffer.begin());
}

void Qcow2Device::decode(std::uint64_t guest_cluster, const Mapping& mapping, std::span<std::byte> cluster) const {
    // The last sector may lie behind the end of the file: the stream need not fill it.
    const std::uint64_t host_size = parts_.container->size();
    const std::uint64_t readable = mapping.host_offset < host_size ? host_size - mapping.host_offset : 0;
    const auto present = static_cast<std::size_t>(std::min(readable, mapping.host_length));
    Decoding result = Decoding::ends_early;
    if (present != 0) {
        auto decoder = decoders_.lease();
        const std::span<std::byte> compressed = decoder->input_buffer(present);
        parts_.container->read_at(mapping.host_offset, compressed);
        result = decoder->decode(compressed, cluster);
        if (result == Decoding::done)
            return;
    }
    // What contradicts itself is not made whole by bytes that are missing behind it.
    if (result == Decoding::broken || present == mapping.host_length)
        fail(ErrorKind::corrupt, fmt::format("the compressed cluster of guest offset {:#x}, at {:#x}, is broken",
                                             guest_cluster, mapping.host_offset));
    if (parts_.truncation == Tolerance::refuse)
        fail_beyond_end(guest_cluster, mapping.host_offset, host_size);
    std::ranges::fill(cluster, std::byte{0});
}

Extent Qcow2Device::extent_at(std::uint64_t offset) const {
    check_range(*this, offset, 1);
    const auto look = [&](std::uint64_t at) -> Extent {
        const Mapping mapping = parts_.tables->lookup(at, size() - at, RunRule::same_kind);
        if (mapping.placement == Placement::zero)
            return {mapping.length, ExtentKind::zero};
        if (mapping.placement != Placement::unallocated)
            return {mapping.length, ExtentKind::data};
        if (!parts_.backing || at >= parts_.backing->size())
            return {mapping.length, ExtentKind::unallocated};
        const Extent below = parts_.backing->extent_at(at);
        return {std::min(mapping.length, below.length), below.kind};
    };
    Extent extent = look(offset);
    for (std::uint64_t step = 1; step < kMaxExtentSteps && extent.length < size() - offset; ++step) {
        const Extent next = look(offset + extent.length);
        if (next.kind != extent.kind)
            break;
        extent.length += next.length;
    }
    return extent;
}

} // namespace vm2oci::qcow2
