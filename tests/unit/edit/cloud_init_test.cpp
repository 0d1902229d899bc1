#include "formats/base/error.hpp"
#include "libconvert/edit/plan_edits.hpp"
#include "libconvert/edit/planners.hpp"
#include "libconvert/edit/user_data.hpp"
#include "libconvert/edit/yaml.hpp"
#include "tests/support/memory_guest.hpp"

#include <catch2/catch.hpp>

#include <algorithm>

using namespace vm2oci;
using vm2oci::test::MemoryGuest;

namespace {

std::string refusal(const std::function<void()>& body) {
    try {
        body();
    } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::usage);
        return error.what();
    }
    return "";
}

const Edit* find_edit(const EditPlan& plan, const std::string& path) {
    for (const Edit& edit : plan.edits)
        if (edit.path == path)
            return &edit;
    return nullptr;
}

MemoryGuest cloud_guest() {
    MemoryGuest guest;
    guest.file("/usr/bin/cloud-init", "").file("/etc/cloud/cloud.cfg", "users: [default]\n");
    return guest;
}

EditRequest seed_request() {
    EditRequest request;
    request.cloud_init.user_data = "#cloud-config\npackages: [htop]\n";
    return request;
}

constexpr const char* kKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGx me@there";

} // namespace

TEST_CASE("YAML is read with its places, and refused where it is broken") {
    const YamlValue root = parse_yaml("a: 1\nb: [x, y]\nc: {d: null}\n");
    CHECK(root.get("b")->items()[1].text() == "y");
    CHECK(root.get("c")->get("d")->kind() == YamlKind::null);
    CHECK(root.get("c")->line() == 3);
    CHECK(parse_yaml("").kind() == YamlKind::null);
    CHECK_THROWS_WITH(parse_yaml("a: [1\nb: 2\n"), Catch::Contains("line 2"));
    CHECK_THROWS_WITH(parse_yaml("a: 1\na: 2\n"), Catch::Contains("twice"));
    CHECK_THROWS_WITH(parse_yaml("a: 1\n---\nb: 2\n"), Catch::Contains("second document"));
    CHECK_THROWS(parse_yaml("\ta: 1\n"));
    std::string laughs = "a: &a [x, x]\n";
    for (char name = 'b'; name <= 'z'; ++name)
        laughs += std::string(1, name) + ": &" + name + " [*" + static_cast<char>(name - 1) + ", *" +
                  static_cast<char>(name - 1) + "]\n";
    CHECK(parse_yaml(laughs).get("z")->items().size() == 2);
    CHECK_NOTHROW(parse_yaml("a: &self [*self]\n").get("a")->items()[0].items());
}

TEST_CASE("User data of every kind is checked") {
    CHECK(refusal([] { check_user_data("#cloud-config\nusers: [default]\n"); }) == "");
    CHECK(refusal([] { check_user_data("#!/bin/sh\necho\n"); }) == "");
    CHECK(refusal([] { check_user_data("#include\nhttps://example.org/x\n"); }) == "");
    CHECK(refusal([] { check_user_data("## template: jinja\n#cloud-config\na: {{ v1.region }}\n"); }) == "");
    CHECK_THAT(refusal([] { check_user_data("#cloud-config\nusers: [default\n"); }), Catch::Contains("line 3"));
    CHECK_THAT(refusal([] { check_user_data("#cloud-config\n- a\n"); }), Catch::Contains("mapping"));
    CHECK_THAT(refusal([] { check_user_data("users: [default]\n"); }), Catch::Contains("ignore"));
    CHECK_THAT(refusal([] { check_user_data("#include\nnothing\n"); }), Catch::Contains("no URL"));
    CHECK_THAT(refusal([] { check_user_data("#cloud-config-archive\na: 1\n"); }), Catch::Contains("list"));
}

