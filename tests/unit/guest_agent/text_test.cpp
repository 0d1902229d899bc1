#include "guest-kernel/agent/text.hpp"
#include <catch2/catch.hpp>

using namespace vm2oci::guest;

TEST_CASE("JSON strings hold whatever a guest says") {
    CHECK(json_quote("a\"b\\c\n\x7f") == R"("a\"b\\c\u000a\u007f")");
    CHECK(json_quote("ä€😀") == "\"ä€😀\"");
    CHECK(json_quote("\xff\xc3") == R"("\ufffd\ufffd")");
    CHECK(json_quote("\xed\xa0\x80") == R"("\ufffd\ufffd\ufffd")"); // half of a surrogate pair
    CHECK(json_quote("\xc0\xaf\xf5") == R"("\ufffd\ufffd\ufffd")");
    CHECK(json_list({"a", "b"}) == R"(["a","b"])");
    CHECK(json_list({}) == "[]");
}

TEST_CASE("base64") { // RFC 4648, section 10
    CHECK(base64("").empty());
    CHECK(base64("f") == "Zg==");
    CHECK(base64("fo") == "Zm8=");
    CHECK(base64("foo") == "Zm9v");
    CHECK(base64("foobar") == "Zm9vYmFy");
    CHECK(base64("\xff\xfe\xfd") == "//79");
}

TEST_CASE("lines and words") {
    CHECK(split_lines("a\n\nb\nc") == std::vector<std::string_view>{"a", "b", "c"});
    CHECK(split_words(" a \t b ") == std::vector<std::string_view>{"a", "b"});
    CHECK(first_word("  running\n") == "running");
    CHECK(first_word("").empty());
    CHECK(trim(" \n") == "");
}
