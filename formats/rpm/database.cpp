#include "formats/rpm/database.hpp"

#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"
#include "formats/rpm/readers.hpp"

#include <cstring>
#include <string_view>

namespace vm2oci {

std::vector<std::byte> rpm::read_bytes(const ByteSource& file, std::uint64_t size, std::uint64_t offset,
                                       std::uint64_t length) {
    if (offset > size || length > size - offset)
        fail(ErrorKind::corrupt, "the RPM database names bytes beyond its end");
    std::vector<std::byte> bytes(static_cast<std::size_t>(length));
    if (file.read_some_at(offset, bytes) != bytes.size())
        fail(ErrorKind::corrupt, "the RPM database ends before its size");
    return bytes;
}

void for_each_rpm_header(const RpmDatabaseFile& database, const VisitRpmHeader& visit) {
    constexpr std::string_view kSqlite("SQLite format 3\0", 16);
    constexpr std::uint32_t kHashMagic = 0x061561;
    if (database.size > kMaxRpmDatabase)
        fail(ErrorKind::limit, "the RPM database is larger than any real one");
    if (database.size < 32)
        fail(ErrorKind::corrupt, "the RPM database is empty");
    const std::vector<std::byte> head = rpm::read_bytes(*database.file, database.size, 0, 32);
    const std::uint32_t magic = load_le<std::uint32_t>(head.data() + 12);
    if (std::memcmp(head.data(), kSqlite.data(), kSqlite.size()) == 0)
        rpm::read_sqlite(database, visit);
    else if (std::memcmp(head.data(), "RpmP", 4) == 0)
        rpm::read_ndb(database, visit);
    else if (magic == kHashMagic || byte_swap(magic) == kHashMagic)
        rpm::read_berkeley_hash(database, visit);
    else
        fail(ErrorKind::unsupported, "the RPM database is neither sqlite, ndb nor a hash of Berkeley DB");
}

} // namespace vm2oci
