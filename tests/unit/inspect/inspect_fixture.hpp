// Guests of a few files, looked into as a whole.
#pragma once

#include "formats/base/error.hpp"
#include "formats/block/empty.hpp"
#include "libconvert/inspect/guest_info.hpp"
#include "tests/support/memory_guest.hpp"

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vm2oci::test {

using Words = std::vector<std::string>;

inline OpenedGuest opened_of(MemoryGuest guest) {
    OpenedGuest opened;
    opened.guest = std::make_unique<MemoryGuest>(std::move(guest));
    return opened;
}

inline GuestInfo inspect(MemoryGuest guest, LargeFiles large_files = LargeFiles::read) {
    return inspect_guest(opened_of(std::move(guest)), {}, large_files);
}

// The head of an ELF file (System V ABI): class, order of bytes, and the machine at byte 18.
inline std::string elf_head(unsigned machine, bool is_64_bit = true, bool big_endian = false) {
    std::string head(64, '\0');
    head.replace(0, 4,
                 "\x7f"
                 "ELF");
    head[4] = is_64_bit ? 2 : 1;
    head[5] = big_endian ? 2 : 1;
    head[big_endian ? 19 : 18] = static_cast<char>(machine & 0xff);
    head[big_endian ? 18 : 19] = static_cast<char>(machine >> 8);
    return head;
}

inline void put_bytes(std::string& bytes, std::size_t at, std::uint64_t value, unsigned size) {
    for (unsigned i = 0; i < size; ++i)
        bytes.at(at + i) = static_cast<char>(value >> 8 * i);
}

// A PE image's head (Microsoft, PE Format): where its header lies stands at 0x3c, the machine behind "PE\0\0".
inline std::string pe_head(unsigned machine, std::size_t header_at = 0x80, bool is_signed = false, bool plus = true) {
    std::string head(header_at + 24 + 112 + 16 * 8, '\0');
    head.replace(0, 2, "MZ");
    put_bytes(head, 0x3c, header_at, 4);
    head.replace(header_at, 2, "PE");
    put_bytes(head, header_at + 4, machine, 2);
    put_bytes(head, header_at + 24, plus ? 0x20b : 0x10b, 2);
    if (is_signed) // the fifth directory: where the certificates lie, and how large they are
        put_bytes(head, header_at + 24 + (plus ? 112 : 96) + 4 * 8 + 4, 2000, 4);
    return head;
}

} // namespace vm2oci::test
