// Host keys that go only where new ones come from, and keys of users that sshd would not take.
#include "libconvert/edit/plan_edits.hpp"
#include "libconvert/edit/planners.hpp"
#include "tests/support/memory_guest.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <functional>

using namespace vm2oci;
using vm2oci::test::MemoryGuest;

namespace {

constexpr const char* kMaker = "/etc/systemd/system/vm2oci-ssh-host-keys.service";

MemoryGuest with_keys(MemoryGuest guest) {
    guest.file("/usr/sbin/sshd", "")
        .file("/usr/bin/ssh-keygen", "")
        .file("/etc/ssh/ssh_host_ecdsa_key", "secret", 0600)
        .file("/etc/ssh/ssh_host_ecdsa_key.pub", "public");
    return guest;
}

MemoryGuest systemd_with_keys() {
    MemoryGuest guest;
    guest.file("/usr/lib/systemd/systemd", "").symlink("/sbin/init", "/usr/lib/systemd/systemd");
    return with_keys(std::move(guest));
}

EditPlan without_host_keys(const MemoryGuest& guest) {
    EditRequest request;
    request.sysprep = {"ssh-host-keys"};
    return plan_edits(guest, {}, request);
}

bool edits(const EditPlan& plan, const std::string& path) {
    return std::any_of(plan.edits.begin(), plan.edits.end(), [&](const Edit& edit) { return edit.path == path; });
}

bool finds(const EditPlan& plan, const std::string& text) {
    return std::any_of(plan.findings.begin(), plan.findings.end(),
                       [&](const EditFinding& each) { return each.text.find(text) != std::string::npos; });
}

// cloud-init that is enabled and has one source to ask.
MemoryGuest cloud_guest_with_keys() {
    MemoryGuest guest = systemd_with_keys();
    guest.file("/usr/bin/cloud-init", "")
        .file("/usr/lib/cloud-init/ds-identify", "")
        .file("/etc/cloud/cloud.cfg", "cloud_init_modules: [bootcmd, ssh]\ndatasource_list: [NoCloud]\n")
        .file("/usr/lib/systemd/system/cloud-init.service", "[Install]\nWantedBy=cloud-init.target\n")
        .symlink("/etc/systemd/system/cloud-init.target.wants/cloud-init.service",
                 "/usr/lib/systemd/system/cloud-init.service");
    return guest;
}

EditPlan with_user_key(const MemoryGuest& guest, const std::string& user) {
    EditRequest request;
    request.ssh_keys = {{"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGx me@there", user}};
    return plan_edits(guest, {}, request);
}

MemoryGuest with_accounts(const std::string& sshd_config) {
    MemoryGuest guest;
    guest
        .file("/etc/passwd", "root:x:0:0::/root:/bin/bash\nann:x:1000:1000::/home/ann:/bin/bash\n"
                             "svc:x:999:999::/srv/svc:/usr/sbin/nologin\n")
        .file("/etc/group", "wheel:x:10:ann\nann:x:1000:\nsvc:x:999:\nroot:x:0:\n")
        .file("/etc/shadow", "root:*:1::::::\nann:!:1::::::\nsvc:*:1::::::\n")
        .file("/etc/ssh/sshd_config", sshd_config);
    return guest;
}

} // namespace