TEST_CASE("MIME multiparts are taken apart, base64 too") {
    const auto message = [](const std::string& type, const std::string& encoding, const std::string& body) {
        return "Content-Type: multipart/mixed; boundary=\"==x==\"\nMIME-Version: 1.0\n\n--==x==\nContent-Type: " +
               type + "\nContent-Transfer-Encoding: " + encoding + "\n\n" + body + "\n--==x==--\n";
    };
    CHECK(refusal([&] { check_user_data(message("text/cloud-config", "7bit", "#cloud-config\na: 1")); }) == "");
    CHECK_THAT(refusal([&] { check_user_data(message("text/cloud-config", "7bit", "a: [1")); }),
               Catch::Contains("MIME part 1"));
    // "a: [1" in base64
    CHECK_THAT(refusal([&] { check_user_data(message("text/cloud-config", "base64", "YTogWzE=")); }),
               Catch::Contains("MIME part 1"));
    CHECK(refusal([&] { check_user_data(message("text/cloud-config", "base64", "YTogMQ==")); }) == "");
    std::string cut = message("text/x-shellscript", "7bit", "#!/bin/sh");
    cut.resize(cut.size() - 5);
    CHECK_THAT(refusal([&] { check_user_data(cut); }), Catch::Contains("does not end"));
}

TEST_CASE("Network configuration needs a version") {
    CHECK(refusal([] { check_network_config("version: 2\nethernets: {}\n"); }) == "");
    CHECK(refusal([] { check_network_config("network:\n  version: 1\n  config: []\n"); }) == "");
    CHECK_THAT(refusal([] { check_network_config("ethernets: {}\n"); }), Catch::Contains("version"));
    CHECK_THAT(refusal([] { check_network_config("version: 1\n"); }), Catch::Contains("config"));
}

TEST_CASE("The instance-id is the content's, and the user's own is kept") {
    CloudInitRequest request;
    request.user_data = "#cloud-config\na: 1\n";
    const Seed first = make_seed(request, "web", kKey);
    CHECK(make_seed(request, "web", kKey).meta_data == first.meta_data);
    CHECK(first.meta_data.find("instance-id: vm2oci-") == 0);
    CHECK(parse_yaml(first.meta_data).get("local-hostname")->text() == "web");
    CHECK(parse_yaml(first.meta_data).get("public-keys")->items()[0].text() == kKey);
    CHECK(make_seed(request, "db", kKey).meta_data.substr(0, 36) != first.meta_data.substr(0, 36));
    request.user_data = "#cloud-config\na: 2\n";
    CHECK(make_seed(request, "web", kKey).meta_data.substr(0, 36) != first.meta_data.substr(0, 36));
    request.meta_data = "instance-id: mine";
    CHECK(make_seed(request, "", "").meta_data == "instance-id: mine");
    request.meta_data = R"({"local-hostname": "json"})";
    const Seed json = make_seed(request, "other", "");
    CHECK(parse_yaml(json.meta_data).get("local-hostname")->text() == "json");
    CHECK(parse_yaml(json.meta_data).get("instance-id")->text().starts_with("vm2oci-"));
}

