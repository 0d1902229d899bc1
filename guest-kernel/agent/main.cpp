// vm2oci's program inside of guests: /init of an initramfs as process 1, else the readiness agent.
#include "guest-kernel/agent/agent.hpp"
#include "guest-kernel/agent/init.hpp"
#include <unistd.h>

#include <cstdio>
#include <string_view>

int main(int count, char** arguments) {
    if (::getpid() == 1)
        return vm2oci::guest::run_init(count, arguments);
    if (count == 1)
        return vm2oci::guest::run_agent();
    if (count == 3 && std::string_view(arguments[1]) == "--port")
        return vm2oci::guest::run_agent(arguments[2]);
    std::fputs("usage: vm2oci-agent [--port DEVICE]\n", stderr);
    return 2;
}
