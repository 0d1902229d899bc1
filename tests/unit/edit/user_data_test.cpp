// User data in all of its forms, by cloud-init's documentation ("User-data formats") and what its handlers take.
#include "libconvert/edit/user_data.hpp"
#include "libconvert/edit/yaml.hpp"
#include "tests/unit/edit/edit_fixture.hpp"

#include <catch2/catch.hpp>
#include <zlib.h>

using namespace vm2oci;
using namespace vm2oci::test;

namespace {

// What check_user_data() says; "" when it takes the data.
std::string complaint(const std::string& data) {
    try {
        check_user_data(data);
    } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::usage);
        const std::string text = error.what();
        REQUIRE(text.starts_with("the user data: "));
        return text.substr(std::string("the user data: ").size());
    }
    return "";
}

std::string zipped(const std::string& text) {
    z_stream stream{};
    REQUIRE(deflateInit2(&stream, 1, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY) == Z_OK);
    std::string out(text.size() / 2 + 1024, '\0');
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
    stream.avail_in = static_cast<uInt>(text.size());
    stream.next_out = reinterpret_cast<Bytef*>(out.data());
    stream.avail_out = static_cast<uInt>(out.size());
    REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
    out.resize(stream.total_out);
    deflateEnd(&stream);
    return out;
}

std::string mime(const std::string& type, const std::string& body, const std::string& more = "") {
    return "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"==B\"\n\n--==B\nContent-Type: " + type + "\n" +
           more + "\n" + body + "\n--==B--\n";
}

const std::string kBroken = "#cloud-config\na: [\n";

} // namespace

TEST_CASE("The first line tells what user data is, in any case and behind blanks") {
    for (const char* taken :
         {"", "\n \n", "#cloud-config\n", "#cloud-config", "  \n\v\f#Cloud-Config\r\na: 1\r\n", "#!/bin/sh\n",
          "#!/usr/bin/env python3\n(not yaml: [\n", "#cloud-boothook\n[not yaml\n", "#part-handler\nimport x\n",
          "#upstart-job\nstart on x\n", "#cloud-config-jsonp\n[x\n",
          "#cloud-config-archive\n- type: text/plain\n  content: x\n- plain\n", "## template: jinja\n#!/bin/sh\n",
          "#include\nhttp://h/x\nhttps://h/x\nftp://h/x\nfile:///x", "#include http://h/x\n",
          "#include-once\n# comment\n\nhttp://h/x\n", "#INCLUDE https://h/x\n"}) {
        CAPTURE(taken);
        CHECK(complaint(taken).empty());
    }
    struct Case {
        const char* data;
        const char* why;
    };
    for (const Case& each : {
             Case{"cloud-config\na: 1\n", "it begins with 'cloud-config', which cloud-init would ignore"},
             {"# cloud-config\na: 1\n", "it begins with '# cloud-config'"},
             {"\xef\xbb\xbf#cloud-config\na: 1\n", "it begins with a byte order mark (BOM)"},
             {"#cloud-config\n- a\n", "a #cloud-config is a YAML mapping (name: value), and this one is not"},
             {"#cloud-config\ntext\n", "a #cloud-config is a YAML mapping"},
             {"#cloud-config\na: 1\na: 2\n", "line 3, column 1: the key 'a' is there twice"},
             {"#cloud-config-archive\na: 1\n", "a #cloud-config-archive is a YAML list, and this one is not"},
             {"#cloud-config-archive\n", "a #cloud-config-archive is a YAML list"},
             {"#cloud-config-archive\n- type: x\n", "line 2: a part of the archive has no 'content'"},
             {"#cloud-config-archive\n- content: ok\n- {type: text/cloud-config, content: '- a'}\n",
              "the part at line 3: a #cloud-config is a YAML mapping"},
             {"## template: jinja\n", "the line after '## template: jinja' must say what it is (#cloud-config)"},
             {"## template: jinja\nusers: []\n", "the line after '## template: jinja'"},
             {"#include\nwww.example.org/x\n", "an #include names 'www.example.org/x', which is no URL"},
             {"#include gopher://h/x\n", "an #include names 'gopher://h/x', which is no URL"},
             {"#include-once ssh://h/x\n", "an #include names 'ssh://h/x', which is no URL"},
         }) {
        CAPTURE(each.data);
        CHECK_THAT(complaint(each.data), Catch::StartsWith(each.why));
    }
}

