// Integers in byte buffers, of either byte order and any alignment. The caller has checked the bounds: spans are
// fixed-size windows, so use span.subspan(offset).first<N>() at the call, which asserts in hardened builds.
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace vm2oci {

template <std::unsigned_integral T>
constexpr T byte_swap(T value) {
    if constexpr (sizeof(T) == 1)
        return value;
    else if constexpr (sizeof(T) == 2)
        return __builtin_bswap16(value);
    else if constexpr (sizeof(T) == 4)
        return __builtin_bswap32(value);
    else
        return __builtin_bswap64(value);
}

template <std::unsigned_integral T>
T load_le(const std::byte* at) {
    T value;
    std::memcpy(&value, at, sizeof value);
    return std::endian::native == std::endian::little ? value : byte_swap(value);
}

template <std::unsigned_integral T>
T load_be(const std::byte* at) {
    T value;
    std::memcpy(&value, at, sizeof value);
    return std::endian::native == std::endian::big ? value : byte_swap(value);
}

template <std::unsigned_integral T>
void store_le(std::byte* at, T value) {
    value = std::endian::native == std::endian::little ? value : byte_swap(value);
    std::memcpy(at, &value, sizeof value);
}

template <std::unsigned_integral T>
void store_be(std::byte* at, T value) {
    value = std::endian::native == std::endian::big ? value : byte_swap(value);
    std::memcpy(at, &value, sizeof value);
}

} // namespace vm2oci
