#include "formats/base/error.hpp"
#include "formats/oci/memory_store.hpp"
#include "libconvert/container/container_bundle.hpp"
#include "libconvert/container/image_program.hpp"
#include "libconvert/container/signals.hpp"
#include "libconvert/source/content_verifier.hpp"

#include <catch2/catch.hpp>

#include <algorithm>

using namespace vm2oci;

namespace {

// Of an image without files.
ContainerProgram program_of(const ImageConfig& config, const ProgramWishes& wishes = {}) {
    MemorySource source(std::make_shared<MemoryStore>());
    ImageContent image;
    image.config = config;
    image.verifier = std::make_shared<ContentVerifier>(image.parsed_manifest, image.config);
    const OperationContext operation;
    const ContainerFiles files(source, image, operation);
    return program_of_image(config, files, wishes);
}

bool has(const ContainerProgram& program, const std::string& variable) {
    return std::count(program.environment.begin(), program.environment.end(), variable) == 1;
}

} // namespace

TEST_CASE("an image's program is its entrypoint and its command") {
    ImageConfig config;
    config.entrypoint = {"/entry", "-x"};
    config.command = {"serve"};
    config.environment = {"A=1", "PATH=/opt/bin", "A=2"};
    config.working_directory = "srv";
    config.stop_signal = "SIGQUIT";
    config.volumes = {"/data"};
    const ContainerProgram program = program_of(config);
    CHECK(program.arguments == std::vector<std::string>{"/entry", "-x", "serve"});
    CHECK(program.entrypoint == 2);
    CHECK(program.working_folder == "/srv");
    CHECK(program.stop_signal == 3);
    CHECK(program.volumes == std::vector<std::string>{"/data"});
    CHECK(has(program, "PATH=/opt/bin"));
    CHECK(has(program, "A=2"));
    CHECK_FALSE(has(program, "A=1"));
    CHECK(has(program, "HOME=/"));
    CHECK(has(program, "HOSTNAME=micro-vm"));
    CHECK(program.role == ProgramRole::child);
}

TEST_CASE("wishes win over the image") {
    ImageConfig config;
    config.entrypoint = {"/entry"};
    config.command = {"serve"};
    config.environment = {"HOME=/of/image"};
    const ContainerProgram program = program_of(config, {{"sh", "-c", "id"}, {"HOME=/mine", "B=2"}, "web"});
    CHECK(program.arguments == std::vector<std::string>{"/entry", "sh", "-c", "id"});
    CHECK(has(program, "HOME=/mine"));
    CHECK(has(program, "B=2"));
    CHECK(has(program, "HOSTNAME=web"));
    CHECK(has(program, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"));
    CHECK(program.hostname == "web");
    config.entrypoint.clear();
    CHECK(program_of(config, {{"id"}, {}, ""}).arguments == std::vector<std::string>{"id"});
    config.command.clear();
    CHECK(program_of(config, {{"id"}, {}, ""}).arguments == std::vector<std::string>{"id"});
    CHECK_THROWS_AS(program_of(config), Error);
}

TEST_CASE("inits take the place of ours") {
    ImageConfig config;
    for (const char* path : {"/sbin/init", "/lib/systemd/systemd", "/init"}) {
        config.entrypoint = {path};
        CHECK(program_of(config).role == ProgramRole::init);
    }
    for (const char* path : {"init", "/usr/bin/tini", "/bin/sh"}) {
        config.entrypoint = {path};
        CHECK(program_of(config).role == ProgramRole::child);
    }
    config.entrypoint = {"/sbin/init"};
    config.user = "1000";
    CHECK(program_of(config).role == ProgramRole::child);
}

TEST_CASE("health checks in their forms") {
    ImageConfig config;
    config.command = {"x"};
    config.health_check =
        ImageHealthCheck{.test = {"CMD-SHELL", "curl -f localhost"}, .interval = 1'500'000'000, .retries = 7};
    const ContainerProgram shell = program_of(config);
    REQUIRE(shell.health);
    CHECK(shell.health->test == std::vector<std::string>{"/bin/sh", "-c", "curl -f localhost"});
    CHECK(shell.health->interval_seconds == 2);
    CHECK(shell.health->timeout_seconds == 30);
    CHECK(shell.health->start_seconds == 0);
    CHECK(shell.health->start_interval_seconds == 5);
    CHECK(shell.health->retries == 7);
    config.health_check->start_period = 60'000'000'000;
    config.health_check->start_interval = 700'000'000;
    CHECK(program_of(config).health->start_seconds == 60);
    CHECK(program_of(config).health->start_interval_seconds == 1);
    config.health_check->test = {"CMD", "/probe", "-q"};
    CHECK(program_of(config).health->test == std::vector<std::string>{"/probe", "-q"});
    // A line is run by what the image calls its shell (moby/moby#28385).
    config.shell = {"/bin/ash", "-ec"};
    config.health_check->test = {"CMD-SHELL", "exit 0", "ignored"};
    CHECK(program_of(config).health->test == std::vector<std::string>{"/bin/ash", "-ec", "exit 0", "ignored"});
    for (const char* kind : {"CMD", "CMD-SHELL"}) {
        config.health_check->test = {kind};
        CHECK_FALSE(program_of(config).health);
    }
    config.health_check->test = {"NONE"};
    CHECK_FALSE(program_of(config).health);
    config.health_check->test = {"OTHER", "x"};
    CHECK_THROWS_AS(program_of(config), Error);
}

TEST_CASE("signals by name and number") {
    CHECK(parse_signal("SIGTERM") == 15);
    CHECK(parse_signal("term") == 15);
    CHECK(parse_signal("9") == 9);
    CHECK(parse_signal("SIGHUP") == 1);
    CHECK(parse_signal("sigsys") == 31);
    CHECK(parse_signal("SIGWINCH") == 28);
    CHECK(parse_signal("SIGRTMIN+3") == 37);
    CHECK(parse_signal("RTMAX-1") == 63);
    for (const char* text : {"", "SIG", "SIGNOTHING", "0", "65", "-1", "SIGRTMIN+99", "1x"})
        CHECK_THROWS_AS(parse_signal(text), Error);
}
