// What a root file system lacks to be Kata's guest image: the user's agent, who starts it, and what it mounts things
// on.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci {

enum class SandboxInit {
    systemd, // the agent is a unit of it
    agent,   // the agent is process 1
};

struct SandboxFile {
    enum class Kind {
        agent,       // the user's program
        file,        // with `text`
        link,        // to `text`
        folder,      // where there is none
        mount_point, // an empty file where there is none, or a link: nothing can be mounted on that
    };
    Kind kind = Kind::file;
    std::string path; // absolute
    std::string text{};
    std::uint32_t permissions = 0644;
    std::string reason;
};

// In the order in which they are made. What is there by other means than Kind allows is replaced.
std::vector<SandboxFile> sandbox_files(SandboxInit init);

// Of a root that has the files for which `exists` says so.
SandboxInit sandbox_init_of(const std::function<bool(std::string_view path)>& exists);

// Error{unsupported}: the agent is a program for another architecture (GOARCH; "": not known), or one that needs a
// loader that the root does not have. Whatever is no ELF program is taken as it is.
void refuse_unfit_agent(const std::filesystem::path& agent, std::string_view architecture,
                        const std::function<bool(std::string_view path)>& exists);

} // namespace vm2oci
