#include "formats/codec/earlier_frames.hpp"

#include "formats/codec/frame_checksum.hpp"

#include <cstring>

namespace vm2oci {
namespace {

constexpr unsigned kMaxCandidates = 4; // of the same checksum; a table may name one that does not hold it many times

} // namespace

bool EarlierFrames::add(std::shared_ptr<const BlockDevice> layer, const std::optional<FrameIndex>& index) {
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
    if (index)
        add_index(*index, number, layer->size());
    layers_.push_back(std::move(layer));
    return true;
}

void EarlierFrames::add_index(const FrameIndex& index, std::uint32_t number, std::uint64_t layer_size) {
    if (indexed_.empty())
        key_ = index.key;
    if (index.key != key_)
        return;
    for (const IndexedFrame& indexed : index.frames)
        if (indexed.frame.compressed_size <= layer_size && indexed.offset <= layer_size - indexed.frame.compressed_size)
            indexed_.try_emplace(indexed.content, Known{number, indexed});
}

IndexedFrame EarlierFrames::Finder::find(std::span<const std::byte> content, std::span<std::byte> out) {
    IndexedFrame indexed;
    indexed.frame.content_size = static_cast<std::uint32_t>(content.size());
    indexed.content = fingerprint_(content);
    if (take_indexed(indexed, out))
        return indexed;
    indexed.frame.checksum = frame_checksum(content);
    if (take_decoded(indexed, content, out))
        indexed.stored = fingerprint_(out.first(indexed.frame.compressed_size));
    return indexed;
}

void EarlierFrames::Finder::complete(IndexedFrame& indexed, std::span<const std::byte> stored) {
    indexed.frame.compressed_size = static_cast<std::uint32_t>(stored.size());
    indexed.stored = fingerprint_(stored);
}

// What was indexed was decoded or compressed then; that the layer still holds it is what is left to find out.
bool EarlierFrames::Finder::take_indexed(IndexedFrame& indexed, std::span<std::byte> out) {
    const auto found = frames_.indexed_.find(indexed.content);
    if (found == frames_.indexed_.end())
        return false;
    const IndexedFrame& known = found->second.indexed;
    if (known.frame.content_size != indexed.frame.content_size || known.frame.compressed_size > out.size())
        return false;
    const std::span<std::byte> stored = out.first(known.frame.compressed_size);
    frames_.layers_[found->second.layer]->read_at(known.offset, stored);
    if (fingerprint_(stored) != known.stored)
        return false;
    indexed = known;
    return true;
}

bool EarlierFrames::Finder::take_decoded(IndexedFrame& indexed, std::span<const std::byte> content,
                                         std::span<std::byte> out) {
    const auto [first, last] = frames_.places_.equal_range(key(indexed.frame.checksum, indexed.frame.content_size));
    for (auto candidate = first; candidate != last; ++candidate) {
        const Place& place = candidate->second;
        if (place.stored_size > out.size())
            continue;
        const std::span<std::byte> stored = out.first(place.stored_size);
        frames_.layers_[place.layer]->read_at(place.stored_offset, stored);
        decoded_.resize(content.size());
        if (frame_states_size(stored, content.size()) && decoder_.decode(stored, decoded_).empty() &&
            std::memcmp(decoded_.data(), content.data(), content.size()) == 0) {
            indexed.frame.compressed_size = place.stored_size;
            return true;
        }
    }
    return false;
}

} // namespace vm2oci