TEST_CASE("The seed is secret, and everything that would keep cloud-init from it goes") {
    MemoryGuest guest = cloud_guest();
    guest.file("/etc/cloud/cloud.cfg.d/99-vmware.cfg", "datasource_list: [ VMware ]\n")
        .file("/etc/cloud/cloud.cfg.d/99-installer.cfg", "datasource:\n  None:\n    userdata_raw: x\n")
        .file("/etc/cloud/cloud.cfg.d/50-mixed.cfg", "a: 1\nnetwork:\n# why\n  config: disabled\nb: 2\n")
        .file("/etc/cloud/cloud.cfg.d/subiquity-disable-cloudinit-networking.cfg", "network: {config: disabled}\n")
        .file("/etc/cloud/ds-identify.cfg", "datasource: VMware\n")
        .file("/etc/cloud/cloud-init.disabled", "")
        .symlink("/etc/systemd/system/cloud-init.service", "/dev/null")
        .file("/etc/default/grub", "GRUB_CMDLINE_LINUX_DEFAULT=\"quiet autoinstall ds=nocloud;s=/cdrom/\"\n")
        .file("/boot/grub/grub.cfg",
              "menuentry x {\n\tlinux /vmlinuz root=UUID=1 ro ds=nocloud quiet\n\tinitrd /i\n}\n")
        .file("/var/lib/cloud/instances/i-1/sem", "")
        .file("/var/lib/cloud/seed/nocloud/network-config", "old")
        .symlink("/var/lib/cloud/instance", "instances/i-1");
    const EditPlan plan = plan_edits(guest, {}, seed_request());
    const Edit* user_data = find_edit(plan, "/var/lib/cloud/seed/nocloud/user-data");
    REQUIRE(user_data != nullptr);
    CHECK(user_data->attributes.permissions == 0600);
    CHECK(user_data->content == "#cloud-config\npackages: [htop]\n");
    for (const char* path :
         {"/etc/cloud/cloud.cfg.d/99-installer.cfg", "/etc/cloud/cloud-init.disabled",
          "/etc/cloud/cloud.cfg.d/subiquity-disable-cloudinit-networking.cfg", "/etc/cloud/ds-identify.cfg",
          "/etc/systemd/system/cloud-init.service", "/var/lib/cloud/instance", "/var/lib/cloud/instances",
          "/var/lib/cloud/seed/nocloud/network-config"}) {
        INFO(path);
        REQUIRE(find_edit(plan, path) != nullptr);
        CHECK(find_edit(plan, path)->kind == EditKind::remove);
    }
    CHECK(find_edit(plan, "/etc/cloud/cloud.cfg.d/50-mixed.cfg")->content == "a: 1\n# why\nb: 2\n");
    CHECK(find_edit(plan, "/etc/default/grub")->content == "GRUB_CMDLINE_LINUX_DEFAULT=\"quiet\"\n");
    CHECK(find_edit(plan, "/boot/grub/grub.cfg")->content ==
          "menuentry x {\n\tlinux /vmlinuz root=UUID=1 ro quiet\n\tinitrd /i\n}\n");
    CHECK(find_edit(plan, "/etc/cloud/cloud.cfg.d/zz-vm2oci.cfg")->content.find("[ NoCloud, None ]") !=
          std::string::npos);
    CHECK(plan.findings.at(0).text.find("VMware") != std::string::npos);
}

TEST_CASE("Broken user data and a guest without cloud-init are refused") {
    EditRequest request = seed_request();
    request.cloud_init.user_data = "#cloud-config\na: [\n";
    CHECK_THROWS_AS(plan_edits(cloud_guest(), {}, request), Error);
    CHECK_THROWS_WITH(plan_edits(MemoryGuest(), {}, seed_request()), Catch::Contains("no cloud-init"));
}

TEST_CASE("As a disk, the seed stays out of the guest") {
    EditRequest request = seed_request();
    request.cloud_init.place = SeedPlace::disk;
    const EditPlan plan = plan_edits(cloud_guest(), {}, request);
    CHECK(find_edit(plan, "/var/lib/cloud/seed/nocloud/user-data") == nullptr);
    CHECK(find_edit(plan, "/etc/cloud/cloud.cfg.d/zz-vm2oci.cfg") != nullptr);
}

