// Host name, keys, and files that the user hands over.
#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "libconvert/edit/planners.hpp"
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

// `127.0.1.1 old.example old` and the like: the old name gives way to the new one.
std::string renamed_hosts(std::string_view hosts, const std::string& before, const std::string& after) {
    std::string out;
    for (const std::string_view view : lines_of(hosts)) {
        std::string line(view);
        const std::size_t comment = line.find('#');
        std::vector<std::string> words = words_of(std::string_view(line).substr(0, comment));
        const bool own = words.size() > 1 && (words[0].starts_with("127.") || words[0] == "::1");
        const auto is_old = [&](const std::string& word) { return word == before || word.starts_with(before + "."); };
        if (own && !before.empty() && before != "localhost" && std::any_of(words.begin() + 1, words.end(), is_old)) {
            std::vector<std::string> names;
            for (std::size_t i = 1; i < words.size(); ++i) {
                const std::string name = is_old(words[i]) ? after : words[i];
                if (std::find(names.begin(), names.end(), name) == names.end())
                    names.push_back(name);
            }
            line = words[0] + "\t";
            for (const std::string& name : names)
                line += (line.ends_with('\t') ? "" : " ") + name;
        }
        out += line + "\n";
    }
    return out;
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
    const std::string before(trimmed(plan.read_text("/etc/hostname").value_or("")));
    plan.write("/etc/hostname", hostname + "\n", reason);
    if (plan.exists("/etc/HOSTNAME"))
        plan.write("/etc/HOSTNAME", hostname + "\n", reason);
    const auto replace_setting = [&](const char* path, std::string_view key) {
        const auto text = plan.read_text(path);
        if (!text || shell_value(*text, key).empty())
            return;
        std::string out;
        for (const std::string_view line : lines_of(*text))
            out += trimmed(line).starts_with(std::string(key) + "=") ? fmt::format("{}=\"{}\"\n", key, hostname)
                                                                     : std::string(line) + "\n";
        plan.write(path, out, reason);
    };
    replace_setting("/etc/conf.d/hostname", "hostname");
    replace_setting("/etc/sysconfig/network", "HOSTNAME");
    if (const auto hosts = plan.read_text("/etc/hosts"))
        plan.write("/etc/hosts", renamed_hosts(*hosts, before, hostname), reason);
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
        fail(ErrorKind::not_found, fmt::format("the guest has no user {} whom a key could be given to; cloud-init can "
                                               "make one (--user-data)",
                                               quote_untrusted(user)));
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
}

void plan_copy(PlanBuilder& plan, const CopyRequest& request) {
    plan.write_host_file(request.destination, request.host_file, request.size, "asked for by --copy-in",
                         {request.permissions, request.uid, request.gid, {}});
}

} // namespace vm2oci
