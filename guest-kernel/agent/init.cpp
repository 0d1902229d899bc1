#include "guest-kernel/agent/init.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/container/program.hpp"

#include "guest-kernel/agent/agent.hpp"
#include "guest-kernel/agent/appliance.hpp"
#include "guest-kernel/agent/block_devices.hpp"
#include "guest-kernel/agent/container.hpp"
#include "guest-kernel/agent/loop_device.hpp"
#include "guest-kernel/agent/mounting.hpp"
#include "guest-kernel/agent/port.hpp"
#include "guest-kernel/agent/text.hpp"
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace vm2oci::guest {
namespace {

constexpr std::chrono::milliseconds kRootLookInterval{50};
constexpr const char* kShare = "/share";             // what a root in a file lies on
constexpr std::chrono::milliseconds kLastWords{500}; // what was printed gets out before the kernel panics

std::string list_devices() {
    std::string list;
    for (const FoundDevice& device : block_devices()) {
        list += (list.empty() ? "" : ", ") + device.node;
        if (device.signature) {
            list += " (" + escape_untrusted(device.signature->type);
            if (!device.signature->uuid.empty())
                list += " " + escape_untrusted(device.signature->uuid);
            list += ")";
        }
    }
    return list.empty() ? "no disk at all" : list;
}

FoundDevice wait_for_root(const BootLine& line) {
    if (line.root.empty())
        fail(ErrorKind::usage, "the kernel's command line names no root; add root=/dev/vda, UUID=… or LABEL=…");
    const std::optional<RootName> name = parse_root_name(line.root);
    if (!name)
        fail(ErrorKind::unsupported, "root=" + escape_untrusted(line.root) +
                                         " is a way to name the root that this initramfs does not know; use a device, "
                                         "UUID=, LABEL= or PARTLABEL=");
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(line.wait_seconds);
    do {
        if (std::optional<FoundDevice> found = find_root(*name))
            return *found;
        std::this_thread::sleep_for(kRootLookInterval);
    } while (std::chrono::steady_clock::now() < deadline);
    fail(ErrorKind::not_found, "root=" + escape_untrusted(line.root) + " did not appear within " +
                                   std::to_string(line.wait_seconds) + " s; the machine has " + list_devices());
}

std::string type_of(const FoundDevice& root, const BootLine& line) {
    if (!line.file_system.empty() && line.file.empty())
        return line.file_system;
    if (!root.signature)
        fail(ErrorKind::corrupt, "on " + root.node + " is no file system that is known" +
                                     (line.file.empty() ? "; rootfstype= names one" : ""));
    if (root.signature->kind != ContentKind::file_system)
        fail(ErrorKind::unsupported, root.node + " holds no file system but " + escape_untrusted(root.signature->type));
    return root.signature->type;
}

// What a container image's micro-VM is to start; nullopt: this is another machine.
std::optional<ContainerProgram> read_program() {
    const std::string path = std::string("/") + kProgramFile;
    if (::access(path.c_str(), F_OK) != 0)
        return std::nullopt;
    const std::optional<std::string> bytes = read_text(path, kMaxProgramBytes);
    if (!bytes)
        fail_errno("cannot read " + path, errno);
    ContainerProgram program = decode_program(*bytes);
    ::unlink(path.c_str());
    return program;
}

void mount_layered_root(const FoundDevice& root, const BootLine& line) {
    if (line.writable != Writable::device)
        return mount_root(root.node, type_of(root, line), line, nullptr);
    BootLine of_layer = line;
    of_layer.root = line.layer;
    of_layer.file_system.clear();
    const FoundDevice found = wait_for_root(of_layer);
    const LayerPlace layer{found.node, type_of(found, of_layer)};
    mount_root(root.node, type_of(root, line), line, &layer);
}

// Mounts what root= names, such as the files of the host by virtiofs, and makes the root's file there a disk.
FoundDevice root_in_file(const BootLine& line) {
    if (line.root.empty() || line.file_system.empty())
        fail(ErrorKind::usage, "with vm2oci.file= the kernel's command line says by root= and rootfstype= where the "
                               "file is, as in root=/dev/root rootfstype=virtiofs");
    mount_share(line.root, kShare, line.file_system);
    const std::string path = kShare + ("/" + line.file);
    if (::access(path.c_str(), R_OK) != 0)
        fail_errno("cannot read " + escape_untrusted(line.file) + " on " + escape_untrusted(line.root), errno);
    FoundDevice file = describe_device(path);
    const bool layered = is_layered(line, type_of(file, line));
    file.node = attach_loop_device(path, layered ? LoopAccess::read_only : LoopAccess::read_write);
    return file;
}

enum class RunFolder { move, leave };

// /root becomes /, with what is mounted for the kernel.
void switch_root(RunFolder run) {
    ::unlink("/init"); // its memory is needed no more than its name
    for (const char* folder : {"/proc", "/sys", "/dev", "/run"}) {
        if (folder == std::string_view("/run") && run == RunFolder::leave)
            continue;
        const std::string target = std::string("/root") + folder;
        ::mkdir(target.c_str(), 0755);
        if (::mount(folder, target.c_str(), nullptr, MS_MOVE, nullptr) != 0)
            fail_errno(std::string("the root has no folder ") + folder + ", and none could be made there", errno);
    }
    if (::chdir("/root") != 0 || ::mount(".", "/", nullptr, MS_MOVE, nullptr) != 0 || ::chroot(".") != 0 ||
        ::chdir("/") != 0)
        fail_errno("cannot make the root the root", errno);
}

void start_agent(char** arguments) {
    if (::fork() != 0)
        return;
    ::setsid();
    // systemd leaves alone what begins with this sign (systemd.io, ROOT_STORAGE_DAEMONS).
    arguments[0][0] = '@';
    ::_exit(run_agent());
}

[[noreturn]] void become_init(const BootLine& line, int count, char** arguments) {
    std::vector<std::string> candidates = {"/sbin/init", "/etc/init", "/bin/init", "/bin/sh"};
    if (!line.init.empty())
        candidates = {line.init};
    std::string problems;
    for (const std::string& candidate : candidates) {
        std::vector<char*> list = {const_cast<char*>(candidate.c_str())};
        list.insert(list.end(), arguments + 1, arguments + count);
        list.push_back(nullptr);
        ::execv(candidate.c_str(), list.data());
        problems += (problems.empty() ? "" : ", ") + escape_untrusted(candidate) + " (" + std::strerror(errno) + ")";
    }
    fail(ErrorKind::not_found, "the root has no init that runs: " + problems + "; is it the right file system?");
}

// Of an image whose program is an init itself.
[[noreturn]] void become_named_init(const ContainerProgram& program) {
    ::sethostname(program.hostname.data(), program.hostname.size());
    std::vector<char*> list;
    std::vector<char*> environment;
    list.reserve(program.arguments.size() + 1);
    environment.reserve(program.environment.size() + 1);
    for (const std::string& argument : program.arguments)
        list.push_back(const_cast<char*>(argument.c_str()));
    for (const std::string& variable : program.environment)
        environment.push_back(const_cast<char*>(variable.c_str()));
    list.push_back(nullptr);
    environment.push_back(nullptr);
    ::execve(list.front(), list.data(), environment.data());
    fail_errno("the image's init " + escape_untrusted(program.arguments.front()) + " does not run", errno);
}

void say(const std::string& text) {
    [[maybe_unused]] const ssize_t n = ::write(STDERR_FILENO, text.data(), text.size());
}

void tell_host(const std::string& text) {
    const std::string device = find_port();
    const int port = device.empty() ? -1 : ::open(device.c_str(), O_WRONLY | O_CLOEXEC | O_NONBLOCK);
    if (port < 0)
        return;
    const std::string message = "{\"type\":\"failed\",\"message\":" + json_quote(text) + "}\n";
    [[maybe_unused]] const ssize_t n = ::write(port, message.data(), message.size());
    ::close(port);
}

} // namespace

int run_init(int count, char** arguments) {
    try {
        mount_kernel_file_systems();
        const BootLine line = parse_boot_line(read_text("/proc/cmdline").value_or(""));
        if (line.appliance)
            run_appliance();
        const std::optional<ContainerProgram> program = read_program();
        const FoundDevice root = line.file.empty() ? wait_for_root(line) : root_in_file(line);
        mount_layered_root(root, line);
        const bool is_container = program && program->role == ProgramRole::child;
        // What an image has in /run its program looks for there.
        switch_root(is_container ? RunFolder::leave : RunFolder::move);
        if (is_container)
            run_container(*program, line);
        if (line.agent)
            start_agent(arguments);
        if (program)
            become_named_init(*program);
        become_init(line, count, arguments);
    } catch (const std::exception& error) {
        say(std::string("vm2oci-init: this machine cannot be started: ") + error.what() + "\n");
        tell_host(error.what());
    }
    std::this_thread::sleep_for(kLastWords);
    return 1;
}

} // namespace vm2oci::guest
