// Host name, keys, and files that the user hands over.
#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "libconvert/edit/planners.hpp"
#include "libconvert/edit/shell_text.hpp"
#include "libconvert/edit/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace vm2oci {
namespace {

constexpr std::size_t kHostnameLimit = 64; // Linux HOST_NAME_MAX
constexpr std::size_t kLabelLimit = 63;    // RFC 1123

bool is_key_line(std::string_view line) {
    const std::vector<std::string> words = words_of(line);
    constexpr std::array kTypes = {"ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-"};
    for (std::size_t i = 0; i + 1 < words.size(); ++i)
        for (const char* type : kTypes)
            if (words[i].starts_with(type) && words[i + 1].starts_with("AAAA"))
                return true;
    return false;
}

// The names that a machine's own lines of /etc/hosts end up with.
struct RenamedHosts {
    std::string text;
    bool own_line = false;             // a line of the machine's own was renamed
    std::vector<std::string> others{}; // addresses of lines that still have the old name
};

std::string_view first_label(std::string_view name) {
    return name.substr(0, name.find('.'));
}

// `127.0.1.1 old.example old` and the like: the old name gives way to the new one, which keeps the domain and the short
// alias (hosts(5): the canonical name is the first).
RenamedHosts renamed_hosts(std::string_view hosts, std::string_view before, std::string_view after) {
    const std::string_view short_before = first_label(before);
    const std::string_view short_after = first_label(after);
    const auto is_old = [&](std::string_view word) {
        return word == short_before || (word.starts_with(short_before) && word[short_before.size()] == '.');
    };
    const auto renamed = [&](std::string_view word) {
        if (word == short_before)
            return std::string(short_after);
        return std::string(after.find('.') != std::string_view::npos ? after : short_after) +
               std::string(after.find('.') != std::string_view::npos ? "" : word.substr(short_before.size()));
    };
    RenamedHosts result;
    for (const std::string_view line : lines_of(hosts)) {
        const std::size_t comment = std::min(line.find('#'), line.size());
        const std::vector<std::string> words = words_of(line.substr(0, comment));
        const bool names_old = !short_before.empty() && short_before != "localhost" && words.size() > 1 &&
                               std::any_of(words.begin() + 1, words.end(), is_old);
        const bool own = names_old && (words[0].starts_with("127.") || words[0] == "::1");
        if (!own) {
            if (names_old)
                result.others.push_back(words[0]);
            result.text += std::string(line) + "\n";
            continue;
        }
        std::vector<std::string> names;
        const auto add = [&](const std::string& name) {
            if (std::find(names.begin(), names.end(), name) == names.end())
                names.push_back(name);
        };
        for (std::size_t i = 1; i < words.size(); ++i) {
            const bool lone = is_old(words[i]) && words[i] == short_before && after != short_after;
            if (lone && std::none_of(words.begin() + 1, words.end(),
                                     [&](const std::string& word) { return is_old(word) && word != short_before; }))
                add(std::string(after)); // there was no name with a domain, and now there is
            add(is_old(words[i]) ? renamed(words[i]) : words[i]);
        }
        result.text += words[0] + "\t";
        for (const std::string& name : names)
            result.text += (result.text.ends_with('\t') ? "" : " ") + name;
        result.text += (comment < line.size() ? " " : "") + std::string(line.substr(comment)) + "\n";
        result.own_line = true;
    }
    return result;
}

// Where the guest's name is now; Red Hat before systemd, SUSE 11 and others keep it elsewhere than in /etc/hostname.
std::string present_hostname(const PlanBuilder& plan) {
    for (const char* path : {"/etc/hostname", "/etc/HOSTNAME"}) {
        const std::string text = plan.read_text(path).value_or("");
        for (const std::string_view line : lines_of(text))
            if (const std::string_view name = trimmed(line); !name.empty() && name.front() != '#')
                return std::string(name);
    }
    for (const auto& [path, key] :
         {std::pair("/etc/sysconfig/network", "HOSTNAME"), std::pair("/etc/conf.d/hostname", "hostname"),
          std::pair("/etc/rc.conf", "HOSTNAME")})
        if (std::string name = shell_value(plan.read_text(path).value_or(""), key); !name.empty())
            return name;
    return {};
}

} // namespace

void check_hostname(std::string_view hostname) {
    const auto refuse = [&](const char* why) {
        fail(ErrorKind::usage, fmt::format("{} is no host name: {}", quote_untrusted(hostname), why));
    };
    if (hostname.empty() || hostname.size() > kHostnameLimit)
        refuse("it must have 1 to 64 characters");
    std::size_t begin = 0;
    while (begin <= hostname.size()) {
        const std::size_t end = std::min(hostname.find('.', begin), hostname.size());
        const std::string_view label = hostname.substr(begin, end - begin);
        if (label.empty() || label.size() > kLabelLimit || label.front() == '-' || label.back() == '-')
            refuse("its parts have 1 to 63 characters and neither begin nor end with '-'");
        for (const char c : label)
            if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-'))
                refuse("only letters, digits, '-' and '.' may be in it");
        begin = end + 1;
    }
}

