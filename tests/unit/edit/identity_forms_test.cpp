// Names, keys and what sshd makes of them: hosts(5), sshd_config(5), RFC 1123 case by case.
#include "libconvert/edit/plan_builder.hpp"
#include "tests/unit/edit/edit_fixture.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;
using namespace vm2oci::test;

namespace {

EditPlan named(const MemoryGuest& guest, const std::string& hostname) {
    EditRequest request;
    request.hostname = hostname;
    return plan_edits(guest, {}, request);
}

std::string hosts_of(const std::string& hosts, const std::string& before, const std::string& after) {
    MemoryGuest guest;
    guest.file("/etc/hostname", before + "\n").file("/etc/hosts", hosts);
    const std::string changed = written(named(guest, after), "/etc/hosts");
    return changed == "-" ? hosts : changed;
}

constexpr const char* kKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGx me@there";

// What is told of a key for this user, behind "the key does not let USER in: ".
std::string obstacles(const std::string& settings, const std::string& user = "ann", MemoryGuest guest = MemoryGuest(),
                      KeyPlace place = KeyPlace::authorized_keys) {
    guest.file("/etc/passwd", "root:x:0:0::/root:/bin/bash\nann:x:1000:1000::/home/ann:/bin/bash\n"
                              "svc:x:990:990::/srv:/usr/sbin/nologin\nftp:x:991:991::/srv:/bin/false\n"
                              "bob:x:1001:100::/home/bob:/bin/bash\n");
    guest.file("/etc/group", "root:x:0:\nann:x:1000:\nwheel:x:10:bob,ann\nusers:x:100:\nodd\n");
    guest.file("/etc/shadow", "root:*:1::::::\nann:$6$x:1::::::\nbob:!:1::::::\n");
    if (!settings.empty())
        guest.file("/etc/ssh/sshd_config", settings);
    PlanBuilder plan(guest);
    find_ssh_obstacles(plan, user, place);
    std::string out;
    for (const EditFinding& each : plan.plan().findings) {
        const std::string front = "the key does not let " + user + " in: ";
        REQUIRE(each.text.starts_with(front));
        out += (out.empty() ? "" : " / ") + each.text.substr(front.size());
    }
    return out;
}

} // namespace

TEST_CASE("Host names are those of RFC 1123, as long as Linux lets them be") {
    const std::string label(63, 'a');
    for (const std::string& right : {std::string("a"), std::string("web01"), std::string("1"), std::string("a-b.c-d.E"),
                                     label, label + ".", std::string(64, ' ')}) {
        if (right.back() == '.' || right.front() == ' ')
            continue;
        CAPTURE(right);
        CHECK_NOTHROW(check_hostname(right));
    }
    struct Case {
        std::string name;
        const char* why;
    };
    const std::string parts = "its parts have 1 to 63 characters and neither begin nor end with '-'";
    const std::string letters = "only letters, digits, '-' and '.' may be in it";
    const std::string length = "it must have 1 to 64 characters";
    for (const auto& [name, why] :
         {std::pair(std::string(), length), std::pair(std::string(32, 'a') + "." + std::string(32, 'b'), length),
          std::pair(std::string(64, 'a'), parts), std::pair(std::string("a."), parts),
          std::pair(std::string(".a"), parts), std::pair(std::string("a..b"), parts),
          std::pair(std::string("-a"), parts), std::pair(std::string("a-"), parts),
          std::pair(std::string("a.-b"), parts), std::pair(std::string("a_b"), letters),
          std::pair(std::string("a b"), letters), std::pair(std::string("a/b"), letters),
          std::pair(std::string("w\xc3\xa4lt"), letters), std::pair(std::string("a\n"), letters)}) {
        CAPTURE(name);
        CHECK_THAT(refused(ErrorKind::usage, [&, text = name] { check_hostname(text); }),
                   Catch::EndsWith(" is no host name: " + why));
    }
    CHECK_NOTHROW(check_hostname(std::string(32, 'a') + "." + std::string(31, 'b'))); // 64 in all
}

