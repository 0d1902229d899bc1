#include "tools/vm2oci/edit_options.hpp"

#include "formats/base/error.hpp"
#include "formats/base/fd.hpp"
#include "libconvert/edit/agent_package.hpp"
#include "libconvert/edit/planners.hpp"
#include "tools/vm2oci/help.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <filesystem>

namespace vm2oci::cli {
namespace {

constexpr std::size_t kTextFileLimit = 16ull * 1024 * 1024; // user data and keys

std::string read_users_file(const std::string& path, std::string_view option) {
    auto text = read_file(path, kTextFileLimit);
    if (!text)
        fail(ErrorKind::not_found, fmt::format("{} {}: no such file", option, path));
    return std::move(*text);
}

std::optional<std::string> read_optional(const std::string& path, std::string_view option) {
    return path.empty() ? std::nullopt : std::optional(read_users_file(path, option));
}

// FILE[:USER]; a colon in the file's own name needs the user behind it.
SshKeyRequest parse_key(const std::string& text) {
    if (std::filesystem::exists(text))
        return {read_users_file(text, "--ssh-key"), ""};
    const std::size_t colon = text.rfind(':');
    if (colon == std::string::npos || colon + 1 == text.size())
        return {read_users_file(text, "--ssh-key"), ""};
    return {read_users_file(text.substr(0, colon), "--ssh-key"), text.substr(colon + 1)};
}

std::uint32_t parse_number(std::string_view text, int base, const std::string& whole) {
    std::uint32_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
    if (error != std::errc() || end != text.data() + text.size() || text.empty())
        fail(ErrorKind::usage,
             fmt::format("--copy-in takes SRC:DEST[:MODE[:UID:GID]], MODE in octal, not '{}'", whole));
    return value;
}

struct CopyWish {
    std::filesystem::path source;
    std::string destination;
    std::optional<std::uint32_t> permissions;
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
};

CopyWish parse_copy(const std::string& text) {
    const std::size_t colon = text.find(":/");
    if (colon == std::string::npos || colon == 0)
        fail(ErrorKind::usage, fmt::format("--copy-in takes SRC:DEST, DEST absolute, not '{}'", text));
    std::vector<std::string> parts;
    for (std::size_t at = colon + 1; at <= text.size();) {
        const std::size_t next = std::min(text.find(':', at), text.size());
        parts.push_back(text.substr(at, next - at));
        at = next + 1;
    }
    if (parts.size() != 1 && parts.size() != 2 && parts.size() != 4)
        fail(ErrorKind::usage, fmt::format("--copy-in takes SRC:DEST[:MODE[:UID:GID]], not '{}'", text));
    CopyWish wish{text.substr(0, colon), parts[0], std::nullopt, 0, 0};
    if (parts.size() > 1) {
        wish.permissions = parse_number(parts[1], 8, text);
        if (*wish.permissions > 07777)
            fail(ErrorKind::usage, fmt::format("--copy-in: {} is no mode", parts[1]));
    }
    if (parts.size() == 4) {
        wish.uid = parse_number(parts[2], 10, text);
        wish.gid = parse_number(parts[3], 10, text);
    }
    return wish;
}

void add_file(const std::filesystem::path& file, const std::string& destination, const CopyWish& wish,
              std::vector<CopyRequest>& copies) {
    struct stat status {};
    if (stat(file.c_str(), &status) != 0)
        fail_errno("--copy-in " + file.string(), errno);
    if (!S_ISREG(status.st_mode))
        fail(ErrorKind::usage,
             fmt::format("--copy-in {}: only regular files and folders of them are copied", file.string()));
    copies.push_back({file, static_cast<std::uint64_t>(status.st_size), destination,
                      wish.permissions.value_or(static_cast<std::uint32_t>(status.st_mode & 0777)), wish.uid,
                      wish.gid});
}

void add_copies(const std::string& text, std::vector<CopyRequest>& copies) {
    CopyWish wish = parse_copy(text);
    if (!wish.source.has_filename()) // "site/" is called site
        wish.source = wish.source.parent_path();
    if (wish.destination.ends_with('/'))
        wish.destination += wish.source.filename().string();
    if (!std::filesystem::is_directory(wish.source))
        return add_file(wish.source, wish.destination, wish, copies);
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(wish.source))
        if (!entry.is_directory() || entry.is_symlink())
            files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    for (const std::filesystem::path& file : files)
        add_file(file, wish.destination + "/" + file.lexically_relative(wish.source).string(), wish, copies);
}

template <class Item>
std::string names_of(const std::vector<Item>& items) {
    std::string text;
    for (const Item& item : items)
        text += (text.empty() ? "" : ", ") + item.name;
    return text;
}

} // namespace

