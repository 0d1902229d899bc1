// Forms of shell text, by POSIX' Shell Command Language and what bash and GRUB add, each with what it means.
#include "libconvert/edit/shell_text.hpp"
#include "tests/unit/edit/edit_fixture.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;
using namespace vm2oci::test;

namespace {

// The words of each command, as they are written; "?" behind those that are only sometimes carried out.
std::string commands_of(std::string_view text) {
    const auto script = parse_shell(text);
    if (!script)
        return "open";
    std::string out;
    for (const ShellCommand& command : script->commands) {
        for (const ShellSpan word : command.words)
            out += std::string(text.substr(word.begin, word.end - word.begin)) + " ";
        out.back() = command.sometimes ? '?' : ';';
    }
    return out + (script->balanced ? "" : "unbalanced");
}

std::string units_of(std::string_view value) {
    std::string out;
    for (const ShellUnit& unit : shell_units(value, {0, value.size()})) {
        CHECK(unit.source.begin < unit.source.end);
        CHECK(unit.source.end <= value.size());
        out += (unit.opaque ? "<" + unit.text + ">" : unit.text) + (unit.quote == 0 ? "" : std::string(1, unit.quote));
    }
    return out;
}

} // namespace

TEST_CASE("Commands are told apart, and whether they are always carried out") {
    struct Case {
        const char* text;
        const char* commands;
    };
    for (const Case& each : {
             Case{"", ""},
             {"a b  c\n", "a b c;"},
             {"a; b\n", "a;b;"},
             {"a & b", "a;b;"},
             {"a && b; c", "a;b?c;"},
             {"a || b\nc", "a;b?c;"},
             {"a && b || c; d", "a;b?c?d;"},
             {"a | b; c", "a;b?c;"},
             // An operator at a line's end goes on in the next one (2.10.2, linebreak).
             {"a &&\nb\nc", "a;b?c;"},
             {"a &&   # why\n\n  b\nc", "a;b?c;"},
             {"a ||\n b &&\n c\nd", "a;b?c?d;"},
             {"a |\nb\nc", "a;b?c;"},
             {"a && b\nc", "a;b?c;"},
             {"a \\\n b", "a b;"},
             {"a# b #c\nd", "a# b;d;"},
             {"#a\n  # b\nc", "c;"},
             {"! a", "a;"},
             {"time a", "a;"},
             {"if a; then b; elif c; then d; else e; fi; f", "a?b?c?d?e?f;"},
             {"while a; do b; done; c", "a?b?c;"},
             {"until a\ndo\nb\ndone\nc", "a?b?c;"},
             {"for x in 1 2; do a; done; b", "for x in 1 2;a?b;"},
             {"select x in 1 2; do a; done; b", "select x in 1 2;a?b;"},
             {"case $x in a) b ;; (c|d) e ;; *) f;; esac; g", "case $x in a;b?c?d?e?*?f?g;"},
             {"f() { a; }\nb", "f;a?b;"},
             {"function f { a; }; b", "function f;a?b;"},
             {"(a; b); c", "a?b?c;"},
             {"a && (b\nc)\nd", "a;b?c?d;"},
             {"{ a; }; b", "a?b;"},
             {"menuentry 'x' {\n linux /v a=1\n}\nb", "menuentry 'x';linux /v a=1?b;"},
             {"a > /x b", "a b;"},
             {"a 2>&1 b; c", "a 2 b;c;"},
             {"a >/x 2>>/y </z\nb", "a 2;b;"},
             {"a <<< word b", "a b;"},
             {"a <<E b\nx\nE\nc", "a b;c;"},
             {"a <<-E\n\tx\n\tE\nc", "a;c;"},
             {"a <<'E F'\nx\nE F\nc", "a;c;"},
             {"a <<E <<F\nx\nE\ny\nF\nc", "a;c;"},
             {"a <<E\nnever ends", "a;"},
             {"if a; then", "a?unbalanced"},
             {"}", "unbalanced"},
             {"fi", "unbalanced"},
             {"(a", "a?unbalanced"},
             {"a)", "a;"}, // of a case
             {"a 'b", "open"},
             {"a \"b", "open"},
             {"a $(b", "open"},
             {"a ${b", "open"},
             {"a `b", "open"},
             {"a \"${b\"", "open"},
             {"a \\", "a \\;"},
         }) {
        CAPTURE(each.text);
        CHECK(commands_of(each.text) == each.commands);
    }
}

TEST_CASE("Words go over quotes and substitutions whole") {
    for (const char* word :
         {"a'b c'd", "\"a b\"c", "a\\ b", "$(a b)", "$(a $(b c) d)", "$(a ')' b)", "$(a \")\" b)", "$((1 + 2))",
          "${a:-b c}", "${a:-${b} c}", "`a b`", "`a \\` b`", "\"$(a \"b c\" d)\"", "\"a\\\" b\"", "'a\"b c'",
          "a=\"b c\"", "$(a \\) b)", "\"${a:-\"x y\"}\"", "\"`a \"b\"`\""}) {
        CAPTURE(word);
        CHECK(commands_of(std::string(word) + " end") == std::string(word) + " end;");
    }
    // A hundred substitutions in quotes in each other may be what somebody wrote; thousands are an attack.
    const auto nested = [](int depth) {
        std::string text = "x";
        for (int i = 0; i < depth; ++i)
            text = "$(a \"" + text + "\")";
        return text;
    };
    CHECK(commands_of(nested(30)) == nested(30) + ";");
    CHECK(commands_of(nested(200)) == "open");
}

