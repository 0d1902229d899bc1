// An agent's files put in their places, checked to run there, and switched on.
#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "libconvert/edit/elf_needs.hpp"
#include "libconvert/edit/planners.hpp"
#include "libconvert/edit/shell_text.hpp"
#include "libconvert/edit/text.hpp"

#include <elf.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <utility>

namespace vm2oci {
namespace {

constexpr std::size_t kLibraryLimit = 256ull * 1024 * 1024;

std::string machine_name(std::uint16_t machine) {
    switch (machine) {
    case EM_X86_64:
        return "x86-64";
    case EM_AARCH64:
        return "arm64";
    case EM_386:
        return "x86";
    case EM_RISCV:
        return "RISC-V";
    case EM_PPC64:
        return "ppc64";
    case EM_S390:
        return "s390x";
    default:
        return fmt::format("machine {}", machine);
    }
}

// Where the dynamic linker looks without being told: the default folders and those of its configuration.
std::vector<std::string> library_folders(const PlanBuilder& plan) {
    std::vector<std::string> folders = {"/lib", "/usr/lib", "/lib64", "/usr/lib64"};
    for (const char* triplet :
         {"x86_64-linux-gnu", "aarch64-linux-gnu", "riscv64-linux-gnu", "powerpc64le-linux-gnu", "s390x-linux-gnu"})
        for (const char* root : {"/lib/", "/usr/lib/"})
            folders.push_back(std::string(root) + triplet);
    std::vector<std::string> files = plan.glob("/etc/ld.so.conf.d/*.conf");
    files.push_back("/etc/ld.so.conf");
    for (const std::string& file : files)
        if (const auto text = plan.read_text(file))
            for (const std::string_view line : lines_of(*text))
                if (trimmed(line).starts_with("/"))
                    folders.emplace_back(trimmed(line));
    return folders;
}

// What the guest offers to a program, and what the agents bring themselves.
class DependencyCheck {
  public:
    DependencyCheck(const PlanBuilder& plan, const std::vector<AgentRequest>& agents)
        : plan_(plan), folders_(library_folders(plan)), machine_(guest_machine(plan)) {
        for (const AgentRequest& agent : agents)
            for (const AgentFile& file : agent.files) {
                brought_.insert(file.path);
                brought_.insert(base_name(file.path));
            }
    }

    void check(const AgentFile& file) {
        const auto needs = read_elf_needs(file.content);
        if (!needs)
            return;
        const std::string shown = escape_untrusted(file.path);
        if (machine_ && *machine_ != needs->machine)
            problems_.insert(fmt::format("{} is for {}, and the guest is {}", shown, machine_name(needs->machine),
                                         machine_name(*machine_)));
        if (!needs->interpreter.empty() && !plan_.exists(needs->interpreter) && !brought_.contains(needs->interpreter))
            problems_.insert(
                fmt::format("{} needs the dynamic linker {}", shown, escape_untrusted(needs->interpreter)));
        for (const std::string& library : needs->libraries)
            check_library(shown, library,
                          needs->versions.contains(library) ? needs->versions.at(library) : std::set<std::string>());
    }

    // Of the libraries that an agent has for a guest without them, those that this guest lacks.
    std::vector<AgentFile> missing_of(const std::vector<AgentFile>& libraries) {
        std::vector<AgentFile> missing;
        for (const AgentFile& library : libraries)
            if (!brought_.contains(base_name(library.path)) && find(base_name(library.path)) == nullptr)
                missing.push_back(library);
        for (const AgentFile& library : missing)
            brought_.insert(base_name(library.path));
        return missing;
    }

    void refuse_problems(const std::string& agent) const {
        if (!problems_.empty())
            fail(ErrorKind::unsupported,
                 fmt::format("the agent {} would not run in this guest: {}", quote_untrusted(agent),
                             fmt::join(problems_, "; ")),
                 HintKind::further_agent);
    }

  private:
    static std::string base_name(const std::string& path) { return path.substr(path.rfind('/') + 1); }

    void check_library(const std::string& shown, const std::string& library, const std::set<std::string>& versions) {
        if (library.find('/') != std::string::npos || brought_.contains(library))
            return;
        const std::set<std::string>* defined = find(library);
        if (defined == nullptr) {
            problems_.insert(fmt::format("{} needs the library {}", shown, escape_untrusted(library)));
            return;
        }
        for (const std::string& version : versions)
            if (!defined->empty() && !defined->contains(version))
                problems_.insert(fmt::format("{} needs {} of {}, which is older here", shown, escape_untrusted(version),
                                             escape_untrusted(library)));
    }

    // The versions that the guest's library has; null: there is no such library for this machine.
    const std::set<std::string>* find(const std::string& library) {
        if (const auto known = libraries_.find(library); known != libraries_.end())
            return &known->second;
        for (const std::string& folder : folders_) {
            const std::string path = fmt::format("{}/{}", folder, library);
            const auto content = plan_.exists(path) ? try_read_text(plan_.guest(), path, kLibraryLimit) : std::nullopt;
            const auto needs = content ? read_elf_needs(*content) : std::nullopt;
            if (needs && (!machine_ || needs->machine == *machine_))
                return &libraries_.emplace(library, needs->defined_versions).first->second;
        }
        return nullptr;
    }

