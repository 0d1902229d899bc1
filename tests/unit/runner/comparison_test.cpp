#include "runner/report/comparison.hpp"
#include "runner/report/html.hpp"
#include "runner/report/json.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

using namespace vm2oci;
using Texts = std::vector<std::string>;

namespace {

BootReport booted(const std::string& source, std::vector<std::string> units, std::vector<std::string> ports,
                  std::vector<std::string> failed = {}) {
    BootReport report;
    report.source = source;
    report.verdict = Verdict{};
    report.verdict->outcome = Outcome::ready;
    report.verdict->at = {Milliseconds(40000), Milliseconds(50000), {}};
    report.milestones = {{Milestone::kernel, {Milliseconds(2000), Milliseconds(1500), {}}}};
    report.facts = OwnAgentFacts{std::move(units), std::move(failed), std::move(ports), {"ext4", "ahci"}};
    return report;
}

} // namespace

TEST_CASE("two machines that run the same fit") {
    const Texts units = {"ssh.service", "dev-vda1.device", "-.mount", "session-1.scope", "user@0.service"};
    const BootReport original = booted("a.qcow2", units, {"tcp/22"});
    const BootReport here = booted("b", {"-.mount", "ssh.service", "vm2oci-agent.service"}, {"tcp/22"});
    const BootComparison comparison = compare_boots(original, here);
    CHECK(comparison.fits());
    CHECK(comparison.units_there == 2);
    CHECK(comparison.units_added.empty());
    CHECK(comparison.kernel_there.wall == Milliseconds(38000));
    CHECK(comparison.kernel_there.cpu == Milliseconds(48500));
    CHECK(comparison.modules_there == Texts{"ahci", "ext4"});
    CHECK(comparison_lines(comparison).front() ==
          "beside a.qcow2: 2 of 2 units run, 1 of 1 ports listen, 0 failed that did not fail there");
}

TEST_CASE("what is lost is named, and what went with the disk is no loss") {
    const BootReport original =
        booted("a",
               {"-.mount", "apparmor.service", "boot-efi.mount", "dev-sda2.swap", "ssh.service", "swap.target",
                "sys-kernel-tracing.mount", "systemd-fsck@dev-disk-by\\x2duuid-1.service", "var.mount"},
               {"tcp/22", "udp/68"}, {"old.service"});
    const BootReport here = booted("b", {"-.mount", "new.service", "ssh.service"}, {"tcp/22", "tcp/80"},
                                   {"old.service", "nftables.service"});
    const BootComparison comparison = compare_boots(original, here);
    CHECK_FALSE(comparison.fits());
    CHECK(comparison.units_missing == Texts{"apparmor.service", "sys-kernel-tracing.mount"});
    CHECK(comparison.units_left.size() == 5);
    CHECK(comparison.units_added == Texts{"new.service"});
    CHECK(comparison.failed_here == Texts{"nftables.service"});
    CHECK(comparison.ports_missing == Texts{"udp/68"});
    CHECK(comparison.ports_added == Texts{"tcp/80"});
    BootReport report = here;
    report.comparison = comparison;
    const auto json = nlohmann::json::parse(boot_report_json(report));
    CHECK(json["comparison"]["fits"] == false);
    CHECK(json["comparison"]["units_missing"].size() == 2);
    CHECK(json["facts"]["listening"].size() == 2);
    CHECK(boot_report_html(report).find("does not run here: apparmor.service") != std::string::npos);
}

TEST_CASE("each loss alone is enough") {
    const BootReport original = booted("a", {"a.service"}, {"tcp/1"});
    CHECK(compare_boots(original, original).fits());
    CHECK_FALSE(compare_boots(original, booted("b", {}, {"tcp/1"})).fits());
    CHECK_FALSE(compare_boots(original, booted("b", {"a.service"}, {})).fits());
    CHECK_FALSE(compare_boots(original, booted("b", {"a.service"}, {"tcp/1"}, {"x.service"})).fits());
}

TEST_CASE("without two machines that are up and talk there is nothing to compare") {
    const BootReport good = booted("a", {}, {});
    BootReport down = good;
    down.verdict->outcome = Outcome::timed_out;
    BootReport silent = good;
    silent.facts.reset();
    CHECK(compare_boots(good, good).problem.empty());
    CHECK(compare_boots(down, good).problem == "the original does not come up");
    CHECK(compare_boots(good, down).problem == "the machine does not come up");
    for (const BootComparison& comparison : {compare_boots(good, silent), compare_boots(silent, good)}) {
        CHECK_FALSE(comparison.problem.empty());
        CHECK_FALSE(comparison.fits());
        CHECK(comparison_lines(comparison).size() == 1);
    }
}

TEST_CASE("names of guests cannot harm a terminal") {
    const BootReport original = booted("a", {"x\x1b[2J.service"}, {});
    for (const std::string& line : comparison_lines(compare_boots(original, booted("b", {}, {}))))
        CHECK(line.find('\x1b') == std::string::npos);
}

TEST_CASE("units for disks, checks and boot loaders that a bundle has not are no loss") {
    const Texts gone = {"boot-efi.automount",    "local-fs-pre.target",  "mdmonitor.service",
                        "multipathd.service",    "quotaon.service",      "systemd-boot-update.service",
                        "systemd-fsckd.service", "systemd-fsckd.socket", "systemd-hibernate-resume@dev-sda2.service",
                        "zfs-mount.service"};
    const BootComparison comparison = compare_boots(booted("a", gone, {}), booted("b", {}, {}));
    CHECK(comparison.units_missing.empty());
    CHECK(comparison.units_left == gone);
    CHECK(compare_boots(booted("a", {"proc-sys-fs-binfmt_misc.automount", "zfsmon.service"}, {}), booted("b", {}, {}))
              .units_missing.size() == 2);
}
