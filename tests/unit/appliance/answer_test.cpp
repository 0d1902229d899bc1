// What the appliance says: it has read a disk that may be anybody's.
#include "formats/appliance/answer.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;

namespace {

ApplianceAnswer parse_one(const std::string& line) {
    AnswerParser parser;
    const std::vector<ApplianceAnswer> answers = parser.feed(line);
    REQUIRE(answers.size() == 1);
    return answers.front();
}

bool is_refused(const std::string& bytes) {
    AnswerParser parser;
    try {
        (void)parser.feed(bytes);
        return false;
    } catch (const Error& error) {
        return error.kind() == ErrorKind::corrupt;
    }
}

} // namespace

TEST_CASE("answers come back as they were said") {
    ApplianceAnswer step;
    step.step = 4294967295U;
    CHECK(parse_one(encode_answer(step)).step == 4294967295U);
    ApplianceAnswer done;
    done.kind = AnswerKind::done;
    CHECK(parse_one(encode_answer(done)).kind == AnswerKind::done);
    for (const ErrorKind kind : {ErrorKind::io, ErrorKind::corrupt, ErrorKind::unsupported, ErrorKind::unsafe,
                                 ErrorKind::limit, ErrorKind::external}) {
        const ApplianceAnswer failed = parse_one(encode_answer({AnswerKind::failed, 7, kind, "cannot write: full"}));
        CHECK(failed.kind == AnswerKind::failed);
        CHECK(failed.step == 7U);
        CHECK(failed.error == kind);
        CHECK(failed.text == "cannot write: full");
    }
    CHECK_FALSE(parse_one(encode_answer({AnswerKind::failed, std::nullopt, ErrorKind::io, ""})).step);
}

TEST_CASE("an error that only we can have becomes one of the machine") {
    CHECK(parse_one(encode_answer({AnswerKind::failed, 1, ErrorKind::cancelled, "x"})).error == ErrorKind::external);
    CHECK(is_refused("failed 1 cancelled x\n"));
    CHECK(is_refused("failed 1 usage x\n"));
}

TEST_CASE("a text of any bytes stays one line of bounded length") {
    const std::string line =
        encode_answer({AnswerKind::failed, 1, ErrorKind::io, "a\nb\r\x1b" + std::string(5000, 'c')});
    CHECK(line.find('\n') == line.size() - 1);
    CHECK(line.size() <= kMaxAnswerLine);
    CHECK(parse_one(line).text.starts_with("a b  ccc"));
}

TEST_CASE("lines come in pieces, and several at once") {
    AnswerParser parser;
    CHECK(parser.feed("st").empty());
    CHECK(parser.feed("ep 1").empty());
    const auto answers = parser.feed("2\nstep 13\ndone");
    REQUIRE(answers.size() == 2);
    CHECK(answers[0].step == 12U);
    CHECK(answers[1].step == 13U);
    CHECK(parser.feed("\n").front().kind == AnswerKind::done);
}

TEST_CASE("everything else is refused") {
    for (const std::string line :
         {"", " done", "done ", "DONE", "step", "step ", "step -1", "step 4294967296", "step 1 ", "step 0x1", "step +1",
          "failed", "failed 1", "failed 1 io", "failed x io text", "failed  io text", "failed 1 IO text",
          "failed - nothing text", "{\"type\":\"hello\"}"}) {
        INFO(line);
        CHECK(is_refused(line + "\n"));
    }
    CHECK(is_refused(std::string("done\0\n", 6)));
}

TEST_CASE("a line without an end is not remembered without end") {
    AnswerParser parser;
    CHECK(parser.feed("failed 1 io " + std::string(kMaxAnswerLine - 12, 'a')).empty());
    CHECK_THROWS_AS(parser.feed("a"), Error);
    CHECK(is_refused(std::string(8'000'000, 'x')));
}