TEST_CASE("Keys go to accounts, or to cloud-init's own user") {
    MemoryGuest guest;
    guest.file("/etc/passwd", "root:x:0:0:root:/root:/bin/bash\nann:x:1000:1001::/home/ann:/bin/sh\n")
        .folder("/home/ann")
        .file("/home/ann/.ssh/authorized_keys", "ssh-rsa AAAAB old", 0644, 1000);
    EditRequest request;
    request.ssh_keys = {{kKey, "ann"}, {kKey, ""}};
    const EditPlan plan = plan_edits(guest, {}, request);
    const Edit* ann = find_edit(plan, "/home/ann/.ssh/authorized_keys");
    REQUIRE(ann != nullptr);
    CHECK(ann->content == std::string("ssh-rsa AAAAB old\n") + kKey + "\n");
    CHECK(ann->attributes.permissions == 0600);
    CHECK(ann->attributes.uid == 1000);
    CHECK(ann->attributes.gid == 1001);
    CHECK(find_edit(plan, "/root/.ssh")->attributes.permissions == 0700);
    CHECK(find_edit(plan, "/root/.ssh/authorized_keys") != nullptr);

    request.ssh_keys = {{kKey, ""}};
    const EditPlan seeded = plan_edits(cloud_guest(), {}, request);
    CHECK(find_edit(seeded, "/var/lib/cloud/seed/nocloud/meta-data")->content.find(kKey) != std::string::npos);

    request.ssh_keys = {{kKey, "nobody-here"}};
    CHECK_THROWS_WITH(plan_edits(guest, {}, request), Catch::Contains("nobody-here"));
    request.ssh_keys = {{"-----BEGIN OPENSSH PRIVATE KEY-----\n", "ann"}};
    CHECK_THROWS_WITH(plan_edits(guest, {}, request), Catch::Contains("private"));
}

TEST_CASE("The host name is checked, and replaces the old one in hosts") {
    MemoryGuest guest;
    guest.file("/etc/hostname", "old\n")
        .file("/etc/hosts", "127.0.0.1 localhost\n127.0.1.1 old.lan old # me\n10.0.0.1 old\n");
    EditRequest request;
    request.hostname = "web-01";
    const EditPlan plan = plan_edits(guest, {}, request);
    CHECK(find_edit(plan, "/etc/hostname")->content == "web-01\n");
    CHECK(find_edit(plan, "/etc/hosts")->content ==
          "127.0.0.1 localhost\n127.0.1.1\tweb-01.lan web-01 # me\n10.0.0.1 old\n");
    for (const char* bad : {"", "-a", "a-", "a..b", "a_b", "a b", "ä"}) {
        INFO(bad);
        CHECK_THROWS_AS(check_hostname(bad), Error);
    }
}

TEST_CASE("Meta-data is written from what was read, and stays one document") {
    for (const char* text :
         {"---\nlocal-hostname: own\n...\n", "  local-hostname: own\n", "# made\n{\"local-hostname\": \"own\"}\n",
          "local-hostname: own # why\n", "%YAML 1.1\n---\nlocal-hostname: 'own'\n",
          "\xef\xbb\xbflocal-hostname: own\r\n", "? local-hostname\n: own\n", "{local-hostname: own,}\n"}) {
        INFO(text);
        CloudInitRequest request;
        request.meta_data = text;
        const Seed seed = make_seed(request, "other", kKey);
        const YamlValue root = parse_yaml(seed.meta_data);
        CHECK(root.get("local-hostname")->text() == "own");
        CHECK(root.get("instance-id")->text().starts_with("vm2oci-"));
        REQUIRE(root.get("public-keys"));
        CHECK(root.get("public-keys")->items().at(0).text() == kKey);
        CHECK(root.members().size() == 3);
        CHECK(make_seed(request, "other", kKey).meta_data == seed.meta_data);
    }
    CloudInitRequest request;
    request.meta_data = "a: &x [1, '2', null, 3.5, \"t\"]\nb: *x\nc: |\n  text\n  more\nd: ~\n";
    const YamlValue root = parse_yaml(make_seed(request, "0123", "").meta_data);
    CHECK(root.get("b")->items().size() == 5);
    CHECK_FALSE(root.get("a")->items()[1].is_plain());
    CHECK(root.get("a")->items()[0].is_plain());
    CHECK(root.get("c")->text() == "text\nmore\n");
    CHECK(root.get("d")->kind() == YamlKind::null);
    CHECK_FALSE(root.get("local-hostname")->is_plain()); // else a number
}

