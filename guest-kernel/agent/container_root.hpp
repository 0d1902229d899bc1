// What a container's program finds in its root beside its image's files.
#pragma once

#include "formats/container/program.hpp"

#include "guest-kernel/agent/network.hpp"

#include <string>
#include <string_view>

namespace vm2oci::guest {

// /dev/pts, /dev/shm, /dev/mqueue and cgroups, the links of /dev, and the image's folders that are not there: volumes
// and the working folder. What cannot be had is told on the console, and left.
void furnish_root(const ContainerProgram& program);

// /etc/hostname, /etc/hosts (where the image has none that knows "localhost") and, with servers, /etc/resolv.conf. A
// link in their place is replaced, wherever it leads: such an image expects its runtime to do that.
void write_names(const ContainerProgram& program, const NetworkNames& names);

// The image's /etc/hosts, or one with what is always there, and the machine's own name in it.
std::string hosts_text(std::string_view image, const std::string& hostname, const std::string& address);
// "": no servers.
std::string resolver_text(const NetworkNames& names);

// On the console, as a line of vm2oci-init's.
void say_line(const std::string& text);

} // namespace vm2oci::guest
