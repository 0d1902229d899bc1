#include "formats/nbd/server.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/unit/nbd/script.hpp"

#include <catch2/catch.hpp>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <thread>

using namespace vm2oci;
namespace fs = std::filesystem;

namespace {

NbdExport exported() {
    NbdExport result;
    result.device = std::make_shared<TestDisk>();
    return result;
}

void receive(int fd, std::span<std::byte> buffer) {
    REQUIRE(::recv(fd, buffer.data(), buffer.size(), MSG_WAITALL) == static_cast<ssize_t>(buffer.size()));
}

// Connects by export name and reads one byte; returns it.
int read_byte(int fd, std::uint64_t offset) {
    NbdMessage input;
    put_client_flags(input);
    put_option(input, nbd::option::export_name);
    put_request(input, nbd::command::read, 1, offset, 1);
    write_exactly(fd, input.bytes());
    std::byte answer[18 + 10 + 17];
    receive(fd, answer);
    return static_cast<int>(answer[sizeof answer - 1]);
}

} // namespace

TEST_CASE("several clients are served at once") {
    NbdServer server(exported());
    std::vector<UniqueFd> clients;
    for (int i = 0; i < 8; ++i)
        clients.push_back(server.connect());
    std::vector<std::thread> threads;
    std::vector<int> results(8);
    for (std::size_t i = 0; i < 8; ++i)
        threads.emplace_back([&, i] { results[i] = read_byte(clients[i].get(), i + 10); });
    for (std::thread& thread : threads)
        thread.join();
    CHECK(results == std::vector<int>{10, 11, 12, 13, 14, 15, 16, 17});
}

TEST_CASE("the server stops while clients are connected and silent") {
    UniqueFd client;
    {
        NbdServer server(exported());
        client = server.connect();
    }
    std::byte greeting[64];
    while (::recv(client.get(), greeting, sizeof greeting, 0) > 0)
        ;
    SUCCEED("the destructor returned and the socket is closed");
}

TEST_CASE("a socket file is private and goes with the server") {
    const test::TemporaryFolder made;
    const fs::path& folder = made.path();
    const fs::path path = folder / "disk.sock";
    {
        NbdServer server(exported());
        server.listen(path);
        struct stat status {};
        REQUIRE(::stat(path.c_str(), &status) == 0);
        CHECK((status.st_mode & 0777) == 0600);
        const UniqueFd client(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
        REQUIRE(::connect(client.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
        CHECK(read_byte(client.get(), 5) == 5);
    }
    CHECK(fs::is_empty(folder));
    NbdServer other(exported());
    CHECK_THROWS_AS(other.listen(std::string(200, 'x')), Error);
}

TEST_CASE("the first error is kept for the report") {
    NbdServer server(exported());
    CHECK(server.first_error() == std::nullopt);
    const UniqueFd client = server.connect();
    NbdMessage input;
    put_client_flags(input);
    put_option(input, nbd::option::export_name);
    put_request(input, nbd::command::read, 1, TestDisk::kBroken, 1);
    write_exactly(client.get(), input.bytes());
    std::byte answer[18 + 10 + 16];
    receive(client.get(), answer);
    CHECK(server.first_error() == "cluster 8 is broken");
}

TEST_CASE("connections beyond the limit are closed") {
    NbdServer server(exported());
    std::vector<UniqueFd> clients;
    for (unsigned i = 0; i < kNbdMaxConnections; ++i)
        clients.push_back(server.connect());
    const UniqueFd extra = server.connect();
    std::byte byte;
    CHECK(::recv(extra.get(), &byte, 1, 0) == 0);
}
