// The words of `manifest`.
#include "formats/base/size.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/unit/cli/said.hpp"
#include "tools/vm2oci/manifest_options.hpp"

#include <set>

using namespace vm2oci;
using namespace vm2oci::cli;
using test::refusal_of;
using test::Words;
using test::write_text;

namespace {

ManifestWishes wishes_of(const Words& words) {
    return test::options_with(add_manifest_options, words)->wishes();
}

} // namespace

TEST_CASE("nothing said of a machine leaves it to its guest and its description, for KubeVirt") {
    const ManifestWishes wishes = wishes_of({});
    CHECK(wishes.target->name == "kubevirt");
    CHECK(wishes.image.empty());
    const MachineWishes& machine = wishes.machine;
    CHECK((machine.name.empty() && machine.namespace_.empty() && machine.pull_secret.empty()));
    CHECK_FALSE((machine.cpus || machine.memory || machine.firmware || machine.attachment || machine.nic_model));
    CHECK_FALSE((machine.seed || machine.seed_form));
    CHECK((machine.instance_type.empty() && machine.preference.empty() && machine.networks.empty()));
}

TEST_CASE("each word of a machine stands for its value") {
    CHECK(wishes_of({"--image", "h/r:1"}).image == "h/r:1");
    CHECK(wishes_of({"--name", "web"}).machine.name == "web");
    CHECK(wishes_of({"--namespace", "team"}).machine.namespace_ == "team");
    CHECK(wishes_of({"--pull-secret", "login"}).machine.pull_secret == "login");
    CHECK(wishes_of({"--instancetype", "u1.small"}).machine.instance_type == "u1.small");
    CHECK(wishes_of({"--preference", "rhel.9"}).machine.preference == "rhel.9");
    CHECK(wishes_of({"--network", "pod", "--network", "ns/net"}).machine.networks == Words{"pod", "ns/net"});
    struct Row {
        const char* option;
        const char* word;
        bool (*holds)(const MachineWishes&);
    };
    const Row rows[] = {
        {"--firmware", "bios", [](const MachineWishes& w) { return w.firmware == StartFirmware::bios; }},
        {"--firmware", "uefi", [](const MachineWishes& w) { return w.firmware == StartFirmware::uefi; }},
        {"--firmware", "uefi-secure", [](const MachineWishes& w) { return w.firmware == StartFirmware::uefi_secure; }},
        {"--firmware", "auto", [](const MachineWishes& w) { return !w.firmware; }},
        {"--disk-bus", "virtio", [](const MachineWishes& w) { return w.attachment == DiskAttachment::virtio; }},
        {"--disk-bus", "sata", [](const MachineWishes& w) { return w.attachment == DiskAttachment::sata; }},
        {"--disk-bus", "auto", [](const MachineWishes& w) { return !w.attachment; }},
        {"--nic", "virtio", [](const MachineWishes& w) { return w.nic_model == NicModel::virtio; }},
        {"--nic", "e1000", [](const MachineWishes& w) { return w.nic_model == NicModel::e1000; }},
        {"--nic", "e1000e", [](const MachineWishes& w) { return w.nic_model == NicModel::e1000e; }},
        {"--nic", "rtl8139", [](const MachineWishes& w) { return w.nic_model == NicModel::rtl8139; }},
        {"--nic", "auto", [](const MachineWishes& w) { return !w.nic_model; }},
        {"--seed-form", "nocloud", [](const MachineWishes& w) { return w.seed_form == SeedForm::no_cloud; }},
        {"--seed-form", "configdrive", [](const MachineWishes& w) { return w.seed_form == SeedForm::config_drive; }},
        {"--seed-form", "auto", [](const MachineWishes& w) { return !w.seed_form; }},
        {"--memory", "1M", [](const MachineWishes& w) { return w.memory == MiB; }},
        {"--memory", "4G", [](const MachineWishes& w) { return w.memory == 4096 * MiB; }},
        {"--cpus", "1", [](const MachineWishes& w) { return w.cpus == 1U; }},
        {"--cpus", "4096", [](const MachineWishes& w) { return w.cpus == 4096U; }},
    };
    for (const Row& row : rows) {
        CAPTURE(row.option, row.word);
        CHECK(row.holds(wishes_of({row.option, row.word}).machine));
    }
    for (const char* option : {"--firmware", "--disk-bus", "--nic", "--seed-form"})
        CHECK_THROWS_AS(wishes_of({option, "other"}), CLI::ValidationError);
}

TEST_CASE("a machine's size is one that its target can write") {
    for (const char* size : {"1048575", "1.5M", "1000000000", "0"}) {
        CAPTURE(size);
        CHECK(refusal_of([&] { wishes_of({"--memory", size}); }) == "--memory takes whole MiB, such as 512M or 4G");
    }
    for (const char* count : {"0", "4097"})
        CHECK(refusal_of([&] { wishes_of({"--cpus", count}); }) == "--cpus goes from 1 to 4096");
}

