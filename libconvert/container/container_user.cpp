#include "libconvert/container/container_user.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "libconvert/edit/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

namespace vm2oci {
namespace {

constexpr std::uint32_t kLargestId = 0x7fffffff; // runc's; above it are numbers that system calls take as "none"

std::optional<std::uint32_t> parse_id(std::string_view text) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || text.empty())
        return std::nullopt;
    if (value > kLargestId)
        fail(ErrorKind::unsupported, fmt::format("the image's program is to run as {}, and there is no such number of "
                                                 "a user or a group",
                                                 quote_untrusted(text)));
    return static_cast<std::uint32_t>(value);
}

std::optional<std::uint32_t> parse_id_field(std::string_view text) {
    std::uint32_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    const bool is_id = error == std::errc() && end == text.data() + text.size() && !text.empty() && value <= kLargestId;
    return is_id ? std::optional(value) : std::nullopt;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
    std::vector<std::string_view> fields;
    while (true) {
        const std::size_t end = text.find(separator);
        fields.push_back(text.substr(0, end));
        if (end == std::string_view::npos)
            return fields;
        text.remove_prefix(end + 1);
    }
}

struct PasswdEntry {
    std::string_view name;
    std::uint32_t uid;
    std::uint32_t gid;
    std::string_view home;
};

struct GroupEntry {
    std::string_view name;
    std::uint32_t gid;
    std::vector<std::string_view> members;
};

std::vector<PasswdEntry> parse_passwd(std::string_view text) {
    std::vector<PasswdEntry> entries;
    for (const std::string_view line : lines_of(text)) {
        const std::vector<std::string_view> fields = split(line, ':');
        if (fields.size() < 4)
            continue;
        const auto uid = parse_id_field(fields[2]);
        const auto gid = parse_id_field(fields[3]);
        if (uid && gid)
            entries.push_back({fields[0], *uid, *gid, fields.size() > 5 ? fields[5] : std::string_view()});
    }
    return entries;
}

std::vector<GroupEntry> parse_group(std::string_view text) {
    std::vector<GroupEntry> entries;
    for (const std::string_view line : lines_of(text)) {
        const std::vector<std::string_view> fields = split(line, ':');
        if (fields.size() < 3)
            continue;
        if (const auto gid = parse_id_field(fields[2]))
            entries.push_back(
                {fields[0], *gid, fields.size() > 3 ? split(fields[3], ',') : std::vector<std::string_view>()});
    }
    return entries;
}

[[noreturn]] void fail_unknown(const char* what, std::string_view name, const char* file) {
    fail(ErrorKind::unsupported, fmt::format("the image's program is to run as the {} {}, whom its {} does not have",
                                             what, quote_untrusted(name), file));
}

} // namespace

ContainerUser find_container_user(std::string_view user, std::string_view passwd, std::string_view group) {
    const std::size_t colon = std::min(user.find(':'), user.size());
    const std::string_view user_name = user.substr(0, colon);
    const std::string_view group_name = user.substr(std::min(colon + 1, user.size()));
    ContainerUser found;
    const std::optional<std::uint32_t> uid = user_name.empty() ? 0 : parse_id(user_name);
    const std::vector<PasswdEntry> users = parse_passwd(passwd);
    const auto entry = std::find_if(users.begin(), users.end(), [&](const PasswdEntry& candidate) {
        return uid ? candidate.uid == *uid : candidate.name == user_name;
    });
    if (entry != users.end()) {
        found.uid = entry->uid;
        found.gid = entry->gid;
        if (!entry->home.empty())
            found.home = entry->home;
    } else if (uid) {
        found.uid = *uid;
    } else {
        fail_unknown("user", user_name, "/etc/passwd");
    }
    const std::vector<GroupEntry> groups = parse_group(group);
    if (!group_name.empty()) {
        const std::optional<std::uint32_t> gid = parse_id(group_name);
        const auto named = std::find_if(groups.begin(), groups.end(),
                                        [&](const GroupEntry& candidate) { return candidate.name == group_name; });
        if (!gid && named == groups.end())
            fail_unknown("group", group_name, "/etc/group");
        found.gid = gid ? *gid : named->gid;
    }
    // The first group is one of them, too: else a set-group-ID program would leave it behind, and with it what files
    // forbid that group (CVE-2022-36109).
    found.groups.push_back(found.gid);
    if (entry != users.end() && group_name.empty())
        for (const GroupEntry& candidate : groups)
            if (std::find(candidate.members.begin(), candidate.members.end(), entry->name) != candidate.members.end())
                found.groups.push_back(candidate.gid);
    std::sort(found.groups.begin(), found.groups.end());
    found.groups.erase(std::unique(found.groups.begin(), found.groups.end()), found.groups.end());
    return found;
}

} // namespace vm2oci
