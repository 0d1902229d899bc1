#include "formats/codec/earlier_frames.hpp"

#include "formats/codec/frame_checksum.hpp"

#include <cstring>

namespace vm2oci {
namespace {

constexpr unsigned kMaxCandidates = 4; // of the same checksum; a table may name one that does not hold it many times

} // namespace

bool EarlierFrames::add(std::shared_ptr<const BlockDevice> layer, const std::optional<FrameNotes>& notes) {
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
    if (notes)
        add_notes(*notes, number, layer->size());
    layers_.push_back(std::move(layer));
    return true;
}

void EarlierFrames::add_notes(const FrameNotes& notes, std::uint32_t number, std::uint64_t layer_size) {
    if (noted_.empty())
        key_ = notes.key;
    if (notes.key != key_)
        return;
    for (const FrameNote& note : notes.frames)
        if (note.frame.compressed_size <= layer_size && note.offset <= layer_size - note.frame.compressed_size)
            noted_.try_emplace(note.content, Noted{number, note});
}

FrameNote EarlierFrames::Finder::find(std::span<const std::byte> content, std::span<std::byte> out) {
    FrameNote note;
    note.frame.content_size = static_cast<std::uint32_t>(content.size());
    note.content = fingerprint_(content);
    if (take_noted(note, out))
        return note;
    note.frame.checksum = frame_checksum(content);
    if (take_decoded(note, content, out))
        note.stored = fingerprint_(out.first(note.frame.compressed_size));
    return note;
}

void EarlierFrames::Finder::note_stored(FrameNote& note, std::span<const std::byte> stored) {
    note.frame.compressed_size = static_cast<std::uint32_t>(stored.size());
    note.stored = fingerprint_(stored);
}

// What was noted was decoded or compressed then; that the layer still holds it is what is left to find out.
bool EarlierFrames::Finder::take_noted(FrameNote& note, std::span<std::byte> out) {
    const auto found = frames_.noted_.find(note.content);
    if (found == frames_.noted_.end())
        return false;
    const FrameNote& known = found->second.note;
    if (known.frame.content_size != note.frame.content_size || known.frame.compressed_size > out.size())
        return false;
    const std::span<std::byte> stored = out.first(known.frame.compressed_size);
    frames_.layers_[found->second.layer]->read_at(known.offset, stored);
    if (fingerprint_(stored) != known.stored)
        return false;
    note = known;
    return true;
}

bool EarlierFrames::Finder::take_decoded(FrameNote& note, std::span<const std::byte> content,
                                         std::span<std::byte> out) {
    const auto [first, last] = frames_.places_.equal_range(key(note.frame.checksum, note.frame.content_size));
    for (auto candidate = first; candidate != last; ++candidate) {
        const Place& place = candidate->second;
        if (place.stored_size > out.size())
            continue;
        const std::span<std::byte> stored = out.first(place.stored_size);
        frames_.layers_[place.layer]->read_at(place.stored_offset, stored);
        decoded_.resize(content.size());
        if (frame_states_size(stored, content.size()) && decoder_.decode(stored, decoded_).empty() &&
            std::memcmp(decoded_.data(), content.data(), content.size()) == 0) {
            note.frame.compressed_size = place.stored_size;
            return true;
        }
    }
    return false;
}

} // namespace vm2oci