TEST_CASE("Compressed user data is looked into, and has a size when it is unpacked") {
    CHECK(complaint(zipped("#cloud-config\na: 1\n")).empty());
    CHECK_THAT(complaint(zipped("#cloud-config\n- a\n")), Catch::StartsWith("a #cloud-config is a YAML mapping"));
    CHECK_THAT(complaint(zipped("nothing known\n")), Catch::StartsWith("it begins with 'nothing known'"));
    const std::string whole = zipped("#cloud-config\nruncmd: [one, two, three]\n");
    for (std::size_t size = 2; size < whole.size(); ++size) {
        CAPTURE(size);
        CHECK(complaint(whole.substr(0, size)) == "its gzip data is broken");
    }
    for (std::size_t at = 10; at < whole.size(); ++at) { // behind the header, whose fields say little
        std::string damaged = whole;
        damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
        CAPTURE(at);
        CHECK_FALSE(complaint(damaged).empty());
    }
    // A script may have 16 MiB, and no byte more; either way of the two.
    const std::string script = "#!/bin/sh\n" + std::string(16777216 - 10, '#');
    REQUIRE(script.size() == 16777216);
    CHECK(complaint(script).empty());
    CHECK(complaint(script + "#") == "it is larger than 16 MiB");
    CHECK(complaint(zipped(script)).empty());
    CHECK(complaint(zipped(script + "#")) == "it is larger than 16 MiB when unpacked");
}

TEST_CASE("Members of gzip behind the first one are user data, too") {
    // Python's GzipFile, which cloud-init unpacks with, reads all of them.
    CHECK(complaint(zipped("#cloud-config\n") + zipped("a: 1\n")).empty());
    CHECK_THAT(complaint(zipped("#cloud-config\n") + zipped("- a\n")),
               Catch::StartsWith("a #cloud-config is a YAML mapping"));
    CHECK(complaint(zipped("#cloud-config\n") + std::string(512, '\0')).empty()); // which it passes over
    CHECK(complaint(zipped("#cloud-config\n") + "rest") == "its gzip data is broken");
}

TEST_CASE("A message is taken apart by its parts' types") {
    struct Case {
        const char* type;
        const char* body;
        const char* why;
    };
    for (const Case& each : {
             Case{"text/cloud-config", "a: [", "MIME part 1 (text/cloud-config): line "},
             {"text/cloud-config; charset=\"us-ascii\"", "a: [", "MIME part 1 (text/cloud-config): line "},
             {"TEXT/Cloud-Config", "- a", "MIME part 1 (text/cloud-config): a #cloud-config is a YAML mapping"},
             {"text/cloud-config-archive", "a: 1", "MIME part 1 (text/cloud-config-archive): a #cloud-config-archive"},
             {"text/x-include-url", "nothing", "MIME part 1 (text/x-include-url): an #include names 'nothing'"},
             {"text/x-include-once-url", "x", "MIME part 1 (text/x-include-once-url): an #include names 'x'"},
             {"text/plain", "#cloud-config\n- a", "MIME part 1 (text/plain): a #cloud-config is a YAML mapping"},
             {"text/plain", "nothing that has a mark", ""},
             {"text/x-shellscript", "a: [", ""},
             {"text/jinja2", "a: [", ""},
             {"application/octet-stream", "a: [", ""},
         }) {
        CAPTURE(each.type, each.body);
        const std::string why = complaint(mime(each.type, each.body));
        CHECK(why.starts_with(each.why));
        CHECK(why.empty() == (*each.why == '\0'));
    }
    CHECK_THAT(complaint(mime("text/cloud-config", "YTog\r\nWzE=", "Content-Transfer-Encoding: BASE64\n")),
               Catch::StartsWith("MIME part 1 (text/cloud-config): line "));
    CHECK(complaint(mime("text/cloud-config", "YTog\nMQ==", "content-transfer-encoding:base64\n")).empty());
    CHECK(complaint(mime("text/cloud-config", "a: 1!", "Content-Transfer-Encoding: base64\n")) ==
          "a MIME part is not the base64 that it says it is");
    CHECK_THAT(complaint(mime("text/cloud-config", "x", "no header\n")),
               Catch::Equals("a MIME header is broken: 'no header'"));
    // A header may go on in the next line, and lines end in CR LF, too.
    CHECK_THAT(complaint("MIME-Version: 1.0\r\nContent-Type: multipart/mixed;\r\n\tboundary=xyz\r\n\r\n--xyz\r\n"
                         "Content-Type:\r\n text/cloud-config\r\n\r\n- a\r\n--xyz--\r\n"),
               Catch::StartsWith("MIME part 1 (text/cloud-config)"));
    CHECK_THAT(complaint("From nobody Mon Sep 17 00:00:00 2001\nMIME-Version: 1.0\nContent-Type: text/cloud-config\n\n"
                         "- a\n"),
               Catch::StartsWith("MIME part 1 (text/cloud-config)"));
    CHECK_THAT(complaint("Content-Type: multipart/mixed; boundary=x\n\n--x--\n"),
               Catch::StartsWith("it is a MIME message without the header 'MIME-Version: 1.0'"));
}

