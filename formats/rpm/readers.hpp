// Inside of the room: one reader for each kind of file.
#pragma once

#include "formats/rpm/database.hpp"

#include <vector>

namespace vm2oci::rpm {

// Exactly `length` bytes. Error{corrupt} beyond `size`.
std::vector<std::byte> read_bytes(const ByteSource& file, std::uint64_t size, std::uint64_t offset,
                                  std::uint64_t length);

void read_sqlite(const RpmDatabaseFile& database, const VisitRpmHeader& visit);
void read_ndb(const RpmDatabaseFile& database, const VisitRpmHeader& visit);
void read_berkeley_hash(const RpmDatabaseFile& database, const VisitRpmHeader& visit);

} // namespace vm2oci::rpm
