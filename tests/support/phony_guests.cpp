#include "tests/support/phony_parts.hpp"

#include <stdexcept>

namespace vm2oci::test {

std::vector<PhonyGuest> phony_guests() {
    std::vector<PhonyGuest> all;
    for (void (*add)(std::vector<PhonyGuest>&) :
         {add_red_hat_guests, add_suse_guests, add_debian_guests, add_other_guests})
        add(all);
    for (std::size_t i = 0, installed = all.size(); i < installed; ++i)
        all.push_back(as_vmware_keeps_it(all[i]));
    for (void (*add)(std::vector<PhonyGuest>&) :
         {add_red_hat_clouds, add_suse_clouds, add_debian_clouds, add_other_clouds})
        add(all);
    return all;
}

PhonyGuest phony_guest(std::string_view name) {
    for (PhonyGuest& each : phony_guests())
        if (each.name == name)
            return std::move(each);
    throw std::invalid_argument("there is no phony guest " + std::string(name));
}

} // namespace vm2oci::test
