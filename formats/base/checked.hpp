// Arithmetic on integers from untrusted input: every overflow is an Error{corrupt}, never a wrapped value.
#pragma once

#include "formats/base/error.hpp"

#include <concepts>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>

namespace vm2oci {

// `what` names the quantity in the message ("L1 table end").
template <std::unsigned_integral T>
T checked_add(T a, T b, std::string_view what) {
    T result{};
    if (__builtin_add_overflow(a, b, &result))
        fail(ErrorKind::corrupt, std::string(what) + " overflows");
    return result;
}

template <std::unsigned_integral T>
T checked_multiply(T a, T b, std::string_view what) {
    T result{};
    if (__builtin_mul_overflow(a, b, &result))
        fail(ErrorKind::corrupt, std::string(what) + " overflows");
    return result;
}

template <std::unsigned_integral T>
T checked_subtract(T a, T b, std::string_view what) {
    if (b > a)
        fail(ErrorKind::corrupt, std::string(what) + " is negative");
    return a - b;
}

// A value-preserving conversion, or Error{corrupt}.
template <std::integral To, std::integral From>
To checked_cast(From value, std::string_view what) {
    if (!std::in_range<To>(value))
        fail(ErrorKind::corrupt, std::string(what) + " is out of range");
    return static_cast<To>(value);
}

constexpr std::uint64_t divide_up(std::uint64_t value, std::uint64_t unit) {
    return value / unit + (value % unit != 0 ? 1 : 0);
}

// `unit` need not be a power of two. Error{corrupt} on overflow.
inline std::uint64_t align_up(std::uint64_t value, std::uint64_t unit, std::string_view what = "aligned offset") {
    return checked_multiply(divide_up(value, unit), unit, what);
}

constexpr std::uint64_t align_down(std::uint64_t value, std::uint64_t unit) {
    return value - value % unit;
}

} // namespace vm2oci
