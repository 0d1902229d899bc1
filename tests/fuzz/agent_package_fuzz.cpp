// Packages of agents: .deb, .rpm and archives, in every compression that these have.
#include "formats/base/error.hpp"
#include "libconvert/edit/agent_package.hpp"

#include <cstdlib>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    try {
        const vm2oci::AgentRequest agent =
            vm2oci::read_agent_package({reinterpret_cast<const char*>(data), size}, "fuzz");
        for (const auto& file : agent.files)
            if (!file.path.starts_with('/') || (file.path + '/').find("/../") != std::string::npos)
                std::abort();
    } catch (const vm2oci::Error&) {
    }
    return 0;
}
