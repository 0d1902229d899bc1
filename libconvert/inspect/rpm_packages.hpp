// Inside of the room: rpm's database in a guest.
#pragma once

#include "formats/rpm/header.hpp"
#include "libconvert/guest/guest.hpp"

#include <functional>

namespace vm2oci::inspect {

// False: there is none. Public keys, which rpm keeps among the packages, are left out. Error as for_each_rpm_header().
bool for_each_rpm_package(const Guest& guest, RpmFiles files, const std::function<void(RpmPackage)>& visit);

} // namespace vm2oci::inspect