TEST_CASE("/etc/hosts has the new name where it had the old one") {
    struct Case {
        const char* before;
        const char* after;
        const char* hosts;
        const char* changed;
    };
    for (const Case& each : {
             Case{"old", "new", "127.0.0.1 localhost\n127.0.1.1 old\n", "127.0.0.1 localhost\n127.0.1.1\tnew\n"},
             {"old", "new", "127.0.1.1 old.lan old\n", "127.0.1.1\tnew.lan new\n"},
             {"old.lan", "new", "127.0.1.1 old.lan old\n", "127.0.1.1\tnew.lan new\n"},
             {"old.lan", "new.org", "127.0.1.1 old.lan old\n", "127.0.1.1\tnew.org new\n"},
             {"old", "new.org", "127.0.1.1 old\n", "127.0.1.1\tnew.org new\n"},
             {"old", "new", "127.0.0.1\tlocalhost old # mine\n", "127.0.0.1\tlocalhost new # mine\n"},
             {"old", "new", "::1 localhost old\n", "::1\tlocalhost new\n"},
             {"old", "new", "127.0.1.1 old old.lan old\n", "127.0.1.1\tnew new.lan\n"},
             {"old", "new", "127.0.1.1 older xold\n", "127.0.1.1 older xold\n"},
             {"old", "new", "# 127.0.1.1 old\n", "# 127.0.1.1 old\n"},
             {"old", "new", "127.0.1.1 x # old\n", "127.0.1.1 x # old\n"},
             {"old", "new", "old x\n", "old x\n"},
             {"localhost", "new", "127.0.0.1 localhost\n", "127.0.0.1 localhost\n"},
             {"", "new", "127.0.0.1 localhost\n", "127.0.0.1 localhost\n"},
             {"old", "new", "10.0.0.5 old.lan old\n", "10.0.0.5 old.lan old\n127.0.1.1\tnew\n"},
             {"old.lan", "new", "10.0.0.5 old.lan old\n", "10.0.0.5 old.lan old\n127.0.1.1\tnew.lan new\n"},
             {"old.lan", "new.org", "10.0.0.5 old\n", "10.0.0.5 old\n127.0.1.1\tnew.org new\n"},
             {"old", "new", "10.0.0.5 old\n127.0.1.1 old\n", "10.0.0.5 old\n127.0.1.1\tnew\n"},
             {"old", "old", "127.0.1.1\told\n", "127.0.1.1\told\n"},
         }) {
        CAPTURE(each.before, each.after, each.hosts);
        CHECK(hosts_of(each.hosts, each.before, each.after) == each.changed);
    }
    MemoryGuest guest;
    guest.file("/etc/hostname", "old\n").file("/etc/hosts", "10.0.0.5 old\n");
    CHECK(tells(named(guest, "new"), "/etc/hosts gives the old name to 10.0.0.5, and keeps that line"));
}

