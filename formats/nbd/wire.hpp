// Building and taking apart NBD messages.
#pragma once

#include "formats/base/endian.hpp"

#include <concepts>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci {

class NbdMessage {
  public:
    template <std::unsigned_integral T>
    NbdMessage& put(T value) {
        const std::size_t at = bytes_.size();
        bytes_.resize(at + sizeof value);
        store_be(bytes_.data() + at, value);
        return *this;
    }
    NbdMessage& put_text(std::string_view text) {
        const auto* begin = reinterpret_cast<const std::byte*>(text.data());
        bytes_.insert(bytes_.end(), begin, begin + text.size());
        return *this;
    }
    std::span<const std::byte> bytes() const { return bytes_; }

  private:
    std::vector<std::byte> bytes_;
};

// Takes integers off the front of a buffer; ok() is false once it ran out.
class NbdReader {
  public:
    explicit NbdReader(std::span<const std::byte> bytes) : rest_(bytes) {}

    template <std::unsigned_integral T>
    T take() {
        if (rest_.size() < sizeof(T)) {
            ok_ = false;
            return 0;
        }
        const T value = load_be<T>(rest_.data());
        rest_ = rest_.subspan(sizeof(T));
        return value;
    }
    std::string_view take_text(std::size_t length) {
        if (rest_.size() < length) {
            ok_ = false;
            return {};
        }
        const std::string_view text(reinterpret_cast<const char*>(rest_.data()), length);
        rest_ = rest_.subspan(length);
        return text;
    }
    bool ok() const { return ok_; }
    bool empty() const { return rest_.empty(); }

  private:
    std::span<const std::byte> rest_;
    bool ok_ = true;
};

} // namespace vm2oci
