#include "libconvert/edit/planners.hpp"
#include "runner/judge/rules.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <string>

using namespace vm2oci;

TEST_CASE("every --fix that a verdict advises is one that there is") {
    const auto exists = [](std::string_view name) {
        return std::any_of(fixes().begin(), fixes().end(), [&](const Fix& fix) { return fix.name == name; });
    };
    unsigned advised = 0;
    for (const auto& rules : {boot_loader_rules(), kernel_rules(), initramfs_rules(), system_rules(), judge_rules()})
        for (const Rule& rule : rules) {
            INFO(rule.id);
            CHECK((rule.fix.empty() || exists(rule.fix)));
            advised += rule.fix.empty() ? 0U : 1U;
        }
    CHECK(advised > 10);
}