void plan_hostname(PlanBuilder& plan, const std::string& hostname) {
    check_hostname(hostname);
    const std::string reason = "the host name is " + hostname;
    const std::string before = present_hostname(plan);
    plan.write("/etc/hostname", hostname + "\n", reason);
    if (plan.exists("/etc/HOSTNAME"))
        plan.write("/etc/HOSTNAME", hostname + "\n", reason);
    for (const auto& [path, key] :
         {std::pair("/etc/conf.d/hostname", "hostname"), std::pair("/etc/sysconfig/network", "HOSTNAME"),
          std::pair("/etc/rc.conf", "HOSTNAME")}) {
        const auto text = plan.read_text(path);
        if (!text)
            continue;
        if (!shell_value(*text, key).empty()) {
            if (const auto changed = with_shell_value(*text, key, hostname))
                plan.write(path, *changed, reason);
            else
                plan.found(fmt::format("{} cannot be read as shell, and keeps its {}", path, key));
        } else if (std::string_view(path) == "/etc/sysconfig/network" && init_system(plan) == InitSystem::sysv &&
                   (plan.exists("/etc/redhat-release") || plan.exists("/etc/system-release"))) {
            // Red Hat before systemd takes its name from there alone.
            plan.write(path,
                       *text + (text->empty() || text->ends_with('\n') ? "" : "\n") + "HOSTNAME=" + hostname + "\n",
                       reason);
        }
    }
    const auto hosts = plan.read_text("/etc/hosts");
    if (!hosts)
        return;
    RenamedHosts renamed = renamed_hosts(*hosts, before, hostname);
    for (const std::string& address : renamed.others)
        plan.found(fmt::format("/etc/hosts gives the old name to {}, and keeps that line", escape_untrusted(address)));
    if (!renamed.own_line && !renamed.others.empty()) {
        // Only an address of the old network had the name: without a line of its own, the new one means nothing.
        const std::size_t dot = before.find('.');
        const std::string domain =
            hostname.find('.') == std::string::npos && dot != std::string::npos ? before.substr(dot) : "";
        const std::string line =
            hostname + domain +
            (hostname + domain == first_label(hostname) ? "" : " " + std::string(first_label(hostname)));
        renamed.text += "127.0.1.1\t" + line + "\n";
    }
    if (renamed.own_line || !renamed.others.empty())
        plan.write("/etc/hosts", renamed.text, reason);
}

void check_public_keys(std::string_view keys) {
    bool any = false;
    for (const std::string_view view : lines_of(keys)) {
        const std::string_view line = trimmed(view);
        if (line.empty() || line.front() == '#')
            continue;
        if (line.find("PRIVATE KEY") != std::string_view::npos)
            fail(ErrorKind::usage, "this is a private key; give the public one (it ends in .pub)");
        if (!is_key_line(line))
            fail(ErrorKind::usage, fmt::format("{} is no OpenSSH public key", quote_untrusted(line, 40)));
        any = true;
    }
    if (!any)
        fail(ErrorKind::usage, "there is no public key in it");
}

void plan_ssh_key(PlanBuilder& plan, const SshKeyRequest& request) {
    check_public_keys(request.keys);
    const std::string user = request.user.empty() ? "root" : request.user;
    const auto account = find_account(plan, user);
    if (!account)
        fail(ErrorKind::not_found,
             fmt::format("the guest has no user {} whom a key could be given to", quote_untrusted(user)),
             HintKind::user_data);
    const std::string reason = "a key for " + escape_untrusted(user);
    const std::string folder = account->home + (account->home.ends_with("/") ? ".ssh" : "/.ssh");
    if (!plan.exists(account->home))
        plan.make_folder(account->home, reason, {0700, account->uid, account->gid, {}});
    plan.make_folder(folder, reason, {0700, account->uid, account->gid, {}});
    const std::string path = folder + "/authorized_keys";
    std::string text = plan.read_text(path).value_or("");
    if (!text.empty() && !text.ends_with('\n'))
        text += '\n';
    const std::vector<std::string_view> present = lines_of(text);
    std::string added;
    for (const std::string_view view : lines_of(request.keys)) {
        const std::string_view line = trimmed(view);
        const bool known =
            std::any_of(present.begin(), present.end(), [&](std::string_view other) { return trimmed(other) == line; });
        if (!line.empty() && line.front() != '#' && !known)
            added += std::string(line) + "\n";
    }
    if (!added.empty())
        plan.write(path, text + added, reason, {0600, account->uid, account->gid, {}});
    find_ssh_obstacles(plan, user, KeyPlace::authorized_keys);
}

void plan_copy(PlanBuilder& plan, const CopyRequest& request) {
    plan.write_host_file(request.destination, request.host_file, request.size, "asked for",
                         {request.permissions, request.uid, request.gid, {}});
}

} // namespace vm2oci
