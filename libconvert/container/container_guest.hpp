// The files of a container image as a guest's, for what reads guests: the list of packages.
#pragma once

#include "libconvert/container/container_files.hpp"
#include "libconvert/guest/open_guest.hpp"

#include <memory>

namespace vm2oci {

// Reads the tree as it is now; `files` lives as long as the guest, and what it stands on must, too.
OpenedGuest guest_of_container(std::shared_ptr<const ContainerFiles> files);

} // namespace vm2oci