TEST_CASE("The name is written wherever the distribution reads it") {
    struct Case {
        const char* distribution;
        std::vector<std::pair<const char*, const char*>> files;
        const char* path;
        const char* text;
    };
    const Case kCases[] = {
        {"Debian 12", {{"/etc/hostname", "old\n"}}, "/etc/hostname", "new\n"},
        {"a guest without one", {}, "/etc/hostname", "new\n"},
        {"SLES 11", {{"/etc/HOSTNAME", "old.lan\n"}}, "/etc/HOSTNAME", "new\n"},
        {"Gentoo",
         {{"/etc/conf.d/hostname", "# c\nhostname=\"old\"\n"}},
         "/etc/conf.d/hostname",
         "# c\nhostname=\"new\"\n"},
        {"Arch before systemd", {{"/etc/rc.conf", "HOSTNAME=\"old\"\n"}}, "/etc/rc.conf", "HOSTNAME=\"new\"\n"},
        {"Enterprise Linux 5",
         {{"/etc/sysconfig/network", "NETWORKING=yes\nHOSTNAME=old.lan\n"}},
         "/etc/sysconfig/network",
         "NETWORKING=yes\nHOSTNAME=new\n"},
        {"Enterprise Linux 6 without a name",
         {{"/etc/sysconfig/network", "NETWORKING=yes"}, {"/etc/inittab", ""}, {"/etc/redhat-release", ""}},
         "/etc/sysconfig/network",
         "NETWORKING=yes\nHOSTNAME=new\n"},
        {"Amazon Linux 1",
         {{"/etc/sysconfig/network", ""}, {"/etc/inittab", ""}, {"/etc/system-release", ""}},
         "/etc/sysconfig/network",
         "HOSTNAME=new\n"},
        {"Enterprise Linux 7",
         {{"/etc/sysconfig/network", "NOZEROCONF=yes\n"},
          {"/etc/redhat-release", ""},
          {"/usr/lib/systemd/systemd", ""}},
         "/etc/sysconfig/network",
         "-"},
        {"SLES, whose file of that name is a folder",
         {{"/etc/sysconfig/network/config", ""}, {"/etc/inittab", ""}},
         "/etc/sysconfig/network",
         "-"},
    };
    for (const Case& each : kCases) {
        CAPTURE(each.distribution);
        MemoryGuest guest;
        for (const auto& [path, content] : each.files)
            guest.file(path, content);
        const EditPlan plan = named(guest, "new");
        CHECK(written(plan, each.path) == each.text);
        CHECK(written(plan, "/etc/hostname") == "new\n");
    }
    MemoryGuest broken;
    broken.file("/etc/conf.d/hostname", "hostname=old\nx='\n");
    CHECK(tells(named(broken, "new"), "/etc/conf.d/hostname cannot be read as shell, and keeps its hostname"));
    // The old name is looked for in the same places, comments passed over.
    MemoryGuest commented;
    commented.file("/etc/hostname", "# the name\n\nold\n").file("/etc/hosts", "127.0.1.1 old\n");
    CHECK(written(named(commented, "new"), "/etc/hosts") == "127.0.1.1\tnew\n");
    MemoryGuest sysconfig;
    sysconfig.file("/etc/sysconfig/network", "HOSTNAME=\"old\"\n").file("/etc/hosts", "127.0.1.1 old\n");
    CHECK(written(named(sysconfig, "new"), "/etc/hosts") == "127.0.1.1\tnew\n");
}

TEST_CASE("Public keys are told from everything else that people hand over") {
    for (const char* right :
         {kKey, "ssh-rsa AAAAB3NzaC1yc2E me", "ecdsa-sha2-nistp256 AAAAE2VjZHNh",
          "sk-ssh-ed25519@openssh.com AAAAGnNr x", "sk-ecdsa-sha2-nistp256@openssh.com AAAAInNr",
          "ssh-rsa-cert-v01@openssh.com AAAAHHNz", "no-pty,command=\"/bin/x y\" ssh-rsa AAAAB3Nz me",
          "# c\n\n  ssh-rsa AAAA \n", "ssh-dss AAAAB3Nz"}) {
        CAPTURE(right);
        CHECK_NOTHROW(check_public_keys(right));
    }
    struct Case {
        const char* keys;
        const char* why;
    };
    for (const Case& each :
         {Case{"", "there is no public key in it"},
          {"# only a comment\n\n", "there is no public key in it"},
          {"-----BEGIN OPENSSH PRIVATE KEY-----\n", "this is a private key; give the public one"},
          {"ssh-rsa AAAA\n-----BEGIN RSA PRIVATE KEY-----\n", "this is a private key"},
          {"ssh-rsa\n", "'ssh-rsa' is no OpenSSH public key"},
          {"ssh-rsa BBBB\n", "'ssh-rsa BBBB' is no OpenSSH public key"},
          {"AAAAB3Nz ssh-rsa\n", "'AAAAB3Nz ssh-rsa' is no OpenSSH public key"},
          {"ssh-rsa AAAA\nhello\n", "'hello' is no OpenSSH public key"},
          {"---- BEGIN SSH2 PUBLIC KEY ----\n", "'---- BEGIN SSH2 PUBLIC KEY ----' is no OpenSSH"}}) {
        CAPTURE(each.keys);
        CHECK_THAT(refused(ErrorKind::usage, [&] { check_public_keys(each.keys); }), Catch::StartsWith(each.why));
    }
}

