#include "formats/btrfs/lzo.hpp"

#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"

#include <algorithm>
#include <cstdint>

namespace vm2oci::btrfs {
namespace {

class LzoDecoder {
  public:
    LzoDecoder(std::span<const std::byte> stored, std::span<std::byte> out) : in_(stored), out_(out) {}

    std::size_t run() {
        if (!in_.empty() && std::to_integer<unsigned>(in_.front()) > 17)
            begin_with_literals();
        while (step()) {
        }
        if (at_ != in_.size())
            fail_stream();
        return filled_;
    }

  private:
    // What the last instruction left: so many literals, a run of four and more, or nothing that counts.
    static constexpr unsigned kAfterRun = 4;

    [[noreturn]] static void fail_stream() {
        fail(ErrorKind::corrupt, "a stream of LZO in the btrfs file system is damaged");
    }

    unsigned take() {
        if (at_ == in_.size())
            fail_stream();
        return std::to_integer<unsigned>(in_[at_++]);
    }
    unsigned take_pair() {
        const unsigned low = take();
        return low | take() << 8U;
    }
    // `value` if it is not zero, else what zeros of 255 each and the byte behind them add to `base`.
    std::size_t length_of(unsigned value, std::size_t base) {
        if (value != 0)
            return value;
        std::size_t length = base;
        unsigned next = take();
        for (; next == 0; next = take())
            length += 255;
        return length + next;
    }

    void copy_literals(std::size_t length) {
        if (length > in_.size() - at_ || length > out_.size() - filled_)
            fail_stream();
        std::copy_n(in_.begin() + static_cast<std::ptrdiff_t>(at_), length,
                    out_.begin() + static_cast<std::ptrdiff_t>(filled_));
        at_ += length;
        filled_ += length;
    }
    // The two may overlap: what was just written is copied on.
    void copy_match(std::size_t distance, std::size_t length) {
        if (distance > filled_ || length > out_.size() - filled_)
            fail_stream();
        for (std::size_t i = 0; i < length; ++i, ++filled_)
            out_[filled_] = out_[filled_ - distance];
    }
    void finish_match(unsigned literals) {
        copy_literals(literals);
        state_ = literals;
    }

    void begin_with_literals() {
        const unsigned length = take() - 17;
        copy_literals(length);
        state_ = std::min(length, kAfterRun);
    }

    // False: the stream's end.
    bool step() {
        const unsigned code = take();
        if (code >= 64) {
            const std::size_t length = code >= 128 ? 5 + (code >> 5U & 3U) : 3 + (code >> 5U & 1U);
            const std::size_t distance = (std::size_t{take()} << 3U) + (code >> 2U & 7U) + 1;
            copy_match(distance, length);
            finish_match(code & 3U);
        } else if (code >= 32) {
            const std::size_t length = 2 + length_of(code & 31U, 31);
            const unsigned pair = take_pair();
            copy_match((pair >> 2U) + 1, length);
            finish_match(pair & 3U);
        } else if (code >= 16) {
            const std::size_t length = 2 + length_of(code & 7U, 7);
            const unsigned pair = take_pair();
            const std::size_t distance = 16384 + (std::size_t{code & 8U} << 11U) + (pair >> 2U);
            if (distance == 16384)
                return false;
            copy_match(distance, length);
            finish_match(pair & 3U);
        } else if (state_ == 0) {
            copy_literals(3 + length_of(code, 15));
            state_ = kAfterRun;
        } else {
            const bool is_after_run = state_ == kAfterRun;
            const std::size_t distance = (std::size_t{take()} << 2U) + (code >> 2U) + (is_after_run ? 2049 : 1);
            copy_match(distance, is_after_run ? 3 : 2);
            finish_match(code & 3U);
        }
        return true;
    }

    std::span<const std::byte> in_;
    std::span<std::byte> out_;
    std::size_t at_ = 0;
    std::size_t filled_ = 0;
    unsigned state_ = 0;
};

} // namespace

std::size_t decode_lzo(std::span<const std::byte> stored, std::span<std::byte> out) {
    return LzoDecoder(stored, out).run();
}

} // namespace vm2oci::btrfs