TEST_CASE("every target is found by its name, and another is refused with those that there are") {
    std::set<std::string_view> names;
    std::string listed;
    for (const ManifestTarget& target : manifest_targets()) {
        CHECK(names.insert(target.name).second);
        listed += (listed.empty() ? "" : ", ") + std::string(target.name);
        CHECK(wishes_of({"--for", std::string(target.name)}).target == &target);
    }
    CHECK(manifest_target_names() == listed);
    for (const char* name : {"kubevirt", "kata", "libvirt", "virtlet"})
        CHECK(names.contains(name));
    CHECK(refusal_of([] { wishes_of({"--for", "vmware"}); }).find(listed) != std::string::npos);
}

TEST_CASE("keys become a user-data of their own, one entry a line") {
    const test::TemporaryFolder folder;
    const std::string one = write_text(folder.path() / "one", "# mine\nssh-ed25519 AAAA me@here\n\nssh-rsa AAAAB3\n");
    const std::string two = write_text(folder.path() / "two", "ecdsa-sha2-nistp256 AAAAE2 \"quoted\" back\\slash");
    const auto seed = wishes_of({"--ssh-key", one, "--ssh-key", two}).machine.seed;
    REQUIRE(seed);
    CHECK(seed->user_data == "#cloud-config\n"
                             "ssh_authorized_keys:\n"
                             "  - \"ssh-ed25519 AAAA me@here\"\n"
                             "  - \"ssh-rsa AAAAB3\"\n"
                             "  - \"ecdsa-sha2-nistp256 AAAAE2 \\\"quoted\\\" back\\\\slash\"\n");
    CHECK_FALSE(seed->network_data);
    const std::string absent = (folder.path() / "absent").string();
    CHECK(refusal_of(
              [&] {
                  wishes_of({"--ssh-key", absent});
              },
              ErrorKind::not_found) == "--ssh-key " + absent + ": no such file");
}

TEST_CASE("a key file of a Windows editor, or in another encoding, is no reason to end without a word") {
    const test::TemporaryFolder folder;
    const std::string dos = write_text(folder.path() / "dos", "ssh-rsa AAAA me\r\nssh-rsa AAAAB3 you\r\n\r\n");
    CHECK(wishes_of({"--ssh-key", dos}).machine.seed->user_data == "#cloud-config\n"
                                                                   "ssh_authorized_keys:\n"
                                                                   "  - \"ssh-rsa AAAA me\"\n"
                                                                   "  - \"ssh-rsa AAAAB3 you\"\n");
    const std::string latin = write_text(folder.path() / "latin", "ssh-rsa AAAA J\xfcrgen\n");
    CHECK(refusal_of([&] { wishes_of({"--ssh-key", latin}); }).find("UTF-8") != std::string::npos);
}

TEST_CASE("files of a seed are checked before they go into a manifest, and are not mixed with keys") {
    const test::TemporaryFolder folder;
    const auto file = [&](const char* name, const std::string& text) { return write_text(folder.path() / name, text); };
    const std::string data = file("ud", "#cloud-config\nhostname: web\n");
    const std::string network = file("net", "version: 2\nethernets:\n  eth0:\n    dhcp4: true\n");
    CHECK(wishes_of({"--user-data", data}).machine.seed->user_data == "#cloud-config\nhostname: web\n");
    const auto both = wishes_of({"--network-config", network}).machine.seed;
    REQUIRE(both);
    CHECK(both->user_data == "#cloud-config\n{}\n");
    CHECK(both->network_data == "version: 2\nethernets:\n  eth0:\n    dhcp4: true\n");
    CHECK(refusal_of([&] {
              wishes_of({"--user-data", data, "--ssh-key", data});
          }) == "--ssh-key makes a user-data of its own; write the keys into the one of --user-data");
    // What cloud-init would not read is refused here; network_data.json of a config drive has another form.
    CHECK(!refusal_of([&] { wishes_of({"--user-data", file("bad", "#cloud-config\na: [\n")}); }).empty());
    const std::string openstack = file("nd.json", R"({"links": [], "networks": [], "services": []})");
    CHECK(!refusal_of([&] { wishes_of({"--network-config", openstack}); }).empty());
    CHECK(wishes_of({"--network-config", openstack, "--seed-form", "configdrive"}).machine.seed->network_data ==
          R"({"links": [], "networks": [], "services": []})");
    const std::string absent = (folder.path() / "absent").string();
    for (const char* option : {"--user-data", "--network-config"})
        CHECK(refusal_of(
                  [&] {
                      wishes_of({option, absent});
                  },
                  ErrorKind::not_found) == std::string(option) + " " + absent + ": no such file");
    // A Secret holds a MiB.
    const std::string large = file("large", "#cloud-config\n#" + std::string(1024 * 1024, 'x') + "\n");
    CHECK(!refusal_of([&] { wishes_of({"--user-data", large}); }, ErrorKind::limit).empty());
}
