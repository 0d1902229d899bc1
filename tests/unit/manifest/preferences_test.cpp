#include "formats/base/size.hpp"
#include "libconvert/manifest/preferences.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;

namespace {

RunnableMachine guest(std::string distribution, std::string version, std::string architecture = "amd64") {
    RunnableMachine machine;
    machine.guest = {"linux", std::move(distribution), std::move(version), "x"};
    machine.architecture = std::move(architecture);
    return machine;
}

std::string windows(std::string product) {
    RunnableMachine machine;
    machine.guest = {"windows", "windows", "", std::move(product)};
    return preference_for(machine);
}

} // namespace

TEST_CASE("a preference is the one that common-instancetypes has for the guest") {
    struct Row {
        const char* distribution;
        const char* version;
        const char* preference;
    };
    const Row row = GENERATE(Row{"debian", "12", "debian"}, Row{"ubuntu", "22.04", "ubuntu"},
                             Row{"rhel", "7.9", "rhel.7"}, Row{"rhel", "8.10", "rhel.8"}, Row{"rhel", "9.4", "rhel.9"},
                             Row{"rhel", "10.0", "rhel.10"}, Row{"centos", "9", "centos.stream9"},
                             Row{"centos", "10", "centos.stream10"}, Row{"fedora", "42", "fedora"},
                             Row{"sles", "15.5", "sles"}, Row{"opensuse-leap", "15.6", "opensuse.leap"},
                             Row{"opensuse-tumbleweed", "20260101", "opensuse.tumbleweed"},
                             Row{"ol", "9.3", "oraclelinux"}, Row{"alpine", "3.20", "alpine"},
                             // None of theirs: what fits by its devices.
                             Row{"rhel", "6.10", "linux"}, Row{"centos", "7", "linux"}, Row{"rocky", "9.4", "linux"},
                             Row{"arch", "", "linux"}, Row{"ol", "7.9", "linux"}, Row{"", "", "linux"});
    CHECK(preference_for(guest(row.distribution, row.version)) == row.preference);
}

TEST_CASE("devices decide where no distribution's preference fits them") {
    RunnableMachine machine = guest("centos", "6.10");
    machine.transitional_virtio = true;
    CHECK(preference_for(machine) == "linux.virtiotransitional");
    machine.attachment = DiskAttachment::sata;
    CHECK(preference_for(machine) == "legacy");
    machine = guest("rocky", "9");
    machine.firmware = StartFirmware::uefi;
    CHECK(preference_for(machine) == "linux.efi");
    CHECK(preference_for(guest("rhel", "9.2", "arm64")) == "rhel.9.arm64");
    CHECK(preference_for(guest("rhel", "8.2", "arm64")) == "linux");
    CHECK(preference_for(guest("fedora", "41", "arm64")) == "fedora.arm64");
    CHECK(preference_for(guest("fedora", "41", "s390x")) == "fedora.s390x");
    CHECK(preference_for(guest("rhel", "10.1", "s390x")) == "rhel.10.s390x");
    CHECK(preference_for(guest("rhel", "8.9", "s390x")) == "linux");
}

TEST_CASE("what a preference asks for is known, and there is one that asks for nothing") {
    CHECK(needs_of_preference("oraclelinux").processors == 2);
    CHECK(needs_of_preference("oraclelinux").memory == 4 * GiB);
    CHECK(needs_of_preference("rhel.7").memory == GiB);
    CHECK(needs_of_preference("rhel.9.arm64").memory == 1536 * MiB);
    CHECK(needs_of_preference("windows.11").memory == 4 * GiB);
    CHECK(needs_of_preference("windows.2k8").memory == 512 * MiB);
    CHECK(needs_of_preference("windows.2k22").memory == 2 * GiB);
    CHECK(needs_of_preference("somebody.elses").memory == 0);
    for (const char* distribution : {"ol", "ubuntu", "fedora", "rocky"}) {
        const PreferenceNeeds needs = needs_of_preference(modest_preference_for(guest(distribution, "9")));
        CHECK(needs.processors == 1);
        CHECK(needs.memory == 0);
    }
    RunnableMachine machine;
    machine.guest = {"windows", "windows", "", "Windows Server 2022"};
    CHECK(modest_preference_for(machine) == "legacy");
}

TEST_CASE("Windows is known by its product's name") {
    CHECK(windows("Windows Server 2019 Standard") == "windows.2k19");
    CHECK(windows("Windows Server 2008 R2 Enterprise") == "windows.2k8");
    CHECK(windows("Windows 10 Pro") == "windows.10");
    CHECK(windows("Windows 11 Enterprise") == "windows.11");
    CHECK(windows("Microsoft Windows XP") == "windows.xp");
    CHECK(windows("Windows Server 2025 Datacenter") == "windows.2k25");
    // As descriptions of machines name them.
    CHECK(windows("windows9Server64Guest") == "windows.2k16");
    CHECK(windows("windows9_64Guest") == "windows.10");
    CHECK(windows("windows8Server64Guest") == "windows.2k12");
    CHECK(windows("windows7Server64Guest") == "windows.2k8");
    CHECK(windows("windows7_64Guest") == "windows.7");
    CHECK(windows("winNetEnterpriseGuest") == "windows.2k3");
    CHECK(windows("winXPProGuest") == "windows.xp");
    CHECK(windows("windows2019srv_64Guest") == "windows.2k19");
    CHECK(windows("windows2019srvNext_64Guest") == "windows.2k22");
    CHECK(windows("windows2022srvNext_64Guest") == "windows.2k25");
    CHECK(windows("Windows2016_64") == "windows.2k16");
    CHECK(windows("Windows11_64") == "windows.11");
}

TEST_CASE("an instance type has at least what is asked for") {
    CHECK(instance_type_for(1, 256 * MiB) == "u1.nano");
    CHECK(instance_type_for(1, 3 * GiB) == "u1.medium");
    CHECK(instance_type_for(2, 2 * GiB) == "u1.2xmedium");
    CHECK(instance_type_for(3, 2 * GiB) == "u1.xlarge");
    CHECK(instance_type_for(2, 12 * GiB) == "u1.xlarge");
    CHECK(instance_type_for(64, 512 * GiB) == "u1.8xlarge");
}