TEST_CASE("Keys go where cloud-init certainly makes new ones, and are cared for where it is switched off") {
    const EditPlan plan = without_host_keys(cloud_guest_with_keys());
    CHECK(edits(plan, "/etc/ssh/ssh_host_ecdsa_key"));
    CHECK_FALSE(edits(plan, kMaker));

    const std::vector<std::function<void(MemoryGuest&)>> ways_to_switch_off = {
        [](MemoryGuest& guest) { guest.file("/etc/cloud/cloud-init.disabled", ""); },
        [](MemoryGuest& guest) { guest.file("/boot/grub/grub.cfg", "linux /v root=x cloud-init=disabled quiet\n"); },
        [](MemoryGuest& guest) { guest.file("/etc/cloud/ds-identify.cfg", "policy: disabled\n"); },
        [](MemoryGuest& guest) { guest.symlink("/etc/systemd/system/cloud-init.service", "/dev/null"); },
        [](MemoryGuest& guest) { guest.symlink("/etc/systemd/system/cloud-init.target", "/dev/null"); },
        [](MemoryGuest& guest) { guest.symlink("/etc/systemd/system-generators/cloud-init-generator", "/dev/null"); },
        [](MemoryGuest& guest) { guest.remove("/etc/systemd/system/cloud-init.target.wants"); },
        [](MemoryGuest& guest) {
            guest.file("/etc/cloud/cloud.cfg.d/90_dpkg.cfg", "datasource_list: [VMware, Ec2, None]\n");
        },
        [](MemoryGuest& guest) { guest.file("/etc/cloud/cloud.cfg.d/99-own.cfg", "cloud_init_modules: [bootcmd]\n"); },
        [](MemoryGuest& guest) { guest.file("/etc/cloud/cloud.cfg.d/99-own.cfg", "ssh_genkeytypes: []\n"); },
    };
    for (std::size_t way = 0; way < ways_to_switch_off.size(); ++way) {
        INFO(way);
        MemoryGuest guest = cloud_guest_with_keys();
        ways_to_switch_off[way](guest);
        const EditPlan cared = without_host_keys(guest);
        CHECK(edits(cared, kMaker));
        CHECK(edits(cared, "/etc/ssh/ssh_host_ecdsa_key"));
    }
}

TEST_CASE("A distribution's own maker counts where it is asked for and nobody has masked it") {
    MemoryGuest guest = systemd_with_keys();
    guest
        .file("/usr/lib/systemd/system/sshd.service",
              "[Unit]\nWants=sshd-keygen.target\n[Service]\nExecStart=/usr/sbin/sshd -D\n")
        .file("/usr/lib/systemd/system/sshd-keygen.target", "[Unit]\n")
        .file("/usr/lib/systemd/system/sshd-keygen@.service", "[Service]\n");
    CHECK_FALSE(edits(without_host_keys(guest), kMaker));
    MemoryGuest masked = guest;
    masked.symlink("/etc/systemd/system/sshd-keygen.target", "/dev/null");
    CHECK(edits(without_host_keys(masked), kMaker));
    MemoryGuest instances = guest;
    instances.symlink("/etc/systemd/system/sshd-keygen@.service", "/dev/null");
    CHECK(edits(without_host_keys(instances), kMaker));
    MemoryGuest replaced = guest;
    replaced.file("/etc/systemd/system/sshd.service",
                  "[Unit]\nDescription=ours\n[Service]\nExecStart=/usr/sbin/sshd -D -4\n");
    CHECK(edits(without_host_keys(replaced), kMaker));
    MemoryGuest told_not_to = guest;
    told_not_to.file("/etc/sysconfig/sshd", "AUTOCREATE_SERVER_KEYS=NO\n");
    CHECK(edits(without_host_keys(told_not_to), kMaker));
}

TEST_CASE("Inits without systemd get a maker of their own kind, or the keys stay") {
    MemoryGuest sysv;
    sysv.file("/sbin/init", "").file("/etc/inittab", "id:2:initdefault:\n# l0:0:wait:/x\nl2:2:wait:/etc/init.d/rc 2\n");
    const EditPlan plan = without_host_keys(with_keys(sysv));
    CHECK(edits(plan, "/usr/local/lib/vm2oci/ssh-host-keys"));
    for (const Edit& edit : plan.edits)
        if (edit.path == "/etc/inittab")
            CHECK(edit.content ==
                  "id:2:initdefault:\n# l0:0:wait:/x\nvmk:2345:wait:/usr/local/lib/vm2oci/ssh-host-keys\n"
                  "l2:2:wait:/etc/init.d/rc 2\n");

    MemoryGuest openrc;
    openrc.file("/sbin/openrc", "").file("/etc/init.d/sshd", "#!/sbin/openrc-run\nssh-keygen -A\n");
    CHECK(without_host_keys(with_keys(openrc)).edits.size() == 2); // the keys alone
    openrc.file("/etc/conf.d/sshd", "sshd_disable_keygen=\"yes\"\n");
    CHECK(edits(without_host_keys(with_keys(openrc)), "/etc/runlevels/default/vm2oci-ssh-host-keys"));

    MemoryGuest unknown;
    const EditPlan kept = without_host_keys(with_keys(unknown));
    CHECK(kept.edits.empty());
    CHECK(finds(kept, "stay, since nothing in this guest would make new ones"));

    MemoryGuest no_generator = systemd_with_keys();
    no_generator.remove("/usr/bin/ssh-keygen");
    CHECK(without_host_keys(no_generator).edits.empty());

    MemoryGuest dropbear;
    dropbear.file("/usr/lib/systemd/systemd", "")
        .file("/usr/sbin/dropbear", "")
        .file("/etc/dropbear/dropbear_rsa_host_key", "k");
    CHECK(without_host_keys(dropbear).edits.empty());
    dropbear.file("/etc/default/dropbear", "DROPBEAR_EXTRA_ARGS=\"-R\"\n");
    CHECK(edits(without_host_keys(dropbear), "/etc/dropbear/dropbear_rsa_host_key"));
}

