// Who a container's program runs as: "USER[:GROUP]" of an image, looked up in the image's own /etc/passwd and
// /etc/group, as runc's libcontainer/user does it. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci {

struct ContainerUser {
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    std::vector<std::uint32_t> groups; // supplementary, ascending, each once
    std::string home = "/";
    bool operator==(const ContainerUser&) const = default;
};

// A number stands for itself, whether or not anybody has it; then the group is that of the user's entry, else 0. With a
// group that is named there are no supplementary groups. "" is user 0. Lines that are no entries are passed over.
// Error{unsupported}: a name that nobody has, or a number that no user can have.
ContainerUser find_container_user(std::string_view user, std::string_view passwd, std::string_view group);

} // namespace vm2oci
