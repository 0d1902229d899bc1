#include "formats/base/ascii.hpp"
#include "formats/base/base64.hpp"
#include "formats/base/escape.hpp"
#include "formats/base/utf16.hpp"

#include <catch2/catch.hpp>

#include <vector>

using namespace vm2oci;
using namespace std::string_literals;

TEST_CASE("every byte alone is shown as what it is, or by its number") {
    constexpr char kDigits[] = "0123456789abcdef";
    for (int value = 0; value < 256; ++value) {
        CAPTURE(value);
        const std::string text(1, static_cast<char>(value));
        std::string wanted = text;
        if (value == '\\')
            wanted = "\\\\";
        else if (value < 0x20 || value >= 0x7f)
            wanted = "\\x"s + kDigits[value / 16] + kDigits[value % 16];
        CHECK(escape_untrusted(text) == wanted);
        CHECK(quote_untrusted(text) == "'" + wanted + "'");
    }
}

TEST_CASE("characters at the edges of what UTF-8 holds and of what a terminal obeys") {
    const struct {
        std::string bytes;
        bool shown;
    } rows[] = {
        {"\xc2\x9f", false},     // the last control character of C1
        {"\xc2\xa0", true},      // a space that does not break
        {"\xc1\xbf", false},     // overlong
        {"\xdf\xbf", true},      // U+07FF
        {"\xd8\x9b", true},      // U+061B
        {"\xd8\x9c", false},     // U+061C, the Arabic mark of direction
        {"\xd8\x9d", true},      // U+061D
        {"\xe0\x9f\xbf", false}, // overlong
        {"\xe0\xa0\x80", true},  // U+0800
        {"\xe2\x80\x8a", true},  // U+200A
        {"\xe2\x80\x8b", false}, // U+200B, a space without width
        {"\xe2\x80\x8f", false}, // U+200F
        {"\xe2\x80\x90", true},  // U+2010, a hyphen
        {"\xe2\x80\xa7", true},  // U+2027
        {"\xe2\x80\xa8", false}, // U+2028, a line's end
        {"\xe2\x80\xa9", false}, // U+2029, a paragraph's
        {"\xe2\x80\xaa", false}, // U+202A
        {"\xe2\x80\xae", false}, // U+202E
        {"\xe2\x80\xaf", true},  // U+202F
        {"\xe2\x81\xa5", true},  // U+2065
        {"\xe2\x81\xa6", false}, // U+2066
        {"\xe2\x81\xa9", false}, // U+2069
        {"\xe2\x81\xaa", true},  // U+206A
        {"\xed\x9f\xbf", true},  // U+D7FF
        {"\xed\xa0\x80", false}, // surrogates
        {"\xed\xbf\xbf", false},
        {"\xee\x80\x80", true},      // U+E000
        {"\xef\xbb\xbe", true},      // U+FEFE
        {"\xef\xbb\xbf", false},     // the byte order mark
        {"\xf0\x8f\xbf\xbf", false}, // overlong
        {"\xf0\x90\x80\x80", true},  // U+10000
        {"\xf4\x8f\xbf\xbf", true},  // U+10FFFF
        {"\xf4\x90\x80\x80", false},
        {"\xf5\x80\x80\x80", false},
        {"\xf0\x9f\x98", false}, // cut short
        {"\xe2\x82\x41", false}, // a letter where a part of the character must be
        {"\x80", false},
    };
    for (const auto& row : rows) {
        CAPTURE(row.bytes.size(), static_cast<int>(row.bytes[0]), static_cast<int>(row.bytes.back()));
        const std::string shown = escape_untrusted("<" + row.bytes + ">");
        if (row.shown)
            CHECK(shown == "<" + row.bytes + ">");
        else
            CHECK(shown.starts_with("<\\x"));
        CHECK(shown.ends_with(">"));
    }
    // What follows a broken character is seen.
    CHECK(escape_untrusted("\xe2\x82\x41") == "\\xe2\\x82A");
    CHECK(escape_untrusted("\xc3\xc3\xa4") == "\\xc3\xc3\xa4");
}

TEST_CASE("a text is cut behind its limit and not before") {
    CHECK(escape_untrusted("abc", 3) == "abc");
    CHECK(escape_untrusted("abcd", 3) == "abc...");
    CHECK(escape_untrusted("a", 0) == "...");
    CHECK(escape_untrusted("", 0).empty());
    CHECK(escape_untrusted(std::string(256, 'x')) == std::string(256, 'x'));
    CHECK(escape_untrusted(std::string(257, 'x')) == std::string(256, 'x') + "...");
    CHECK(escape_untrusted("\n\n\n", 2) == "\\x0a\\x0a..."); // the limit counts what comes in
    CHECK(quote_untrusted("abcd", 2) == "'ab...'");
}