TEST_CASE("The maker's unit waits for no target that waits for it") {
    for (const Edit& edit : without_host_keys(systemd_with_keys()).edits)
        if (edit.path == kMaker) {
            CHECK(edit.content.find("Before=ssh.service sshd.service\n") != std::string::npos);
            CHECK(edit.content.find("ssh.socket") == std::string::npos);
        }
}

TEST_CASE("What in sshd shuts a key out is told, and nothing else is") {
    struct Shut {
        const char* config;
        const char* user;
        const char* told; // "" nothing
    };
    const Shut kCases[] = {
        {"", "root", ""},
        {"UsePAM yes\n", "ann", ""},
        {"#AllowUsers bob\nUsePAM yes\nAuthorizedKeysFile .ssh/authorized_keys\n", "ann", ""},
        {"UsePAM yes\nAuthorizedKeysFile %h/.ssh/authorized_keys /etc/keys/%u\n", "ann", ""},
        {"UsePAM yes\nAuthorizedKeysFile /etc/ssh/keys/%u\n", "ann", "AuthorizedKeysFile"},
        {"UsePAM yes\nAuthorizedKeysFile .ssh/authorized_keys2\n", "ann", "AuthorizedKeysFile"},
        {"authorizedkeysfile=none\n", "root", "AuthorizedKeysFile"},
        {"UsePAM yes\nAllowUsers bob carol\n", "ann", "AllowUsers"},
        {"UsePAM yes\nAllowUsers bob\nAllowUsers a*@10.0.0.*\n", "ann", ""},
        {"UsePAM yes\nDenyUsers a?n\n", "ann", "DenyUsers"},
        {"UsePAM yes\nAllowGroups admins\n", "ann", "AllowGroups"},
        {"UsePAM yes\nAllowGroups admins wheel\n", "ann", ""},
        {"UsePAM yes\nDenyGroups wheel\n", "ann", "DenyGroups"},
        {"PermitRootLogin no\n", "root", "PermitRootLogin"},
        {"PermitRootLogin no\n", "svc", "nologin"},
        {"PubkeyAuthentication no\n", "root", "PubkeyAuthentication"},
        {"PubkeyAuthentication yes\nPubkeyAuthentication no\n", "root", ""},
        {"AuthenticationMethods publickey,keyboard-interactive\n", "root", "AuthenticationMethods"},
        {"AuthenticationMethods publickey,password publickey\n", "root", ""},
        {"PubkeyAuthentication yes\nMatch User ro*\n  PubkeyAuthentication no\n", "root", "PubkeyAuthentication"},
        {"Match User !root,*\n  PubkeyAuthentication no\nMatch all\n", "root", ""},
        {"Match Address 10.0.0.0/8\n  PubkeyAuthentication no\n", "root", ""},
        {"Include parts/*.conf\n", "root", "DenyUsers"},
        {"UsePAM no\n", "ann", "locked"},
    };
    for (const Shut& each : kCases) {
        INFO(each.config << " for " << each.user);
        MemoryGuest guest = with_accounts(each.config);
        guest.file("/etc/ssh/parts/10.conf", "DenyUsers root\n");
        const EditPlan plan = with_user_key(guest, each.user);
        if (*each.told == '\0')
            CHECK(plan.findings.empty());
        else
            CHECK(finds(plan, each.told));
        CHECK(plan.edits.size() >= 1); // the key is given all the same
    }
}