TEST_CASE("A key goes behind those that are there, with the owner's modes") {
    MemoryGuest guest;
    guest.file("/etc/passwd", "root:x:0:0::/root:/bin/sh\nann:x:1000:1001::/home/ann:/bin/sh\nodd:x:5:6::/:/bin/sh\n");
    guest.file("/home/ann/.ssh/authorized_keys", "ssh-rsa AAAAold x");
    const auto give = [&](const std::string& user, const std::string& keys) {
        EditRequest request;
        request.ssh_keys = {{keys, user}};
        return plan_edits(guest, {}, request);
    };
    const EditPlan added = give("ann", std::string("# mine\n ") + kKey + "\n\n");
    REQUIRE(added.edits.size() == 1);
    CHECK(added.edits[0].content == std::string("ssh-rsa AAAAold x\n") + kKey + "\n");
    CHECK(added.edits[0].attributes.permissions == 0600U);
    CHECK(added.edits[0].attributes.uid == 1000U);
    CHECK(added.edits[0].attributes.gid == 1001U);
    CHECK(give("ann", "ssh-rsa AAAAold x\n").edits.empty());
    const EditPlan fresh = give("", kKey); // nobody in particular: root
    REQUIRE(fresh.edits.size() == 3);
    CHECK(fresh.edits[0].path == "/root");
    CHECK(fresh.edits[0].attributes.permissions == 0700U);
    CHECK(fresh.edits[1].path == "/root/.ssh");
    CHECK(fresh.edits[1].attributes.permissions == 0700U);
    CHECK(fresh.edits[2].path == "/root/.ssh/authorized_keys");
    CHECK(edit_at(give("odd", kKey), "/.ssh/authorized_keys") != nullptr);
    CHECK_THAT(refused(ErrorKind::not_found, [&] { give("bob", kKey); }),
               Catch::StartsWith("the guest has no user 'bob' whom a key could be given to"));
}

TEST_CASE("What in sshd's settings shuts a user out is told, line by line") {
    struct Case {
        const char* settings;
        const char* told;
    };
    for (const Case& each : {
             Case{"", ""},
             {"PubkeyAuthentication yes\n", ""},
             {"PubkeyAuthentication no\n", "sshd has 'PubkeyAuthentication no'"},
             {"pubkeyauthentication = NO # x\n", "sshd has 'PubkeyAuthentication no'"},
             {"PubkeyAuthentication=\"no\"\n", "sshd has 'PubkeyAuthentication no'"},
             {"#PubkeyAuthentication no\n", ""},
             {"PubkeyAuthentication yes\nPubkeyAuthentication no\n", ""}, // the first one counts
             {"PubkeyAuthentication\n", ""},
             {"Match User ann\nPubkeyAuthentication no\n", "sshd has 'PubkeyAuthentication no'"},
             {"PubkeyAuthentication yes\nMatch User ann\n PubkeyAuthentication no\n",
              "sshd has 'PubkeyAuthentication no'"},
             {"Match User bob\nPubkeyAuthentication no\n", ""},
             {"Match User !ann,*\nPubkeyAuthentication no\n", ""},
             {"Match User a*\nPubkeyAuthentication no\n", "sshd has 'PubkeyAuthentication no'"},
             {"Match Group wheel\nPubkeyAuthentication no\n", "sshd has 'PubkeyAuthentication no'"},
             {"Match Group users\nPubkeyAuthentication no\n", ""},
             {"Match Group wheel User bob\nPubkeyAuthentication no\n", ""},
             {"Match Address 10.0.0.0/8\nPubkeyAuthentication no\n", ""}, // from where is not known
             {"Match all\nPubkeyAuthentication no\n", "sshd has 'PubkeyAuthentication no'"},
             {"Match User bob\nMatch all\nPubkeyAuthentication no\n", "sshd has 'PubkeyAuthentication no'"},
             {"AuthorizedKeysFile .ssh/authorized_keys .ssh/authorized_keys2\n", ""},
             {"AuthorizedKeysFile %h/.ssh/authorized_keys\n", ""},
             {"AuthorizedKeysFile /home/%u/.ssh/authorized_keys\n", ""},
             {"AuthorizedKeysFile /etc/ssh/keys/%u\n",
              "sshd reads keys from '/etc/ssh/keys/%u' (AuthorizedKeysFile), and not from ~/.ssh/authorized_keys"},
             {"AuthenticationMethods publickey\n", ""},
             {"AuthenticationMethods any\n", ""},
             {"AuthenticationMethods publickey,password password publickey\n", ""},
             {"AuthenticationMethods publickey,password\n",
              "sshd asks for more than a key (AuthenticationMethods 'publickey,password')"},
             {"AllowUsers bob ann\n", ""},
             {"AllowUsers bob\n", "sshd's AllowUsers does not name that user"},
             {"AllowUsers bob\nAllowUsers ann@10.*\n", ""}, // every line counts
             {"AllowUsers !ann\n", "sshd's AllowUsers does not name that user"},
             {"DenyUsers a??\n", "sshd's DenyUsers names that user"},
             {"DenyUsers a?\n", ""},
             {"AllowGroups wheel\n", ""},
             {"AllowGroups users\n", "sshd's AllowGroups names no group of that user"},
             {"DenyGroups wheel\n", "sshd's DenyGroups names a group of that user"},
             {"DenyGroups ann\n", "sshd's DenyGroups names a group of that user"},
             {"DenyGroups users\n", ""},
             {"PermitRootLogin no\n", ""}, // of another user
         }) {
        CAPTURE(each.settings);
        CHECK(obstacles(each.settings) == each.told);
    }
    CHECK(obstacles("PermitRootLogin no\n", "root") == "sshd has 'PermitRootLogin no'");
    CHECK(obstacles("PermitRootLogin Forced-Commands-Only\n", "root") ==
          "sshd has 'PermitRootLogin Forced-Commands-Only'");
    for (const char* fine :
         {"PermitRootLogin yes\n", "PermitRootLogin prohibit-password\n", "PermitRootLogin without-password\n"})
        CHECK(obstacles(fine, "root").empty());
    CHECK(obstacles("", "svc") == "that user's shell is /usr/sbin/nologin");
    CHECK(obstacles("", "ftp") == "that user's shell is /bin/false");
    CHECK_THAT(obstacles("", "bob"), Catch::StartsWith("the account is locked in /etc/shadow"));
    CHECK(obstacles("UsePAM yes\n", "bob").empty());
    CHECK(obstacles("AllowGroups users\n", "nobody-there") == "sshd's AllowGroups names no group of that user");
    CHECK(obstacles("AuthorizedKeysFile /etc/keys/%u\n", "ann", MemoryGuest(), KeyPlace::cloud_init).empty());
}

