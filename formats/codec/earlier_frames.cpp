#include "formats/codec/earlier_frames.hpp"

#include <cstring>

namespace vm2oci {
namespace {

constexpr unsigned kMaxCandidates = 4; // of the same checksum; a table may name one that does not hold it many times

} // namespace

bool EarlierFrames::add(std::shared_ptr<const BlockDevice> layer) {
    const std::optional<SeekTable> table = read_seek_table(*layer);
    if (!table || !table->has_checksums)
        return false;
    const auto number = static_cast<std::uint32_t>(layers_.size());
    std::uint64_t offset = 0;
    for (const EncodedFrame& frame : table->frames) {
        if (frame.content_size != 0 && places_.count(key(frame.checksum, frame.content_size)) < kMaxCandidates)
            places_.insert({key(frame.checksum, frame.content_size), Place{number, frame.compressed_size, offset}});
        offset += frame.compressed_size;
    }
    layers_.push_back(std::move(layer));
    return true;
}

std::size_t EarlierFrames::Finder::find(std::span<const std::byte> content, std::uint32_t checksum,
                                        std::span<std::byte> out) {
    const auto [first, last] = frames_.places_.equal_range(key(checksum, static_cast<std::uint32_t>(content.size())));
    for (auto candidate = first; candidate != last; ++candidate) {
        const Place& place = candidate->second;
        if (place.stored_size > out.size())
            continue;
        const std::span<std::byte> stored = out.first(place.stored_size);
        frames_.layers_[place.layer]->read_at(place.stored_offset, stored);
        decoded_.resize(content.size());
        if (frame_states_size(stored, content.size()) && decoder_.decode(stored, decoded_).empty() &&
            std::memcmp(decoded_.data(), content.data(), content.size()) == 0)
            return stored.size();
    }
    return 0;
}

} // namespace vm2oci