    const PlanBuilder& plan_;
    std::set<std::string> brought_; // paths, and names without folders
    std::vector<std::string> folders_;
    std::optional<std::uint16_t> machine_;
    std::map<std::string, std::set<std::string>> libraries_;
    std::set<std::string> problems_;
};

bool is_unit(const std::string& path) {
    const bool placed = path.find("/systemd/system/") != std::string::npos;
    return placed && (path.ends_with(".service") || path.ends_with(".socket") || path.ends_with(".timer") ||
                      path.ends_with(".path"));
}

// The runlevels in which LSB's header of an init script wants it; those of a usual system when it has none.
std::string wanted_runlevels(std::string_view script) {
    std::string levels;
    for (const std::string_view line : lines_of(script))
        if (line.starts_with("# Default-Start:"))
            for (const char c : line.substr(std::string_view("# Default-Start:").size()))
                if (c >= '0' && c <= '6')
                    levels += c;
    return levels.empty() ? "2345" : levels;
}

void link_into_runlevels(PlanBuilder& plan, const AgentFile& script, const std::string& name,
                         const std::string& reason) {
    for (const char level : wanted_runlevels(script.content))
        for (const std::string_view root : {"/etc/rc", "/etc/rc.d/rc"})
            if (const std::string folder = fmt::format("{}{}.d", root, level); plan.exists(folder)) {
                plan.make_symlink(fmt::format("{}/S99{}", folder, name), script.path, reason);
                break;
            }
}

void switch_on(PlanBuilder& plan, const std::vector<AgentFile>& files, const std::string& agent) {
    const std::string reason = fmt::format("{} starts with the system", agent);
    const InitSystem init = init_system(plan);
    constexpr std::string_view kScripts = "/etc/init.d/";
    bool on = false;
    for (const AgentFile& file : files) {
        if (file.type != FileType::regular)
            continue;
        if (init == InitSystem::systemd && is_unit(file.path)) {
            enable_systemd_unit(plan, file.path, reason);
            on = true;
        }
        if (init == InitSystem::systemd || !file.path.starts_with(kScripts))
            continue;
        const std::string name = file.path.substr(kScripts.size());
        const bool for_openrc = file.content.find("openrc-run") != std::string::npos;
        if (init == InitSystem::openrc && for_openrc)
            plan.make_symlink("/etc/runlevels/default/" + name, file.path, reason);
        else if (init == InitSystem::sysv && !for_openrc)
            link_into_runlevels(plan, file, name, reason);
        else
            continue;
        on = true;
    }
    if (!on)
        plan.found(fmt::format("{} has no unit or script that the guest's init system would start", agent));
}

void check_distribution(const PlanBuilder& plan, const AgentRequest& agent) {
    if (agent.distribution.empty())
        return;
    const std::string system = plan.read_text("/etc/os-release").value_or("");
    const std::string guest = shell_value(system, "ID") + " " + shell_value(system, "VERSION_ID");
    if (guest != agent.distribution)
        fail(ErrorKind::unsupported,
             fmt::format("this machine's {} is for {}, and the guest is {}: name a package file of the guest's "
                         "distribution",
                         escape_untrusted(agent.name), escape_untrusted(agent.distribution), quote_untrusted(guest)));
}

void put(PlanBuilder& plan, const AgentFile& file, const std::string& reason) {
    const FileAttributes attributes{file.permissions, file.uid, file.gid, {}};
    if (file.type == FileType::directory)
        return plan.make_folder(file.path, reason, attributes);
    if (file.type == FileType::regular)
        return plan.write(file.path, file.content, reason, attributes);
    const auto present = plan.status(file.path, FinalLink::follow);
    if (!present || present->type != FileType::directory)
        plan.make_symlink(file.path, file.content, reason);
}

} // namespace

void plan_agents(PlanBuilder& plan, const std::vector<AgentRequest>& agents) {
    DependencyCheck dependencies(plan, agents);
    const InitSystem init = init_system(plan);
    for (const AgentRequest& agent : agents) {
        plan.begin("agent:" + agent.name);
        check_distribution(plan, agent);
        std::vector<AgentFile> files;
        std::copy_if(agent.files.begin(), agent.files.end(), std::back_inserter(files),
                     [&](const AgentFile& file) { return !file.only_for || *file.only_for == init; });
        const std::vector<AgentFile> libraries = dependencies.missing_of(agent.libraries);
        for (const std::vector<AgentFile>* list : {&std::as_const(files), &libraries})
            for (const AgentFile& file : *list)
                if (file.type == FileType::regular)
                    dependencies.check(file);
        dependencies.refuse_problems(agent.name);
        const std::string name = escape_untrusted(agent.name);
        for (const AgentFile& file : files)
            put(plan, file, fmt::format("belongs to the agent {}", name));
        for (const AgentFile& library : libraries)
            put(plan, library, fmt::format("a library that the agent {} needs and the guest lacks", name));
        switch_on(plan, files, name);
        for (const std::string& script : agent.scripts_left)
            plan.found(fmt::format("the package's script {} was not run: nothing of a package runs here",
                                   escape_untrusted(script)));
    }
}

} // namespace vm2oci