TEST_CASE("A rename keeps the domain and the short alias") {
    struct Rename {
        const char* before; // /etc/hostname
        const char* after;
        const char* hosts;
        const char* wanted;
    };
    const Rename kCases[] = {
        {"app1\n", "db7", "127.0.1.1 app1.corp.example app1\n", "127.0.1.1\tdb7.corp.example db7\n"},
        {"app1.corp.example\n", "db7", "127.0.1.1 app1.corp.example app1 # own\n",
         "127.0.1.1\tdb7.corp.example db7 # own\n"},
        {"app1.corp.example\n", "db7.other.example", "127.0.1.1 app1.corp.example app1\n",
         "127.0.1.1\tdb7.other.example db7\n"},
        {"app1\n", "db7.other.example", "127.0.1.1 app1\n", "127.0.1.1\tdb7.other.example db7\n"},
        {"app1\n", "db7", "127.0.0.1 localhost app1\n::1 localhost app1 app1.corp.example\n",
         "127.0.0.1\tlocalhost db7\n::1\tlocalhost db7 db7.corp.example\n"},
        {"app1\n", "db7", "127.0.1.1 app10 app1x\n", "127.0.1.1 app10 app1x\n"},
        {"localhost.localdomain\n", "db7", "127.0.0.1 localhost localhost.localdomain\n",
         "127.0.0.1 localhost localhost.localdomain\n"},
        {"app1.corp.example\n", "db7", "10.0.0.5 app1.corp.example app1\n",
         "10.0.0.5 app1.corp.example app1\n127.0.1.1\tdb7.corp.example db7\n"},
    };
    for (const Rename& each : kCases) {
        INFO(each.before << " to " << each.after << ": " << each.hosts);
        MemoryGuest guest;
        guest.file("/etc/hostname", each.before).file("/etc/hosts", each.hosts);
        EditRequest request;
        request.hostname = each.after;
        const EditPlan plan = plan_edits(guest, {}, request);
        std::string text = each.hosts;
        for (const Edit& edit : plan.edits)
            if (edit.path == "/etc/hosts")
                text = edit.content;
        CHECK(text == each.wanted);
    }
}

TEST_CASE("Names are kept where the distribution reads them") {
    MemoryGuest guest;
    guest.file("/etc/redhat-release", "CentOS release 6.10\n")
        .file("/etc/inittab", "id:3:initdefault:\n")
        .file("/etc/sysconfig/network", "NETWORKING=yes # on\nHOSTNAME='old.example' # ours\n")
        .file("/etc/hosts", "127.0.0.1 old.example old\n");
    EditRequest request;
    request.hostname = "new";
    std::string network;
    std::string hosts;
    for (const Edit& edit : plan_edits(guest, {}, request).edits)
        (edit.path == "/etc/hosts" ? hosts : edit.path == "/etc/sysconfig/network" ? network : hosts) = edit.content;
    CHECK(network == "NETWORKING=yes # on\nHOSTNAME=\"new\" # ours\n");
    guest.file("/etc/sysconfig/network", "NETWORKING=yes");
    for (const Edit& edit : plan_edits(guest, {}, request).edits)
        if (edit.path == "/etc/sysconfig/network")
            CHECK(edit.content == "NETWORKING=yes\nHOSTNAME=new\n");
}

