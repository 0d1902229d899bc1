#include "formats/base/error.hpp"
#include "formats/base/fd.hpp"
#include "tools/batch/run.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <limits>
#include <string_view>

namespace vm2oci {
namespace {

constexpr std::size_t kTextLimit = 64ull * 1024; // /proc/meminfo and files of a control group have far less

std::optional<std::uint64_t> number_in(std::string_view text) {
    text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc() ? std::optional(number) : std::nullopt;
}

std::optional<std::uint64_t> number_of_file(const char* path) {
    try {
        const auto text = read_file(path, kTextLimit);
        return text ? number_in(*text) : std::nullopt;
    } catch (const Error&) {
        return std::nullopt;
    }
}

std::uint64_t available_memory() {
    constexpr std::string_view kLine = "MemAvailable:";
    constexpr std::uint64_t kKiB = 1024;
    std::uint64_t memory = std::numeric_limits<std::uint64_t>::max();
    if (const auto text = read_file("/proc/meminfo", kTextLimit))
        if (const std::size_t at = text->find(kLine); at != std::string::npos)
            if (const auto found = number_in(std::string_view(*text).substr(at + kLine.size())))
                memory = *found * kKiB;
    return memory;
}

// What a container may have, as seen from inside of it (cgroup v2, then v1). "max" is no number.
std::uint64_t container_memory() {
    constexpr std::pair<const char*, const char*> kFiles[] = {
        {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"},
        {"/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"}};
    for (const auto& [limit_file, used_file] : kFiles)
        if (const auto limit = number_of_file(limit_file)) {
            const std::uint64_t used = number_of_file(used_file).value_or(0);
            return *limit > used ? *limit - used : 0;
        }
    return std::numeric_limits<std::uint64_t>::max();
}

// "200000 100000": so many microseconds in each period; "max" is no number.
unsigned container_processors() {
    constexpr unsigned kUnlimited = std::numeric_limits<unsigned>::max();
    std::string text;
    try {
        text = read_file("/sys/fs/cgroup/cpu.max", kTextLimit).value_or("");
    } catch (const Error&) {
        return kUnlimited;
    }
    const std::uint64_t quota = number_in(text).value_or(0);
    const std::uint64_t period =
        number_in(std::string_view(text).substr(std::min(text.find(' '), text.size()))).value_or(0);
    if (quota == 0 || period == 0)
        return kUnlimited;
    return static_cast<unsigned>(std::clamp<std::uint64_t>((quota + period - 1) / period, 1, 4096));
}

} // namespace

BatchCost available_budget() {
    return {std::min(OperationContext().thread_count(), container_processors()),
            std::min(available_memory(), container_memory())};
}

} // namespace vm2oci
