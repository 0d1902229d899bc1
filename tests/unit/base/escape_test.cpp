#include "formats/base/escape.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;

TEST_CASE("printable text passes, everything that can fool a terminal does not") {
    CHECK(escape_untrusted("disk-1.qcow2") == "disk-1.qcow2");
    CHECK(escape_untrusted("Grüße") == "Grüße");
    CHECK(escape_untrusted("a\nb\x1b[31m") == "a\\x0ab\\x1b[31m");
    CHECK(escape_untrusted("back\\slash") == "back\\\\slash");
    CHECK(escape_untrusted("\x7f") == "\\x7f");
    CHECK(escape_untrusted("\xc2\x9b") == "\\xc2\\x9b");          // C1 control: CSI
    CHECK(escape_untrusted("\xe2\x80\xae") == "\\xe2\\x80\\xae"); // right-to-left override
    CHECK(escape_untrusted("\xff\xfe") == "\\xff\\xfe");          // not UTF-8
    CHECK(escape_untrusted("\xc0\xaf") == "\\xc0\\xaf");          // overlong
    CHECK(escape_untrusted("\xed\xa0\x80") == "\\xed\\xa0\\x80"); // surrogate
    CHECK(escape_untrusted("\xe2\x82") == "\\xe2\\x82");          // cut short
    CHECK(escape_untrusted(std::string_view("\0x", 2)) == "\\x00x");
}

TEST_CASE("long names are cut") {
    CHECK(escape_untrusted(std::string(300, 'a'), 10) == "aaaaaaaaaa...");
    CHECK(quote_untrusted("x") == "'x'");
}
