#include "formats/base/error.hpp"
#include "libconvert/container/container_user.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;

namespace {

constexpr const char* kPasswd = "root:x:0:0:root:/root:/bin/sh\n"
                                "# a remark\n"
                                "broken:x\n"
                                "app:x:1000:1001:The App,,,:/home/app:/bin/sh\n"
                                "1002:x:77:78::/odd:/bin/sh\n"
                                "homeless:x:5:6::\n";
constexpr const char* kGroup = "root:x:0:\n"
                               "app:x:1001:\n"
                               "adm:x:4:syslog,app\n"
                               "audio:x:29:app\n"
                               "audio2:x:29:app\n"
                               "wheel:x:10:root\n";

ContainerUser user_of(const char* text) {
    return find_container_user(text, kPasswd, kGroup);
}

ErrorKind refusal_of(const char* text) {
    try {
        user_of(text);
    } catch (const Error& error) {
        return error.kind();
    }
    FAIL("it was not refused");
    return {};
}

} // namespace

// The first group is among the others, or a set-group-ID program would leave it behind (CVE-2022-36109).
TEST_CASE("users are found as runtimes find them") {
    CHECK(user_of("") == ContainerUser{0, 0, {0, 10}, "/root"});
    CHECK(user_of("app") == ContainerUser{1000, 1001, {4, 29, 1001}, "/home/app"});
    CHECK(user_of("1000") == ContainerUser{1000, 1001, {4, 29, 1001}, "/home/app"});
    CHECK(user_of("app:audio") == ContainerUser{1000, 29, {29}, "/home/app"});
    CHECK(user_of("app:4242") == ContainerUser{1000, 4242, {4242}, "/home/app"});
    CHECK(user_of("4242") == ContainerUser{4242, 0, {0}, "/"});
    CHECK(user_of("4242:4343") == ContainerUser{4242, 4343, {4343}, "/"});
    CHECK(user_of(":audio") == ContainerUser{0, 29, {29}, "/root"});
    CHECK(user_of("homeless") == ContainerUser{5, 6, {6}, "/"});
    // A number is a number, although somebody is called so.
    CHECK(user_of("1002") == ContainerUser{1002, 0, {0}, "/"});
    CHECK(find_container_user("65532:65532", "", "") == ContainerUser{65532, 65532, {65532}, "/"});
    CHECK(find_container_user("", "", "") == ContainerUser{0, 0, {0}, "/"});
}

TEST_CASE("who is not there is refused") {
    CHECK(refusal_of("nobody") == ErrorKind::unsupported);
    CHECK(refusal_of("app:nobody") == ErrorKind::unsupported);
    CHECK(refusal_of("broken") == ErrorKind::unsupported);
    CHECK(refusal_of("2147483648") == ErrorKind::unsupported);
    CHECK(refusal_of("app:99999999999") == ErrorKind::unsupported);
    CHECK(refusal_of("-1") == ErrorKind::unsupported);
}
