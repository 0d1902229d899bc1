#include "runner/judge/starvation.hpp"

#include <algorithm>
#include <optional>

namespace vm2oci {
namespace {

constexpr std::size_t kMaxStartingUnits = 512;

std::string_view trimmed_name(std::string_view name) {
    while (!name.empty() && (name.back() == '.' || name.back() == ' '))
        name.remove_suffix(1);
    while (!name.empty() && name.front() == ' ')
        name.remove_prefix(1);
    return name;
}

// "         Starting Wait for Network..." → "Wait for Network"; "Starting ssh.service - OpenSSH…" → all behind the
// verb.
std::optional<std::string_view> name_behind(std::string_view line, std::string_view words) {
    const std::size_t at = line.find(words);
    if (at == std::string_view::npos)
        return std::nullopt;
    std::string_view name = line.substr(at + words.size());
    for (const std::string_view end : {"...", "…"})
        name = name.substr(0, name.find(end));
    return trimmed_name(name);
}

} // namespace

bool may_lack_time(const Rule& rule) {
    constexpr std::string_view kIds[] = {
        "network-unit-failed", "cloud-init-unit-failed", "unit-failed",    "dependency-failed",   "device-timeout",
        "mount-failed",        "emergency-shell",        "dracut-timeout", "root-device-missing", "dracut-emergency",
        "initramfs-shell",     "volume-group-missing",   "hung-task",      "kernel-bug",          "timer-check-failed",
        "cloud-init-error",    "openrc-service-failed",  "respawning",     "ignition-failed",     "timeout"};
    return std::find(std::begin(kIds), std::end(kIds), rule.id) != std::end(kIds);
}

bool is_starved(BootInstant from, BootInstant to) {
    const Milliseconds span = to.wall - from.wall;
    return span >= kShortestLimit && (to.starved - from.starved) * 100 >= span * kStarvedPercent;
}

void StartingUnits::take_line(std::string_view line, BootInstant at) {
    const auto name = name_behind(line, "Starting ");
    if (name && !name->empty() && begun_.size() < kMaxStartingUnits)
        begun_.emplace(*name, at);
}

BootInstant StartingUnits::began(std::string_view failed_line, BootInstant otherwise) const {
    for (const std::string_view words : {"Failed to start ", "Dependency failed for ", "Timed out starting "})
        if (const auto name = name_behind(failed_line, words))
            if (const auto found = begun_.find(*name); found != begun_.end())
                return found->second;
    return otherwise;
}

} // namespace vm2oci
