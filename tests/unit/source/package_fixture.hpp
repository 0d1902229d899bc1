// Archives of machines in memory.
#pragma once

#include "formats/base/message_digest.hpp"
#include "formats/base/sha256.hpp"
#include "formats/block/block_device.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vm2oci {

class TextDevice final : public BlockDevice {
  public:
    explicit TextDevice(std::string text) : text_(std::move(text)) {}
    std::uint64_t size() const override { return text_.size(); }
    void read_at(std::uint64_t offset, std::span<std::byte> buffer) const override {
        check_range(*this, offset, buffer.size());
        const auto bytes = std::as_bytes(std::span(text_));
        std::ranges::copy(bytes.subspan(static_cast<std::size_t>(offset), buffer.size()), buffer.begin());
    }
    Extent extent_at(std::uint64_t offset) const override { return {text_.size() - offset, ExtentKind::data}; }

  private:
    std::string text_;
};

// One member of a ustar archive; `size` may lie.
inline std::string tar_member(const std::string& name, const std::string& content, char type = '0',
                              std::optional<std::uint64_t> size = std::nullopt, const std::string& link = "") {
    std::string header(512, '\0');
    const auto put = [&](std::size_t at, const std::string& text) { header.replace(at, text.size(), text); };
    const auto octal = [](std::uint64_t value, int digits) {
        char text[32];
        std::snprintf(text, sizeof text, "%0*llo", digits, static_cast<unsigned long long>(value));
        return std::string(text);
    };
    put(0, name);
    put(100, "0000644");
    put(108, "0000000");
    put(116, "0000000");
    put(124, octal(size.value_or(content.size()), 11));
    put(136, "00000000000");
    header[156] = type;
    put(157, link);
    put(257, std::string("ustar\0"
                         "00",
                         8));
    put(148, "        ");
    std::uint64_t sum = 0;
    for (const char c : header)
        sum += static_cast<unsigned char>(c);
    put(148, octal(sum, 6) + std::string("\0 ", 2));
    return header + content + std::string((512 - content.size() % 512) % 512, '\0');
}

inline std::string tar_of(const std::vector<std::string>& members) {
    std::string all;
    for (const std::string& member : members)
        all += member;
    return all + std::string(1024, '\0');
}

inline std::string digest_line(HashAlgorithm algorithm, const std::string& name, const std::string& content) {
    MessageDigest hash(algorithm);
    hash.update(std::as_bytes(std::span(content)));
    return std::string(to_string(algorithm)) + "(" + name + ")= " + to_hex(hash.finish()) + "\n";
}

} // namespace vm2oci