TEST_CASE("Multiparts end, are not nested too deep, and have parts in numbers") {
    CHECK(complaint("MIME-Version: 1.0\nContent-Type: multipart/mixed\n\n--x--\n") ==
          "a MIME multipart has no boundary");
    CHECK(complaint("MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=x\n\n--x\n\ntext\n") ==
          "a MIME multipart does not end with '--x--'");
    CHECK(complaint("MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=x\n\n--x\n\ntext\n--x--y\n") ==
          "a MIME multipart does not end with '--x--'");
    const auto nested = [](unsigned depth) {
        std::string inner = "Content-Type: text/cloud-config\n\n- a\n";
        for (unsigned i = depth; i-- > 0;) {
            const std::string b = "b" + std::to_string(i);
            inner = "Content-Type: multipart/mixed; boundary=" + b + "\n\n--" + b + "\n" + inner + "\n--" + b + "--\n";
        }
        return "MIME-Version: 1.0\n" + inner;
    };
    CHECK_THAT(complaint(nested(1)), Catch::StartsWith("MIME part 1 (text/cloud-config)"));
    CHECK_THAT(complaint(nested(4)), Catch::StartsWith("MIME part 1 (text/cloud-config)"));
    CHECK(complaint(nested(5)) == "MIME multiparts are nested too deep");
    const auto with_parts = [](unsigned count) {
        std::string message = "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=x\n\n";
        for (unsigned i = 0; i < count; ++i)
            message += "--x\n\na\n";
        return message + "--x--\n";
    };
    CHECK(complaint(with_parts(1000)).empty());
    CHECK(complaint(with_parts(1001)) == "a MIME message of more than 1000 parts");
    // What stands before the first boundary and behind the last one is nobody's part.
    CHECK(complaint("MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=x\n\n" + kBroken + "--x\n\na\n--x--\n" +
                    "--x\n\n" + kBroken + "--x--\n")
              .empty());
}

TEST_CASE("What is passed over is a remark and no refusal") {
    const auto remark = [](const std::string& data) {
        std::string all;
        for (const std::string& each : user_data_remarks(data))
            all += each + "\n";
        return all;
    };
    CHECK(remark("#cloud-config\npackagez: 1\n") ==
          "the cloud-config, line 2: cloud-init knows no 'packagez', and passes it over\n");
    CHECK(remark("#include\n# nothing\n") == "an #include names no URL: there is nothing in it\n");
    CHECK(remark("#include-once\n") == "an #include names no URL: there is nothing in it\n");
    CHECK(remark("#upstart-job\n") == "newer versions of cloud-init know no #upstart-job, and pass it over\n");
    CHECK(remark(mime("text/cloud-config", "xyz: 1")) ==
          "the cloud-config, line 1: cloud-init knows no 'xyz', and passes it over\n");
    CHECK(remark("#cloud-config-archive\n- {type: text/cloud-config, content: 'xyz: 1'}\n") ==
          "the cloud-config, line 1: cloud-init knows no 'xyz', and passes it over\n");
    CHECK(remark("#!/bin/sh\n").empty());
    CHECK(meta_data_remarks("instance_id: a\npublic_keys: b\nlocal-hostname: c\nlocal_hostname: d\n") ==
          std::vector<std::string>{
              "the meta-data, line 1: cloud-init reads 'instance-id', and passes over 'instance_id'",
              "the meta-data, line 2: cloud-init reads 'public-keys', and passes over 'public_keys'"});
    CHECK(meta_data_remarks("").empty());
}

