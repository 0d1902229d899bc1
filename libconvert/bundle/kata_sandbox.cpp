#include "libconvert/bundle/kata_sandbox.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/base/fd.hpp"
#include "libconvert/edit/elf_needs.hpp"

#include <elf.h>
#include <fmt/format.h>

#include <optional>

namespace vm2oci {
namespace {

constexpr std::size_t kMaxAgent = 512ull * 1024 * 1024; // Kata's has some 30 MiB, with debugging symbols 200

// What a sandbox does without: devices come from the runtime, logs go to the console, and nothing outlives it.
constexpr const char* kMaskedUnits[] = {
    "systemd-coredump@.service",    "systemd-journal-flush.service", "systemd-journald-dev-log.socket",
    "systemd-journald.service",     "systemd-journald.socket",       "systemd-random-seed.service",
    "systemd-timesyncd.service",    "systemd-tmpfiles-clean.timer",  "systemd-tmpfiles-setup.service",
    "systemd-udev-trigger.service", "systemd-udevd-control.socket",  "systemd-udevd-kernel.socket",
    "systemd-udevd.service",        "systemd-update-utmp.service",
};

// The runtime starts the guest with systemd.unit=kata-containers.target.
constexpr const char* kTarget = R"([Unit]
Description=Kata Containers sandbox
Requires=basic.target kata-agent.service
After=basic.target rescue.service rescue.target
Conflicts=rescue.service rescue.target
Wants=tmp.mount
AllowIsolate=yes
)";
constexpr const char* kService = R"([Unit]
Description=Kata Containers agent
Wants=kata-containers.target

[Service]
Type=simple
ExecStart=/usr/bin/kata-agent
StandardOutput=tty
LimitNOFILE=1048576
OOMScoreAdjust=-997
FailureAction=poweroff
ExecStop=/bin/sync ; /usr/bin/systemctl --force poweroff
)";

std::optional<std::uint16_t> elf_machine_of(std::string_view architecture) {
    return architecture == "amd64"   ? std::optional<std::uint16_t>(EM_X86_64)
           : architecture == "arm64" ? std::optional<std::uint16_t>(EM_AARCH64)
                                     : std::nullopt;
}

} // namespace

std::vector<SandboxFile> sandbox_files(SandboxInit init) {
    using Kind = SandboxFile::Kind;
    std::vector<SandboxFile> files;
    for (const char* folder : {"/proc", "/sys", "/dev", "/run"})
        files.push_back({Kind::folder, folder, "", 0755, "the kernel's own file systems are mounted there"});
    files.push_back({Kind::folder, "/tmp", "", 01777, "a temporary file system is mounted there"});
    if (init == SandboxInit::systemd) {
        files.push_back({Kind::agent, "/usr/bin/kata-agent", "", 0755, "the agent that the runtime talks to"});
        files.push_back(
            {Kind::file, "/etc/systemd/system/kata-containers.target", kTarget, 0644, "what the runtime starts"});
        files.push_back(
            {Kind::file, "/etc/systemd/system/kata-agent.service", kService, 0644, "what the runtime starts"});
        for (const char* unit : kMaskedUnits)
            files.push_back({Kind::link, std::string("/etc/systemd/system/") + unit, "/dev/null", 0777,
                             "a sandbox does without, and its root cannot be written to"});
    } else {
        files.push_back({Kind::agent, "/sbin/init", "", 0755, "the agent is the sandbox's init"});
    }
    files.push_back({Kind::file, "/etc/machine-id", "", 0644, "systemd mounts one over it"});
    files.push_back({Kind::mount_point, "/etc/resolv.conf", "", 0644, "the agent mounts the sandbox's over it"});
    return files;
}

SandboxInit sandbox_init_of(const std::function<bool(std::string_view path)>& exists) {
    return exists("/usr/lib/systemd/systemd") || exists("/lib/systemd/systemd") ? SandboxInit::systemd
                                                                                : SandboxInit::agent;
}

void refuse_unfit_agent(const std::filesystem::path& agent, std::string_view architecture,
                        const std::function<bool(std::string_view path)>& exists) {
    const std::optional<std::string> bytes = read_file(agent, kMaxAgent);
    const std::optional<ElfNeeds> needs = bytes ? read_elf_needs(*bytes) : std::nullopt;
    if (!needs)
        return;
    if (const auto machine = elf_machine_of(architecture); machine && *machine != needs->machine)
        fail(ErrorKind::unsupported,
             fmt::format("{} is a program for another architecture than {}", agent.string(), architecture));
    if (!needs->interpreter.empty() && !exists(needs->interpreter))
        fail(ErrorKind::unsupported, fmt::format("{} is started by {}, which this root does not have; take an agent "
                                                 "that is linked statically",
                                                 agent.string(), quote_untrusted(needs->interpreter)));
}

} // namespace vm2oci