EditRequest EditOptions::request() const {
    EditRequest request;
    request.cloud_init.user_data = read_optional(user_data, "--user-data");
    request.cloud_init.meta_data = read_optional(meta_data, "--meta-data");
    request.cloud_init.network_config = read_optional(network_config, "--network-config");
    request.cloud_init.vendor_data = read_optional(vendor_data, "--vendor-data");
    request.cloud_init.place = cloud_init_as == "disk" ? SeedPlace::disk : SeedPlace::image;
    if (request.cloud_init.place == SeedPlace::disk && !request.cloud_init.has_files())
        fail(ErrorKind::usage, "--cloud-init-as disk needs something to put on it (--user-data)");
    for (const std::string& key : ssh_keys)
        request.ssh_keys.push_back(parse_key(key));
    request.hostname = hostname;
    if (!hostname.empty())
        check_hostname(hostname);
    for (const std::string& agent : agents)
        request.agents.push_back(load_agent(agent));
    for (const std::string& copy : copies)
        add_copies(copy, request.copies);
    if (!sysprep.empty())
        request.sysprep = select_sysprep(sysprep);
    if (!fix.empty())
        request.fixes = select_fixes(fix == "default" ? "all" : fix);
    return request;
}

std::shared_ptr<EditOptions> add_edit_options(CLI::App& command) {
    auto options = std::make_shared<EditOptions>();
    const auto text = [&](const char* name, std::string& value, const char* value_name,
                          const std::string& description) {
        return command.add_option(name, value, description)->option_text(value_name)->group(group::edits);
    };
    const auto list = [&](const char* name, std::vector<std::string>& values, const char* value_name,
                          const std::string& description) {
        command.add_option(name, values, description)
            ->option_text(value_name)
            ->allow_extra_args(false)
            ->group(group::edits);
    };
    text("--user-data", options->user_data, "FILE", "cloud-init: what the machine shall become");
    text("--meta-data", options->meta_data, "FILE", "cloud-init: who it is (default: an instance-id from the content)");
    text("--network-config", options->network_config, "FILE", "cloud-init: its network");
    text("--vendor-data", options->vendor_data, "FILE", "cloud-init: the provider's part");
    text("--cloud-init-as", options->cloud_init_as, "PLACE", "seed (default: inside the guest) or disk (a second one)")
        ->check(CLI::IsMember({"seed", "disk"}));
    list("--ssh-key", options->ssh_keys, "FILE[:USER]", "Let this public key in; repeatable");
    text("--hostname", options->hostname, "NAME", "The host name");
    list("--agent", options->agents, "SPEC",
         "Install qemu-ga, vm2oci, a .deb, .rpm, tar or folder, or FILE:UNIT, without a network; repeatable");
    list("--copy-in", options->copies, "SRC:DEST[:MODE[:UID:GID]]",
         "Copy a file or a folder into the guest; repeatable");
    command
        .add_flag("--sysprep{default}", options->sysprep,
                  "Make it a template: --sysprep=all, none, OP,… or +OP,-OP of " + names_of(sysprep_operations()))
        ->option_text("[=LIST]")
        ->group(group::edits);
    command
        .add_flag("--fix{default}", options->fix,
                  "Mend what keeps it from booting here: --fix=OP,… or -OP of " + names_of(fixes()))
        ->option_text("[=LIST]")
        ->group(group::edits);
    command.add_flag("--dry-run", options->dry_run, "Print what would be changed, and write nothing")
        ->group(group::edits);
    return options;
}

std::string edit_report_text(const EditReport& report, EditMode mode) {
    std::string text = to_text(report.plan);
    for (const BootProblem& problem : report.problems)
        text += problem.fix.empty() ? fmt::format("left     {}\n", problem.text)
                                    : fmt::format("left     {} (--fix={} mends it)\n", problem.text, problem.fix);
    if (mode == EditMode::plan_only)
        text += fmt::format("{} changes; nothing was written\n", report.plan.edits.size());
    return text;
}

nlohmann::ordered_json edit_report_json(const EditReport& report) {
    nlohmann::ordered_json json = to_json(report.plan);
    json["left"] = nlohmann::ordered_json::array();
    for (const BootProblem& problem : report.problems)
        json["left"].push_back(
            {{"fix", problem.fix.empty() ? nlohmann::ordered_json(nullptr) : nlohmann::ordered_json(problem.fix)},
             {"text", problem.text}});
    json["backend"] = report.backend;
    return json;
}

} // namespace vm2oci::cli
