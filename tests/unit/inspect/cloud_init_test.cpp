// What cloud-init would do at the next boot.
#include "tests/unit/inspect/inspect_fixture.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;
using test::MemoryGuest;
using test::Words;

namespace {

MemoryGuest with_cloud_init() {
    MemoryGuest guest;
    guest.file("/usr/bin/cloud-init", "");
    return guest;
}

CloudInitInfo info_of(MemoryGuest guest) {
    return test::inspect(std::move(guest)).cloud_init;
}

} // namespace

TEST_CASE("cloud-init is there by any of the places that distributions have it in") {
    for (const char* path :
         {"/usr/lib/cloud-init/ds-identify", "/usr/libexec/cloud-init/ds-identify", "/usr/bin/cloud-init"})
        CHECK(info_of(MemoryGuest().file(path, "")).installed);
    // Its settings alone are nothing: packages leave them behind.
    MemoryGuest left;
    left.file("/etc/cloud/cloud.cfg", "datasource_list: [ None ]\n").file("/var/lib/cloud/instances/i-1/x", "");
    const CloudInitInfo info = info_of(std::move(left));
    CHECK_FALSE(info.installed);
    CHECK(info.datasources.empty());
    CHECK(info.instances.empty());
}

TEST_CASE("its version is what each package manager or its own files say") {
    struct Row {
        const char* path;
        const char* text;
        const char* version;
    };
    const Row rows[] = {
        {"/var/lib/dpkg/status",
         "Package: a\nVersion: 1\n\nPackage: cloud-init\nStatus: install ok installed\nVersion: 22.4.2-1+deb12u3\n",
         "22.4.2"},
        {"/var/lib/dpkg/status", "Package: cloud-init\nVersion: 1:23.4-0ubuntu1~22.04.1\n", "23.4"},
        {"/var/lib/dpkg/status", "Package: cloud-init\nVersion: 24.1.3\n", "24.1.3"},
        {"/var/lib/dpkg/status", "Package: cloud-init-base\nVersion: 9-1\n", ""},
        {"/usr/lib/python3/dist-packages/cloudinit/version.py", "# x\n__VERSION__ = \"21.4\"\nOTHER = \"1\"\n", "21.4"},
        {"/usr/lib/python3.9/site-packages/cloud_init-22.1-py3.9.egg-info", "", "22.1"},
        {"/usr/lib/python3.12/site-packages/cloud_init-24.2-py3.12.egg-info/PKG-INFO", "", "24.2"},
        {"/usr/lib/python2.7/site-packages/cloud_init-0.7-py2.7.egg-info", "", ""},
        {"/usr/lib/python3.9/site-packages/cloud-init", "", ""},
    };
    for (const Row& row : rows) {
        CAPTURE(row.path, row.text);
        CHECK(info_of(with_cloud_init().file(row.path, row.text)).version == row.version);
    }
}

TEST_CASE("its list of sources is read in every form of YAML that people write it in") {
    struct Row {
        const char* text;
        Words sources;
    };
    const Row rows[] = {
        {"datasource_list: [ NoCloud, ConfigDrive, None ]\n", {"NoCloud", "ConfigDrive", "None"}},
        {"datasource_list: ['Ec2']\n", {"Ec2"}},
        {"datasource_list: [\"VMware\",\"None\"]  # of the installer\n", {"VMware", "None"}},
        {"datasource_list:\n- Azure\n- None\n", {"Azure", "None"}},
        {"datasource_list:\n  - GCE\n  - None\nusers:\n  - default\n", {"GCE", "None"}},
        {"datasource_list: [ NoCloud, None\n", {"NoCloud", "None"}},
        {"datasource_list: [ NoCloud, # ours\n  ConfigDrive,\n  # none of theirs\n  None ]\nusers: [ a, b ]\n",
         {"NoCloud", "ConfigDrive", "None"}},
        {"datasource_list: [\n  'VMware',\n  \"OVF\"\n]\ndisable_root: true\n", {"VMware", "OVF"}},
        {"datasource_list: []\n", {}},
        {"  datasource_list: [ Ec2 ]\n  users:\n  - default\n", {"Ec2"}},
        {"# datasource_list: [ Ec2 ]\nusers:\n- default\n", {}},
        {"datasource_list: [ Ec2 ]\ndatasource_list: [ None ]\n", {"None"}},
        {"datasource:\n  Ec2:\n    timeout: 5\n", {}},
    };
    for (const Row& row : rows) {
        CAPTURE(row.text);
        const CloudInitInfo info = info_of(with_cloud_init().file("/etc/cloud/cloud.cfg", row.text));
        CHECK(info.datasources == row.sources);
    }
}

TEST_CASE("later files of cloud.cfg.d win, and only such as are called .cfg") {
    MemoryGuest guest = with_cloud_init();
    guest.file("/etc/cloud/cloud.cfg", "datasource_list: [ A ]\n");
    guest.file("/etc/cloud/cloud.cfg.d/90_dpkg.cfg", "datasource_list: [ B ]\n");
    guest.file("/etc/cloud/cloud.cfg.d/99-installer.cfg", "datasource_list: [ C ]\n");
    guest.file("/etc/cloud/cloud.cfg.d/99-z.cfg.disabled", "datasource_list: [ D ]\n");
    guest.file("/etc/cloud/cloud.cfg.d/README", "datasource_list: [ E ]\n");
    const CloudInitInfo info = info_of(std::move(guest));
    CHECK(info.datasources == Words{"C"});
    CHECK(info.datasource_file == "/etc/cloud/cloud.cfg.d/99-installer.cfg");
}

TEST_CASE("its network may be switched off in one line or in two") {
    struct Row {
        const char* text;
        bool disabled;
    };
    for (const Row& row : {Row{"network: {config: disabled}\n", true},
                           {"network:\n  config: disabled\n", true},
                           {"network:\n  config: \"disabled\"\n", true},
                           {"network:\n  version: 2\n", false},
                           {"users: []\nother:\n  config: disabled\n", false},
                           {"#network: {config: disabled}\n", false},
                           {"network:\n  version: 2\nother:\n  config: disabled\n", false},
                           {"", false}}) {
        CAPTURE(row.text);
        CHECK(info_of(with_cloud_init().file("/etc/cloud/cloud.cfg.d/a.cfg", row.text)).network_disabled ==
              row.disabled);
    }
}

TEST_CASE("what keeps it from running, what it has been told, and what it has been are seen") {
    CHECK(info_of(with_cloud_init().file("/etc/cloud/cloud-init.disabled", "")).disabled);
    CHECK_FALSE(info_of(with_cloud_init()).disabled);
    CHECK(info_of(with_cloud_init().file("/var/lib/cloud/seed/nocloud/meta-data", "")).has_seed);
    CHECK(info_of(with_cloud_init().file("/var/lib/cloud/seed/nocloud-net/meta-data", "")).has_seed);
    CHECK_FALSE(info_of(with_cloud_init().file("/var/lib/cloud/seed/nocloud/user-data", "")).has_seed);
    MemoryGuest lives = with_cloud_init();
    lives.folder("/var/lib/cloud/instances/i-0abc").folder("/var/lib/cloud/instances/iid-datasource-none");
    CHECK(info_of(std::move(lives)).instances == Words{"i-0abc", "iid-datasource-none"});
}
