// rpm's own database (lib/backend/ndb/rpmpkg.c): pages of slots, each of which names a blob in units of 16 bytes.
#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"
#include "formats/rpm/readers.hpp"

#include <algorithm>

namespace vm2oci::rpm {
namespace {

constexpr std::uint64_t kPageSize = 4096;
constexpr std::uint64_t kSlotSize = 16;
constexpr std::uint64_t kHeaderSlots = 2;
constexpr std::uint64_t kUnit = 16;
constexpr std::uint32_t kSlotMagic = 0x746f6c53; // "Slot"
constexpr std::uint32_t kBlobMagic = 0x53626c42; // "BlbS"
constexpr std::uint64_t kBlobHeader = 16;        // magic, package, generation, length
constexpr std::uint64_t kBlobTail = 12;          // magic, checksum, length

void read_blob(const RpmDatabaseFile& database, std::uint32_t package, std::uint64_t offset, std::uint64_t room,
               const VisitRpmHeader& visit) {
    const std::vector<std::byte> head = read_bytes(*database.file, database.size, offset, kBlobHeader);
    const std::uint64_t length = load_le<std::uint32_t>(head.data() + 12);
    if (load_le<std::uint32_t>(head.data()) != kBlobMagic || load_le<std::uint32_t>(head.data() + 4) != package ||
        room < kBlobHeader + kBlobTail || length > room - kBlobHeader - kBlobTail)
        fail(ErrorKind::corrupt, "a package in the RPM database is damaged");
    visit(read_bytes(*database.file, database.size, offset + kBlobHeader, length));
}

} // namespace

void read_ndb(const RpmDatabaseFile& database, const VisitRpmHeader& visit) {
    const std::vector<std::byte> head = read_bytes(*database.file, database.size, 0, kHeaderSlots * kSlotSize);
    if (load_le<std::uint32_t>(head.data() + 4) != 0)
        fail(ErrorKind::unsupported, "the RPM database (ndb) is of a later version than is known here");
    const std::uint64_t pages = load_le<std::uint32_t>(head.data() + 12);
    if (pages == 0 || pages > database.size / kPageSize)
        fail(ErrorKind::corrupt, "the RPM database has more pages than its file");
    std::uint64_t total = 0; // slots may name the same blob again and again
    for (std::uint64_t page = 0; page < pages; ++page) {
        const std::vector<std::byte> slots = read_bytes(*database.file, database.size, page * kPageSize, kPageSize);
        for (std::uint64_t i = page == 0 ? kHeaderSlots : 0; i < kPageSize / kSlotSize; ++i) {
            const std::byte* slot = slots.data() + i * kSlotSize;
            if (load_le<std::uint32_t>(slot) != kSlotMagic)
                fail(ErrorKind::corrupt, "the RPM database's table is damaged");
            const auto package = load_le<std::uint32_t>(slot + 4);
            const std::uint64_t offset = load_le<std::uint32_t>(slot + 8) * kUnit;
            const std::uint64_t room = load_le<std::uint32_t>(slot + 12) * kUnit;
            if (package == 0)
                continue;
            total += room;
            if (total > database.size)
                fail(ErrorKind::corrupt, "the RPM database's packages overlap");
            read_blob(database, package, offset, room, visit);
        }
    }
}

} // namespace vm2oci::rpm