TEST_CASE("User data is given in the form that every version of cloud-init knows") {
    CHECK(plain_user_data("#cloud-config\nA: B\n") == "#cloud-config\nA: B\n");
    CHECK(plain_user_data("\n \t\v#Cloud-Config\nA: B\n") == "#cloud-config\nA: B\n");
    CHECK(plain_user_data("#INCLUDE http://H/X\n") == "#include http://H/X\n");
    CHECK(plain_user_data("#Cloud-Config-Archive\n") == "#cloud-config-archive\n");
    CHECK(plain_user_data("## Template: JINJA\n#!/bin/sh") == "## template: jinja\n#!/bin/sh");
    CHECK(plain_user_data("#!/bin/SH\n") == "#!/bin/SH\n");
    CHECK(plain_user_data("MIME-Version: 1.0\n") == "MIME-Version: 1.0\n");
    CHECK(plain_user_data(" ").empty());
    const std::string packed = zipped("  #Cloud-Config\n");
    CHECK(plain_user_data(packed) == packed);
}

TEST_CASE("Vendor data, meta-data and network settings say which of them is wrong") {
    CHECK_THAT(refused(ErrorKind::usage, [] { check_vendor_data("x\n"); }),
               Catch::StartsWith("the vendor data: it begins with 'x'"));
    CHECK_NOTHROW(check_vendor_data("#cloud-config\n"));
    CHECK_NOTHROW(check_meta_data(""));
    CHECK_NOTHROW(check_meta_data("a: 1\n"));
    CHECK_NOTHROW(check_meta_data("{\"instance-id\": \"x\"}"));
    for (const char* odd : {"- a\n", "text\n"})
        CHECK_THAT(refused(ErrorKind::usage, [&] { check_meta_data(odd); }),
                   Catch::StartsWith("the meta-data: it must be a YAML mapping (instance-id: "));
    CHECK_THAT(refused(ErrorKind::usage, [] { check_meta_data("a: [\n"); }), Catch::StartsWith("the meta-data: line "));
    for (const char* right :
         {"version: 2\n", "version: 2\nethernets: {}\n", "version: 1\nconfig: []\n", "network: {version: 2}\n",
          "network:\n  version: 1\n  config:\n  - {type: physical, name: e}\n", "config: disabled\n",
          "network: {config: disabled}\n", "version: '2'\n"}) {
        CAPTURE(right);
        CHECK_NOTHROW(check_network_config(right));
    }
    struct Case {
        const char* text;
        const char* why;
    };
    for (const Case& each : {Case{"", "it must be a YAML mapping"},
                             {"- a\n", "it must be a YAML mapping"},
                             {"network: []\n", "it must be a YAML mapping"},
                             {"ethernets: {}\n", "it must say 'version: 1' or 'version: 2'"},
                             {"version: 3\n", "it must say 'version: 1' or 'version: 2'"},
                             {"version: 1\n", "version 1 has its interfaces in a list named 'config'"},
                             {"version: 1\nconfig: {}\n", "version 1 has its interfaces in a list named 'config'"},
                             {"config: enabled\n", "it must say 'version: 1' or 'version: 2'"}}) {
        CAPTURE(each.text);
        CHECK(refused(ErrorKind::usage, [&] { check_network_config(each.text); }) ==
              std::string("the network configuration: ") + each.why);
    }
}

TEST_CASE("Meta-data is completed, and what the user has in it stays") {
    const MetaDataAdditions all{"i-1", "web01", "ssh-ed25519 AAAA a\n\n  ssh-rsa AAAA b \n"};
    CHECK(complete_meta_data("", all) ==
          "instance-id: i-1\nlocal-hostname: web01\npublic-keys:\n- \"ssh-ed25519 AAAA a\"\n- \"ssh-rsa AAAA b\"\n");
    CHECK(complete_meta_data("# mine\ninstance-id: x\nlocal-hostname: y\n", {"i-1", "web01", ""}) ==
          "# mine\ninstance-id: x\nlocal-hostname: y\n");
    CHECK(complete_meta_data("hostname: y\n", {"i-1", "web01", ""}) == "hostname: y\ninstance-id: i-1\n");
    CHECK(complete_meta_data("a: 1\n...\n", {"i-1", "", ""}) == "a: 1\ninstance-id: i-1\n");
    CHECK(complete_meta_data("{\"a\": 1}", {"1234", "", ""}) == "{\"a\": 1, instance-id: \"1234\"}\n");
    CHECK(refused(ErrorKind::usage, [&] {
              complete_meta_data("public-keys: []\n", all);
          }).starts_with("the meta-data has public-keys already"));
    CHECK_NOTHROW(complete_meta_data("public-keys: []\n", {"i-1", "web01", ""}));
}
