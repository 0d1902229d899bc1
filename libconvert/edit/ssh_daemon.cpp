// What the guest's sshd would do with a key: settings that shut out the user who is to have it (sshd_config(5)).
#include "formats/base/escape.hpp"
#include "libconvert/edit/planners.hpp"
#include "libconvert/edit/text.hpp"

#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>

namespace vm2oci {
namespace {

constexpr unsigned kIncludeDepth = 16; // sshd's own limit

struct DaemonSetting {
    std::string keyword; // lower case
    std::vector<std::string> values;
    bool in_match = false; // of a Match block that this user falls into
};

struct SshUser {
    std::string name;
    std::string home;
    std::string shell;
    std::string password; // the field of /etc/shadow
    std::vector<std::string> groups;
};

std::vector<std::string> fields_of(std::string_view line, char separator) {
    std::vector<std::string> fields(1);
    for (const char c : line)
        if (c == separator)
            fields.emplace_back();
        else
            fields.back() += c;
    return fields;
}

SshUser find_user(const PlanBuilder& plan, const std::string& name) {
    SshUser user{name, name == "root" ? "/root" : "/home/" + name, {}, {}, {}};
    std::string primary;
    const std::string passwd = plan.read_text("/etc/passwd").value_or("");
    for (const std::string_view line : lines_of(passwd))
        if (const auto fields = fields_of(line, ':'); fields.size() > 6 && fields[0] == name) {
            primary = fields[3];
            user.home = fields[5];
            user.shell = fields[6];
        }
    const std::string shadow = plan.read_text("/etc/shadow").value_or("");
    for (const std::string_view line : lines_of(shadow))
        if (const auto fields = fields_of(line, ':'); fields.size() > 1 && fields[0] == name)
            user.password = fields[1];
    const std::string group = plan.read_text("/etc/group").value_or("");
    for (const std::string_view line : lines_of(group))
        if (const auto fields = fields_of(line, ':'); fields.size() > 3) {
            const auto members = fields_of(fields[3], ',');
            if (fields[2] == primary || std::find(members.begin(), members.end(), name) != members.end())
                user.groups.push_back(fields[0]);
        }
    return user;
}

// `Keyword value`, `Keyword = "value"`; words may be in double quotes.
std::vector<std::string> setting_words(std::string_view line) {
    std::vector<std::string> words;
    bool inside = false;
    bool quoted = false;
    for (const char c : line) {
        const bool separates = c == ' ' || c == '\t' || c == '\r' || (c == '=' && words.size() == 1);
        if (!quoted && separates) {
            inside = false;
            continue;
        }
        if (!quoted && !inside && c == '#')
            break;
        if (!inside)
            words.emplace_back();
        inside = true;
        if (c == '"')
            quoted = !quoted;
        else
            words.back() += c;
    }
    return words;
}

// "a,!b*": a name that is denied is none of them.
bool matches_list(const std::string& patterns, const std::string& name) {
    bool matched = false;
    for (const std::string& pattern : fields_of(patterns, ',')) {
        const bool negated = pattern.starts_with("!");
        if (fnmatch(pattern.c_str() + (negated ? 1 : 0), name.c_str(), 0) != 0)
            continue;
        if (negated)
            return false;
        matched = true;
    }
    return matched;
}

enum class Falls { yes, no, perhaps };

Falls falls_into(const std::vector<std::string>& criteria, const SshUser& user) {
    Falls result = Falls::yes;
    for (std::size_t i = 1; i < criteria.size(); ++i) {
        const std::string name = to_lower(criteria[i]);
        if (name == "all" || name == "final" || name == "canonical")
            continue;
        const std::string value = i + 1 < criteria.size() ? criteria[++i] : "";
        if (name == "user") {
            if (!matches_list(value, user.name))
                return Falls::no;
        } else if (name == "group") {
            if (std::none_of(user.groups.begin(), user.groups.end(),
                             [&](const std::string& group) { return matches_list(value, group); }))
                return Falls::no;
        } else {
            result = Falls::perhaps; // from where, and by what name: not known here
        }
    }
    return result;
}

// `in_match`: it is included by such a block.
void read_settings(const PlanBuilder& plan, const std::string& path, const SshUser& user, unsigned depth, bool in_match,
                   std::vector<DaemonSetting>& settings) {
    const std::string text = plan.read_text(path).value_or("");
    bool skipped = false;
    for (const std::string_view line : lines_of(text)) {
        std::vector<std::string> words = setting_words(line);
        if (words.size() < 2)
            continue;
        const std::string keyword = to_lower(words[0]);
        if (keyword == "match") {
            in_match = true;
            skipped = falls_into(words, user) != Falls::yes;
        } else if (skipped) {
            continue;
        } else if (keyword == "include" && depth < kIncludeDepth) {
            for (std::size_t i = 1; i < words.size(); ++i)
                for (const std::string& file : plan.glob(words[i].starts_with("/") ? words[i] : "/etc/ssh/" + words[i]))
                    read_settings(plan, file, user, depth + 1, in_match, settings);
        } else {
            words.erase(words.begin());
            settings.push_back({keyword, std::move(words), in_match});
        }
    }
}

// The first one counts, and those of Match blocks before the others.
const DaemonSetting* find_setting(const std::vector<DaemonSetting>& settings, std::string_view keyword) {
    const DaemonSetting* global = nullptr;
    for (const DaemonSetting& each : settings) {
        if (each.keyword != keyword)
            continue;
        if (each.in_match)
            return &each;
        global = global == nullptr ? &each : global;
    }
    return global;
}

bool says(const std::vector<DaemonSetting>& settings, std::string_view keyword, std::string_view value) {
    const DaemonSetting* setting = find_setting(settings, keyword);
    return setting != nullptr && to_lower(setting->values[0]) == value;
}

// Of AllowUsers and its like, every line counts. "name@host": the host is not known here.
bool any_pattern(const std::vector<DaemonSetting>& settings, std::string_view keyword,
                 const std::vector<std::string>& names) {
    for (const DaemonSetting& each : settings)
        if (each.keyword == keyword)
            for (const std::string& pattern : each.values)
                for (const std::string& name : names)
                    if (matches_list(pattern.substr(0, pattern.find('@')), name))
                        return true;
    return false;
}

bool reads_file(const std::vector<DaemonSetting>& settings, const SshUser& user) {
    const DaemonSetting* setting = find_setting(settings, "authorizedkeysfile");
    if (setting == nullptr)
        return true;
    for (const std::string& value : setting->values) {
        std::string path = replaced(replaced(value, "%h", user.home), "%u", user.name);
        if (!path.starts_with("/"))
            path = fmt::format("{}/{}", user.home, path);
        if (path == user.home + "/.ssh/authorized_keys")
            return true;
    }
    return false;
}

} // namespace

void find_ssh_obstacles(PlanBuilder& plan, const std::string& name, KeyPlace place) {
    const SshUser user = find_user(plan, name);
    std::vector<DaemonSetting> settings;
    for (const char* path : {"/etc/ssh/sshd_config", "/usr/etc/ssh/sshd_config"})
        if (settings.empty())
            read_settings(plan, path, user, 0, false, settings);
    const auto found = [&](const std::string& why) {
        plan.found(fmt::format("the key does not let {} in: {}", escape_untrusted(name), why));
    };
    if (says(settings, "pubkeyauthentication", "no"))
        found("sshd has 'PubkeyAuthentication no'");
    if (place == KeyPlace::authorized_keys && !reads_file(settings, user)) {
        std::string files;
        for (const std::string& file : find_setting(settings, "authorizedkeysfile")->values)
            files += (files.empty() ? "" : " ") + file;
        found(fmt::format("sshd reads keys from {} (AuthorizedKeysFile), and not from ~/.ssh/authorized_keys",
                          quote_untrusted(files, 120)));
    }
    if (const DaemonSetting* methods = find_setting(settings, "authenticationmethods");
        methods != nullptr && std::none_of(methods->values.begin(), methods->values.end(), [](const std::string& list) {
            return list == "publickey" || list == "any";
        }))
        found(fmt::format("sshd asks for more than a key (AuthenticationMethods {})",
                          quote_untrusted(methods->values[0], 60)));
    const auto has = [&](std::string_view keyword) { return find_setting(settings, keyword) != nullptr; };
    if (has("allowusers") && !any_pattern(settings, "allowusers", {name}))
        found("sshd's AllowUsers does not name that user");
    if (any_pattern(settings, "denyusers", {name}))
        found("sshd's DenyUsers names that user");
    if (has("allowgroups") && !any_pattern(settings, "allowgroups", user.groups))
        found("sshd's AllowGroups names no group of that user");
    if (any_pattern(settings, "denygroups", user.groups))
        found("sshd's DenyGroups names a group of that user");
    if (name == "root" &&
        (says(settings, "permitrootlogin", "no") || says(settings, "permitrootlogin", "forced-commands-only")))
        found("sshd has 'PermitRootLogin " + escape_untrusted(find_setting(settings, "permitrootlogin")->values[0]) +
              "'");
    if (user.shell.ends_with("/nologin") || user.shell.ends_with("/false"))
        found("that user's shell is " + escape_untrusted(user.shell));
    if (user.password.starts_with("!") && !says(settings, "usepam", "yes"))
        found("the account is locked in /etc/shadow, and sshd does without PAM (UsePAM), which would let it pass");
}

} // namespace vm2oci