TEST_CASE("UTF-16 becomes UTF-8 at every length of a character") {
    using Units = std::vector<std::uint16_t>;
    const struct {
        Units units;
        std::string text;
    } rows[] = {
        {{}, ""},
        {{0}, "\0"s},
        {{'E', 'F', 'I'}, "EFI"},
        {{0x7f}, "\x7f"},
        {{0x80}, "\xc2\x80"},
        {{0x7ff}, "\xdf\xbf"},
        {{0x800}, "\xe0\xa0\x80"},
        {{0xd7ff}, "\xed\x9f\xbf"},
        {{0xe000}, "\xee\x80\x80"},
        {{0xffff}, "\xef\xbf\xbf"},
        {{0xd800, 0xdc00}, "\xf0\x90\x80\x80"},
        {{0xd83d, 0xde00}, "\xf0\x9f\x98\x80"},
        {{0xdbff, 0xdfff}, "\xf4\x8f\xbf\xbf"},
        {{0xd800}, "\xef\xbf\xbd"},
        {{0xd800, 'x'}, "\xef\xbf\xbdx"},
        {{0xdc00, 'x'}, "\xef\xbf\xbdx"},
        {{0xdc00, 0xd800}, "\xef\xbf\xbd\xef\xbf\xbd"},
        {{0xd800, 0xd800, 0xdc00}, "\xef\xbf\xbd\xf0\x90\x80\x80"},
        {{0xdfff, 0xdc00}, "\xef\xbf\xbd\xef\xbf\xbd"},
        {{0xd800, 0xe000}, "\xef\xbf\xbd\xee\x80\x80"},
        {{0xd800, 0xdbff}, "\xef\xbf\xbd\xef\xbf\xbd"},
    };
    for (const auto& row : rows) {
        CAPTURE(row.text);
        CHECK(utf16_to_utf8(row.units) == row.text);
    }
}

TEST_CASE("letters of ASCII become small and nothing else changes") {
    std::string all;
    std::string wanted;
    for (int value = 0; value < 256; ++value) {
        all += static_cast<char>(value);
        wanted += static_cast<char>(value >= 0x41 && value <= 0x5a ? value + 0x20 : value);
    }
    CHECK(to_lower_ascii(all) == wanted);
    CHECK(to_lower_ascii("").empty());
}

TEST_CASE("base64 is that of RFC 4648, with and without its padding") {
    const struct {
        const char* bytes;
        const char* text;
    } rows[] = {{"", ""},
                {"f", "Zg=="},
                {"fo", "Zm8="},
                {"foo", "Zm9v"},
                {"foob", "Zm9vYg=="},
                {"fooba", "Zm9vYmE="},
                {"foobar", "Zm9vYmFy"}};
    for (const auto& row : rows) {
        CAPTURE(row.bytes);
        CHECK(encode_base64(row.bytes) == row.text);
        CHECK(decode_base64(row.text) == row.bytes);
        std::string bare = row.text;
        bare.erase(std::min(bare.find('='), bare.size()));
        CHECK(decode_base64(bare) == row.bytes);
    }
    CHECK(encode_base64("\xfb\xff\xfe\0"s) == "+//+AA==");
    CHECK(decode_base64("+//+AA==") == "\xfb\xff\xfe\0"s);
    for (const char* bad : {"Z", "Zm9vY", "Zm 9v", "Zm9v\n", "Zm-v", "Zm_v", "Z=m9", "Zg==Zg==", "Zm9vé", "=Zg"}) {
        CAPTURE(bad);
        CHECK(decode_base64(bad) == std::nullopt);
    }
    CHECK(decode_base64("Zg\0="s) == std::nullopt);
}

TEST_CASE("untrusted base64 is read past what the alphabet does not have") {
    CHECK(decode_base64_lenient(" Zm9v\r\n YmFy \n") == "foobar");
    CHECK(decode_base64_lenient("Zg==") == "f");
    CHECK(decode_base64_lenient("Z-g_!=") == "f");
    CHECK(decode_base64_lenient("\n\n") == "");
    CHECK(decode_base64_lenient("Z\n") == std::nullopt);
    CHECK(decode_base64_lenient("Zm9v Y") == std::nullopt);
}