TEST_CASE("User data is taken as cloud-init takes it, and given in the form that every version knows") {
    const auto taken = [](const std::string& data) {
        CloudInitRequest request;
        request.user_data = data;
        return make_seed(request, "", "").user_data;
    };
    CHECK(taken("\n \n#cloud-config\na: 1\n") == "#cloud-config\na: 1\n");
    CHECK(taken("#CLOUD-config # by a tool\na: 1\n") == "#cloud-config # by a tool\na: 1\n");
    CHECK(taken("\n#!/bin/sh\necho A\n") == "#!/bin/sh\necho A\n");
    CHECK(taken("#Include-Once http://x/y\n") == "#include-once http://x/y\n");
    const std::string message = "X-Made-By: a tool\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n"
                                "--b\nContent-Type: text/cloud-config\n\na: 1\n--b--\n";
    CHECK(taken("\n" + message) == message);
    CHECK_THAT(refusal([&] { taken("Content-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n--b--\n"); }),
               Catch::Contains("MIME-Version"));
    CHECK_THAT(refusal([&] { taken("\xef\xbb\xbf#cloud-config\na: 1\n"); }), Catch::Contains("byte order mark"));
    CHECK_THAT(refusal([&] { taken("#include ftp:/x\n"); }), Catch::Contains("no URL"));
}

TEST_CASE("Keys that cloud-init does not know and values of the wrong kind are told") {
    const auto remarks = [](const std::string& yaml) {
        std::string joined;
        for (const std::string& remark : user_data_remarks("#cloud-config\n" + yaml))
            joined += remark + "\n";
        return joined;
    };
    CHECK(remarks("hostname: a\npackages: [b, [c, 1]]\nruncmd:\n- ls\n- [a, b]\nusers: [default, {name: x}]\nntp:\n")
              .empty());
    CHECK_THAT(remarks("hostnam: a\n"), Catch::Contains("line 2") && Catch::Contains("'hostnam'"));
    CHECK_THAT(remarks("packages: git\n"), Catch::Contains("must be a list"));
    CHECK_THAT(remarks("package_update: 'true'\n"), Catch::Contains("true or false"));
    CHECK_THAT(remarks("runcmd:\n- echo a: b\n"), Catch::Contains("line 3") && Catch::Contains("quote it"));
    CHECK_THAT(remarks("write_files:\n- content: x\n"), Catch::Contains("no 'path'"));
    CHECK_THAT(remarks("write_files:\n- {path: /x, permissions: 644}\n"), Catch::Contains("decimal"));
    CHECK_THAT(remarks("users:\n- gecos: x\n"), Catch::Contains("no 'name'"));
    CHECK_THAT(remarks("users:\n- name: x\n  ssh_authorized_keys: ssh-rsa A\n"), Catch::Contains("must be a list"));
    CHECK_THAT(remarks("network: {version: 2}\n"), Catch::Contains("from a network-config of its own"));
    CHECK(user_data_remarks("#!/bin/sh\nhostnam: a\n").empty());

    const auto network = [](const std::string& yaml) {
        std::string joined;
        for (const std::string& remark : network_config_remarks(std::string_view(yaml)))
            joined += remark + "\n";
        return joined;
    };
    CHECK(
        network("version: 2\nethernets: {a: {match: {name: 'e*'}, dhcp4: true, addresses: [10.0.0.1/24], mtu: 1400}}\n")
            .empty());
    CHECK(network("network:\n  version: 1\n  config: [{type: physical, name: e, subnets: [{type: dhcp4}]}]\n").empty());
    CHECK_THAT(network("version: 2\nethernet: {a: {dhcp4: true}}\n"), Catch::Contains("'ethernet'"));
    CHECK_THAT(network("version: 2\nethernets: {a: {dhcp4: 'yes'}}\n"), Catch::Contains("true or false"));
    CHECK_THAT(network("version: 2\nethernets: {a: {addresses: [10.0.0.1]}}\n"), Catch::Contains("prefix"));
    CHECK_THAT(network("version: 2\nvlans: {v: {id: 3}}\n"), Catch::Contains("'link'"));
    CHECK_THAT(network("version: 1\nconfig: [{type: ethernet, name: e}]\n"), Catch::Contains("'ethernet'"));
    CHECK_THAT(network("version: 1\nconfig: [{type: physical, subnets: [{type: static}]}]\n"),
               Catch::Contains("'name'") && Catch::Contains("'address'"));
}

