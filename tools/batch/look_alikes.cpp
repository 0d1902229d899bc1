#include "tools/batch/look_alikes.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <utility>

namespace vm2oci {
namespace {

// Of the larger number of packages: machines that differ by more have been installed otherwise.
constexpr std::uint64_t kDifferingShare = 4;

std::uint64_t difference(std::uint64_t left, std::uint64_t right) {
    return std::max(left, right) - std::min(left, right);
}

} // namespace

std::optional<Likeness> likeness_of(std::string_view inspection) {
    using Json = nlohmann::json;
    const Json document = Json::parse(inspection, nullptr, false);
    const auto at = [&](const char* path) {
        const Json::json_pointer pointer(path);
        return document.is_object() && document.contains(pointer) ? document.at(pointer) : Json();
    };
    const auto text = [&](const char* path) {
        const Json value = at(path);
        return value.is_string() ? value.get<std::string>() : "";
    };
    const std::string distribution = text("/inside/guest/os/distribution");
    const Json packages = at("/inside/guest/packages/count");
    if (distribution.empty() || !packages.is_number_unsigned())
        return std::nullopt;
    return Likeness{
        fmt::format("{} {} {}", distribution, text("/inside/guest/os/version"), text("/inside/guest/os/architecture")),
        packages.get<std::uint64_t>()};
}

void LookAlikes::made(std::string kind, const Likeness& likeness, std::string name, std::string image) {
    made_.push_back({std::move(kind), likeness, {std::move(name), std::move(image)}});
}

std::optional<LookAlikes::Found> LookAlikes::nearest(std::string_view kind, const Likeness& likeness) const {
    const Made* best = nullptr;
    for (const Made& made : made_) {
        const std::uint64_t apart = difference(made.likeness.packages, likeness.packages);
        if (made.kind != kind || made.likeness.system != likeness.system ||
            apart > std::max(made.likeness.packages, likeness.packages) / kDifferingShare)
            continue;
        if (best == nullptr || apart <= difference(best->likeness.packages, likeness.packages))
            best = &made;
    }
    return best == nullptr ? std::nullopt : std::optional(best->found);
}

} // namespace vm2oci
