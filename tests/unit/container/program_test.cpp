#include "formats/base/error.hpp"
#include "formats/container/program.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;
using namespace std::string_literals;

namespace {

ContainerProgram full_program() {
    ContainerProgram program;
    program.arguments = {"/bin/sh", "-c", "echo \"a=b\"\nid", ""};
    program.entrypoint = 1;
    program.environment = {"A=1", "EMPTY=", "TEXT=with = and\nlines"};
    program.uid = 1000;
    program.gid = 4294967294;
    program.groups = {4, 29};
    program.working_folder = "/srv/app";
    program.volumes = {"/data", "/more"};
    program.hostname = "web";
    program.stop_signal = 3;
    program.health = ProgramHealth{{"/bin/true"}, 5, 6, 7, 8, 9};
    return program;
}

ErrorKind refusal_of(const std::string& bytes) {
    try {
        decode_program(bytes);
    } catch (const Error& error) {
        return error.kind();
    }
    FAIL("it was not refused");
    return {};
}

} // namespace

TEST_CASE("a program's file has everything of the program") {
    CHECK(decode_program(encode_program(full_program())) == full_program());
    ContainerProgram small;
    small.arguments = {"x"};
    small.role = ProgramRole::init;
    CHECK(decode_program(encode_program(small)) == small);
}

TEST_CASE("what no writer of ours made is refused") {
    const std::string bytes = encode_program(full_program());
    for (std::size_t size = 0; size < bytes.size(); ++size)
        if (bytes.compare(size, 7, std::string("health=")) != 0) // up to there it is whole without a health check
            try {
                decode_program(std::string_view(bytes).substr(0, size));
            } catch (const Error& error) {
                CHECK(error.kind() == ErrorKind::corrupt);
            }
    CHECK(refusal_of("") == ErrorKind::corrupt);
    CHECK(refusal_of(bytes.substr(0, bytes.size() - 1)) == ErrorKind::corrupt);
    CHECK(refusal_of(bytes + "uid=1\0"s) == ErrorKind::corrupt);
    CHECK(refusal_of(bytes + "other=1\0"s) == ErrorKind::corrupt);
    CHECK(refusal_of("version=2\0"s) == ErrorKind::unsupported);
    CHECK(refusal_of("version=1\0argument=x\0uid=-1\0"s) == ErrorKind::corrupt);
    CHECK(refusal_of("version=1\0argument=x\0folder=relative\0"s) == ErrorKind::corrupt);
    CHECK(refusal_of("version=1\0argument=x\0entrypoint=2\0"s) == ErrorKind::corrupt);
}

TEST_CASE("texts that no program can be given are refused") {
    ContainerProgram program = full_program();
    program.arguments[0] = std::string("a\0b", 3);
    CHECK_THROWS_AS(encode_program(program), Error);
    program = full_program();
    program.environment.assign(2, std::string(kMaxProgramBytes / 2, 'x'));
    CHECK_THROWS_AS(encode_program(program), Error);
}
