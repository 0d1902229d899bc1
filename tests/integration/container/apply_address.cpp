// apply_address WORDS: what vm2oci's init makes of ip=WORDS, in the network namespace that it is started in. Prints
// what becomes of /etc/resolv.conf and the address that is known for the machine.
#include "guest-kernel/agent/address_words.hpp"
#include "guest-kernel/agent/network.hpp"

#include <cstdlib>
#include <iostream>

int main(int argc, char** argv) {
    using namespace vm2oci::guest;
    if (argc != 2)
        return EXIT_FAILURE;
    const NetworkNames names = set_up_network(parse_address_words(argv[1]));
    std::cout << "address " << names.address << '\n';
    for (const std::string& server : names.name_servers)
        std::cout << "nameserver " << server << '\n';
    return EXIT_SUCCESS;
}