TEST_CASE("snosi 343: a maker that runs at a first boot alone, or leaves it to cloud-init, makes none that go later") {
    const auto guest_with = [](const std::string& conditions, const std::string& drop_in = "") {
        MemoryGuest guest = systemd_with_keys();
        guest
            .file("/usr/lib/systemd/system/ssh.service", "[Unit]\nDescription=x\n[Service]\nExecStart=/usr/sbin/sshd\n")
            .file("/usr/lib/systemd/system/sshd-keygen.service",
                  "[Unit]\n" + conditions + "[Service]\nExecStart=ssh-keygen -A\n")
            .symlink("/etc/systemd/system/ssh.service.wants/sshd-keygen.service",
                     "/usr/lib/systemd/system/sshd-keygen.service")
            .file("/etc/machine-id", "0123456789abcdef0123456789abcdef\n");
        if (!drop_in.empty())
            guest.file("/etc/systemd/system/sshd-keygen.service.d/site.conf", drop_in);
        return guest;
    };
    for (const char* first : {"ConditionFirstBoot=yes\n", "ConditionFirstBoot=true\nBefore=ssh.service\n"})
        CHECK(edits(without_host_keys(guest_with(first)), kMaker));
    for (const char* any : {"", "ConditionFirstBoot=no\n", "ConditionPathExists=!/etc/ssh/ssh_host_rsa_key\n"})
        CHECK_FALSE(edits(without_host_keys(guest_with(any)), kMaker));
    // Drop-ins: an empty value lets all of the conditions go.
    CHECK_FALSE(edits(
        without_host_keys(guest_with("ConditionFirstBoot=yes\n",
                                     "[Unit]\nConditionFirstBoot=\nConditionPathExists=!/etc/ssh/ssh_host_rsa_key\n")),
        kMaker));
    CHECK(edits(without_host_keys(guest_with("", "[Unit]\nConditionFirstBoot=yes\n")), kMaker));
    // An empty machine-id, which sysprep leaves, makes no first boot of it.
    EditRequest whole;
    whole.sysprep = select_sysprep("");
    CHECK(edits(plan_edits(guest_with("ConditionFirstBoot=yes\n"), {}, whole), kMaker));

    MemoryGuest instances = systemd_with_keys();
    instances
        .file("/usr/lib/systemd/system/sshd.service",
              "[Unit]\nWants=sshd-keygen.target\n[Service]\nExecStart=sshd -D\n")
        .file("/usr/lib/systemd/system/sshd-keygen.target", "[Unit]\nWants=sshd-keygen@rsa.service\n")
        .file("/usr/lib/systemd/system/sshd-keygen@.service", "[Service]\nExecStart=/usr/libexec/openssh/sshd-keygen\n")
        .file("/usr/lib/systemd/system/sshd-keygen@.service.d/disable-sshd-keygen-if-cloud-init-active.conf",
              "[Unit]\nConditionPathExists=!/run/systemd/generator.early/multi-user.target.wants/cloud-init.target\n");
    CHECK_FALSE(edits(without_host_keys(instances), kMaker));
    instances.symlink("/var/lib/cloud/instance", "instances/i-7");
    CHECK(edits(without_host_keys(instances), kMaker));
    EditRequest new_instance;
    new_instance.sysprep = {"ssh-host-keys", "cloud-init"};
    instances.file("/usr/bin/cloud-init", "");
    CHECK_FALSE(edits(plan_edits(instances, {}, new_instance), kMaker));
}

TEST_CASE("cloud-init makes keys once for an instance") {
    MemoryGuest guest = cloud_guest_with_keys();
    guest.file("/var/lib/cloud/instances/i-7/sem/config_ssh", "").symlink("/var/lib/cloud/instance", "instances/i-7");
    CHECK(edits(without_host_keys(guest), kMaker));
    EditRequest request;
    request.sysprep = {"cloud-init", "ssh-host-keys"};
    const EditPlan both = plan_edits(guest, {}, request);
    CHECK_FALSE(edits(both, kMaker));
    CHECK(edits(both, "/etc/ssh/ssh_host_ecdsa_key"));
}

TEST_CASE("A service that fetches users' keys makes no host keys") {
    MemoryGuest guest = systemd_with_keys();
    guest.file("/usr/lib/systemd/system/sshd.service", "[Unit]\nWants=sshkeys.service\n[Service]\nExecStart=sshd -D\n")
        .file("/usr/lib/systemd/system/sshkeys.service", "[Service]\nExecStart=/usr/bin/systemctl start x\n")
        .symlink("/etc/systemd/system/multi-user.target.wants/sshkeys.service",
                 "/usr/lib/systemd/system/sshkeys.service");
    CHECK(edits(without_host_keys(guest), kMaker));
}
