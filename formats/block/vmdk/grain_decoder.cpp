#include "formats/block/vmdk/grain_decoder.hpp"

#include <libdeflate.h>

#include <algorithm>
#include <new>

namespace vm2oci::vmdk {

void GrainDecoder::Free::operator()(libdeflate_decompressor* decompressor) const {
    libdeflate_free_decompressor(decompressor);
}

GrainDecoder::GrainDecoder() : decompressor_(libdeflate_alloc_decompressor()) {
    if (!decompressor_)
        throw std::bad_alloc();
}

GrainDecoder::GrainDecoder(GrainDecoder&&) noexcept = default;
GrainDecoder& GrainDecoder::operator=(GrainDecoder&&) noexcept = default;
GrainDecoder::~GrainDecoder() = default;

std::span<std::byte> GrainDecoder::input_buffer(std::size_t size) {
    if (input_.size() < size)
        input_.resize(size);
    return std::span(input_).first(size);
}

bool GrainDecoder::decode(std::span<const std::byte> stream, std::uint64_t grain_size, std::span<std::byte> grain) {
    std::span<std::byte> target = grain;
    if (grain.size() < grain_size) {
        whole_.resize(static_cast<std::size_t>(grain_size));
        target = whole_;
    }
    std::size_t used = 0;
    std::size_t filled = 0;
    const libdeflate_result result = libdeflate_zlib_decompress_ex(decompressor_.get(), stream.data(), stream.size(),
                                                                   target.data(), target.size(), &used, &filled);
    if (result != LIBDEFLATE_SUCCESS || filled < grain.size())
        return false;
    if (target.data() != grain.data())
        std::ranges::copy(target.first(grain.size()), grain.begin());
    return true;
}

} // namespace vm2oci::vmdk
