// What a Windows guest says of itself.
#pragma once

#include <optional>
#include <string>

namespace vm2oci {

// From its registry (SOFTWARE, Microsoft\\Windows NT\\CurrentVersion). Raw text of the guest; empty: not said.
struct WindowsFacts {
    std::string product;      // "Windows Server 2019 Standard"
    std::string edition;      // "ServerStandard"
    std::string version;      // "10.0", of the NT kernel
    std::string build;        // "17763.1234", the second number where it is known
    std::string release;      // "1809", "22H2"
    std::string kind;         // "Client", "Server", "Server Core"
    std::string architecture; // as in images: "amd64"
    std::string hostname;
};

} // namespace vm2oci