TEST_CASE("Values come apart into characters and substitutions") {
    CHECK(units_of("ab") == "ab");
    CHECK(units_of("'a$b'") == "a'$'b'");
    CHECK(units_of("\"a$b c\"") == "a\"<$b>\" \"c\"");
    CHECK(units_of("a\\ b\\\\") == "a b\\");
    CHECK(units_of("\"a\\$b\\`c\\\"d\\\\e\\x\"") == "a\"$\"b\"`\"c\"\"\"d\"\\\"e\"\\x\"");
    CHECK(units_of("a\\\nb") == "ab");
    CHECK(units_of("\"a\\\nb\"") == "a\"\"b\"");
    CHECK(units_of("'a\\b'") == "a'\\'b'");
    CHECK(units_of("${a:-b}$?x$1") == "<${a:-b}><$?>x<$1>");
    CHECK(units_of("$(a b)`c d`") == "<$(a b)><`c d`>");
    CHECK(units_of("a$") == "a$");
    CHECK(units_of("$.") == "$.");
    CHECK(units_of("'it'\"'\"'s'") == "i't''\"s'");
    CHECK(units_of("$-$!$@$*$#$$") == "<$-><$!><$@><$*><$#><$$>");
}

TEST_CASE("What is put between quotes is read back as it was") {
    std::string all;
    for (int c = 1; c < 128; ++c)
        if (c != '\n')
            all += static_cast<char>(c);
    for (const char quote : {'"', '\''}) {
        CAPTURE(quote);
        const std::string value = quote + shell_quoted(all, quote) + quote;
        std::string read;
        for (const ShellUnit& unit : shell_units(value, {0, value.size()}))
            if (!unit.opaque)
                read += unit.text;
        CHECK(read == all);
    }
    const std::string bare = shell_quoted(all, 0);
    std::string read;
    for (const ShellUnit& unit : shell_units(bare, {0, bare.size()}))
        read += unit.text;
    CHECK(read == all);
    const auto script = parse_shell("x " + bare);
    REQUIRE(script);
    REQUIRE(script->commands.size() == 1);
    CHECK(script->commands[0].words.size() == 2);
    CHECK(shell_quoted("a b", 0) == "a\\ b");
    CHECK(shell_quoted("a b", '"') == "a b");
    CHECK(shell_quoted("it's", '\'') == "it'\\''s");
    CHECK(shell_quoted("$x", '\'') == "$x");
}

TEST_CASE("The last assignment that is always carried out counts") {
    struct Case {
        const char* text;
        const char* value;
    };
    for (const Case& each : {
             Case{"", ""},
             {"K=1\nK=2\n", "2"},
             {"K=1\nif x; then K=2; fi\n", "1"},
             {"if x; then K=2; fi\n", "2"},
             {"if x; then K=1; fi\nif y; then K=2; fi\n", "2"},
             {"K=1\n[ x ] &&\n  K=2\n", "1"},
             {"KK=1\nXK=2\n", ""},
             {"export K='a b'\n", "a b"},
             {"declare -x K=1\n", "1"},
             {"typeset K=1", "1"},
             {"K=' padded '\n", "padded"},
             {"K=\"a\"'b'c\n", "abc"},
             {"K=$X/y\n", "$X/y"},
             {"K=1 command\n", ""},
             {"K=\n", ""},
             {"K =1\n", ""},
             {"1K=x\n", ""},
             {"K=\"open\n", ""},
             {"K=1\nbad 'line\nK=2\n", "2"}, // line by line where the whole is no shell
             {"K=1\r\n", "1"},
             {"if x; then\nK=3\n", "3"},
         }) {
        CAPTURE(each.text);
        CHECK(shell_value(each.text, "K") == each.value);
    }
}

TEST_CASE("Values are replaced where they stand") {
    CHECK(with_shell_value("A=1 # c\nB=2\n", "A", "x y") == "A=x\\ y # c\nB=2\n");
    CHECK(with_shell_value("A=\"1\"\n", "A", "x \"y\" $z") == "A=\"x \\\"y\\\" \\$z\"\n");
    CHECK(with_shell_value("A='1'\n", "A", "it's") == "A=\"it's\"\n");
    CHECK(with_shell_value("A=\n", "A", "1") == "A=1\n");
    CHECK(with_shell_value("A=1\nif x; then A=2; fi\n", "A", "3") == "A=3\nif x; then A=3; fi\n");
    CHECK(with_shell_value("export A=1 B=2\n", "B", "3") == "export A=1 B=3\n");
    CHECK_FALSE(with_shell_value("B=1\n", "A", "2"));
    CHECK_FALSE(with_shell_value("A='1\n", "A", "2"));
    CHECK_FALSE(with_shell_value("if x; then A=1\n", "A", "2"));
}

TEST_CASE("Assignments go with their lines, or leave what else stands there whole") {
    const auto without = [](std::string_view text) { return without_shell_values(text, {"A", "B"}).value_or("same"); };
    CHECK(without("A=1\nC=2\nB=3\n") == "C=2\n");
    CHECK(without("A=1 # why\nC=2\n") == "C=2\n");
    CHECK(without("export A=1\nC=2\n") == "C=2\n");
    CHECK(without("  A=1  \nC=2") == "C=2");
    CHECK(without("C=2\nA=1") == "C=2\n");
    CHECK(without("A=1 C=2\n") == " C=2\n");
    CHECK(without("if x; then A=1; fi\n") == "if x; then A=\"\"; fi\n");
    CHECK(without("[ x ] && A=1\n") == "[ x ] && A=\"\"\n");
    CHECK(without("A='1\n2'\nC=2\n") == "C=2\n");
    CHECK(without("C=2\n") == "same");
    CHECK(without("AA=2\n") == "same");
    CHECK(without("A='1\n") == "same");
}