TEST_CASE("Our list of data sources is the last one, whatever others are called") {
    MemoryGuest guest = cloud_guest();
    guest.file("/etc/cloud/cloud.cfg.d/zz-vm2oci.cfg", "datasource_list: [ NoCloud, None ]\n")
        .file("/etc/cloud/cloud.cfg.d/zzz-site.cfg", "datasource_list: [Ec2]\nmounts: []\n")
        .file("/etc/cloud/cloud.cfg.d/zz_only.cfg", "{datasource_list: [OpenStack]}\n")
        .file("/etc/cloud/cloud.cfg.d/zzflow.cfg", "{datasource_list: [OVF], b: 2}\n")
        .file("/etc/cloud/cloud.cfg.d/10-before.cfg", "datasource_list: [Azure]\n")
        .file("/etc/cloud/cloud.cfg.d/20-own.cfg", "datasource:\n  NoCloud:\n    seedfrom: http://x/\n");
    const EditPlan plan = plan_edits(guest, {}, seed_request());
    CHECK(find_edit(plan, "/etc/cloud/cloud.cfg.d/zzz-site.cfg")->content == "mounts: []\n");
    CHECK(find_edit(plan, "/etc/cloud/cloud.cfg.d/zz_only.cfg")->kind == EditKind::remove);
    const YamlValue flow = parse_yaml(find_edit(plan, "/etc/cloud/cloud.cfg.d/zzflow.cfg")->content);
    CHECK_FALSE(flow.get("datasource_list"));
    CHECK(flow.get("b")->text() == "2");
    CHECK(find_edit(plan, "/etc/cloud/cloud.cfg.d/10-before.cfg") == nullptr);
    CHECK(find_edit(plan, "/etc/cloud/cloud.cfg.d/20-own.cfg")->kind == EditKind::remove);
}

TEST_CASE("Units of cloud-init that were disabled are enabled for a seed") {
    MemoryGuest guest = cloud_guest();
    guest.file("/usr/lib/systemd/systemd", "").symlink("/sbin/init", "/usr/lib/systemd/systemd");
    for (const char* name : {"cloud-init-local", "cloud-init", "cloud-config", "cloud-final"})
        guest.file("/usr/lib/systemd/system/" + std::string(name) + ".service",
                   "[Install]\nWantedBy=cloud-init.target\n");
    const EditPlan plan = plan_edits(guest, {}, seed_request());
    CHECK(find_edit(plan, "/etc/systemd/system/cloud-init.target.wants/cloud-final.service") != nullptr);
    CHECK(find_edit(plan, "/etc/systemd/system/cloud-init.target.wants/cloud-init.service") != nullptr);
}

TEST_CASE("A host name that cloud-init may change again is told") {
    EditRequest request;
    request.hostname = "web";
    MemoryGuest guest = cloud_guest();
    guest.file("/usr/lib/systemd/systemd", "");
    const auto told = [&] {
        const EditPlan plan = plan_edits(guest, {}, request);
        return std::any_of(plan.findings.begin(), plan.findings.end(), [](const EditFinding& each) {
            return each.text.find("cloud-init gives the machine the name") != std::string::npos;
        });
    };
    CHECK(told());
    guest.file("/etc/cloud/cloud.cfg.d/99-name.cfg", "preserve_hostname: true\n");
    CHECK_FALSE(told());
    guest.remove("/etc/cloud/cloud.cfg.d/99-name.cfg").file("/etc/cloud/cloud-init.disabled", "");
    CHECK_FALSE(told());
}
