#include "formats/base/error.hpp"
#include "tests/unit/cli/said.hpp"
#include "tools/documents/error_code.hpp"
#include "tools/vm2oci/topics.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <sstream>

using namespace vm2oci;
using namespace vm2oci::cli;
using test::Said;
using test::say;

TEST_CASE("every code of an error has a page that says what to do") {
    REQUIRE(error_codes().size() > 100);
    for (const std::string_view code : error_codes()) {
        INFO(code);
        const std::optional<std::string> page = topic_page(code);
        REQUIRE(page);
        CHECK(page->find(code) != std::string::npos);
        CHECK(page->size() > 60);
    }
    CHECK_FALSE(topic_page("no-such-code"));
    CHECK_FALSE(topic_page("Errors: what refusals are called"));
}

TEST_CASE("a code follows from the hint, then from the room and the kind, then from the kind") {
    CHECK(error_code(Error(ErrorKind::corrupt, "x", HintKind::allow_truncated)) == "disk-truncated");
    CHECK(error_code(Error(ErrorKind::external, "x", HintKind::login)) == "login-needed");
    // This file lies in no room that has a name.
    CHECK(error_code(Error(ErrorKind::corrupt, "x")) == "corrupt");
    CHECK(error_code(Error(ErrorKind::external, "x")) == "failed");
    CHECK(error_code(Error(ErrorKind::not_found, "x")) == "not-found");
    CHECK(error_code(Error(ErrorKind::cancelled, "x")) == "cancelled");
}

TEST_CASE("an error is shown with its code, and as a document with it") {
    const Said wrong = say({"inspect", "--json", "oci:/no/such:tag:x@y"});
    CHECK(wrong.code != 0);
    const nlohmann::json document = nlohmann::json::parse(wrong.out);
    const std::string code = document.at("error").at("code");
    CHECK(std::find(error_codes().begin(), error_codes().end(), code) != error_codes().end());

    const Said reference = say({"inspect", "docker://UPPER/"});
    CHECK(reference.err.find('\n') == reference.err.size() - 1);
    const Said plain = say({"no-such-command"});
    CHECK(plain.code == 2);
    CHECK(plain.err.find('[') == std::string::npos);
    const Said verbose = say({"-v", "inspect", "/no/such/disk"});
    CHECK(verbose.err.find("'vm2oci help not-found'") != std::string::npos);
}

TEST_CASE("help explains commands, topics and codes, and nothing else") {
    CHECK(say({"help"}).out.find("\nTopics:\n") != std::string::npos);
    CHECK(say({"--help"}).out.find("\nTopics:\n") == std::string::npos);
    CHECK(say({"help", "convert"}).out.starts_with("Usage: vm2oci convert"));
    CHECK(say({"help", "registries"}).out.starts_with("Registries: "));
    CHECK(say({"help", "disk-in-use"}).out.find("--allow-in-use") != std::string::npos);
    const Said nothing = say({"help", "nonsense"});
    CHECK(nothing.code == 2);
    CHECK(nothing.out.empty());
    CHECK(nothing.err.find("nonsense") != std::string::npos);
}

TEST_CASE("pages fit a screen's width, but for code") {
    for (const Topic& topic : topics()) {
        INFO(topic.name);
        CHECK_FALSE(topic.summary.empty());
        std::istringstream page(topic_page(topic.name).value());
        for (std::string line; std::getline(page, line);) {
            const auto columns = std::count_if(line.begin(), line.end(),
                                               [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; });
            INFO(line);
            CHECK((columns <= 80 || line.starts_with("    ") || line.find(", ") != std::string::npos));
        }
    }
}

TEST_CASE("the manual's page of a topic is roff in which nothing of the text is a request") {
    for (const Topic& topic : topics()) {
        const std::string page = topic_manual(topic.name).value();
        INFO(topic.name);
        CHECK(page.find("\n.TH VM2OCI\\-") != std::string::npos);
        CHECK(page.find("\n.SH NAME\nvm2oci\\-") != std::string::npos);
        CHECK(page.find('`') == std::string::npos);
    }
    CHECK_FALSE(topic_manual("disk-in-use"));
    CHECK(say({"manual", "no-such-topic"}).code == 2);
}