TEST_CASE("sshd's settings are read with what they include") {
    const std::string no = "PubkeyAuthentication no\n";
    const std::string told = "sshd has 'PubkeyAuthentication no'";
    const auto with = [&](const std::string& settings, const std::string& path, const std::string& text) {
        return obstacles(settings, "ann", MemoryGuest().file(path, text));
    };
    CHECK(with("Include /etc/ssh/sshd_config.d/*.conf\n", "/etc/ssh/sshd_config.d/50.conf", no) == told);
    CHECK(with("Include sshd_config.d/*.conf\n", "/etc/ssh/sshd_config.d/50.conf", no) == told);
    CHECK(with("Include /a /etc/b\n", "/etc/b", no) == told);
    CHECK(with("Include *.conf\n", "/etc/ssh/sshd_config.d/50.conf", no).empty());
    CHECK(with("PubkeyAuthentication yes\nInclude /etc/b\n", "/etc/b", no).empty());
    CHECK(with("Match User bob\nInclude /etc/b\n", "/etc/b", no).empty());
    // What a block includes is the block's, and goes before what stands outside of it.
    CHECK(with("PubkeyAuthentication yes\nMatch User ann\nInclude /etc/b\n", "/etc/b", no) == told);
    // A block in an included file ends with it.
    CHECK(with("Include /etc/b\n" + no, "/etc/b", "Match User bob\n") == told);
    CHECK(with("Include /etc/ssh/sshd_config\n" + no, "/etc/b", "") == told);                // itself, over and over
    CHECK(obstacles("", "ann", MemoryGuest().file("/usr/etc/ssh/sshd_config", no)) == told); // SLES 15, MicroOS
    CHECK(obstacles("Port 22\n", "ann", MemoryGuest().file("/usr/etc/ssh/sshd_config", no)).empty());
}
