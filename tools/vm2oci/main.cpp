#include "tools/vm2oci/application.hpp"

#include <malloc.h>
#include <unistd.h>

#include <iostream>

int main(int argc, char** argv) {
    // Frames of layers come and go by the MiB: given back to the kernel each time, their pages cost a good part of the
    // CPU of reading an image.
    constexpr int kKept = 32 << 20;
    ::mallopt(M_TRIM_THRESHOLD, kKept);
    ::mallopt(M_MMAP_THRESHOLD, kKept);
    const std::vector<std::string> arguments(argv + 1, argv + argc);
    return vm2oci::cli::run(arguments, std::cout, std::cerr, vm2oci::cli::install_signal_handlers());
}
