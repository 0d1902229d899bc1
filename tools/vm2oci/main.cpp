#include "tools/vm2oci/application.hpp"

#include <unistd.h>

#include <iostream>

int main(int argc, char** argv) {
    const std::vector<std::string> arguments(argv + 1, argv + argc);
    return vm2oci::cli::run(arguments, std::cout, std::cerr, vm2oci::cli::install_signal_handlers());
}
