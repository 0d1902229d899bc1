// Disks on NBD servers: our own, and one that lies, is slow or wants whole blocks, over sockets in a folder.
#include "formats/base/fd.hpp"
#include "formats/base/size.hpp"
#include "formats/nbd/protocol.hpp"
#include "formats/nbd/server.hpp"
#include "formats/nbd/wire.hpp"
#include "libconvert/remote/nbd_disk.hpp"
#include "tests/support/error_of.hpp"
#include "tests/support/memory_device.hpp"
#include "tests/support/temporary_folder.hpp"

#include <catch2/catch.hpp>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <mutex>
#include <thread>

using namespace vm2oci;
using namespace vm2oci::test;
using namespace std::chrono_literals;

namespace {

std::string uri_of(const std::filesystem::path& socket) {
    return "nbd+unix:///?socket=" + socket.string();
}

std::vector<std::byte> read_part(const BlockDevice& disk, std::uint64_t offset, std::size_t length) {
    std::vector<std::byte> bytes(length, std::byte{0xee});
    disk.read_at(offset, bytes);
    return bytes;
}

struct Asked {
    std::uint16_t command;
    std::uint64_t offset;
    std::uint32_t length;
};

struct Told {
    std::uint32_t length;
    std::uint32_t flags;
};

// A server that does what a test says: byte i of its disk is i mod 251.
class OddServer {
  public:
    std::uint64_t size = 10'000;
    std::uint32_t block = 1;         // the smallest request
    std::uint32_t largest = 1 << 25; // the largest
    bool tells_blocks = true;        // NBD_INFO_BLOCK_SIZE
    bool tells_extents = true;       // base:allocation
    std::uint32_t read_error = 0;    // of every read
    bool answers = true;             // false: silent after the greeting
    std::vector<Told> extents{};     // of every question
    std::atomic<unsigned> connections{0};
    std::atomic<bool> holds_reads{false}; // no read is answered until release()

    void release() {
        holds_reads = false;
        holds_reads.notify_all();
    }

    explicit OddServer(const std::filesystem::path& path)
        : listener_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
        REQUIRE(::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
        REQUIRE(::listen(listener_.get(), 16) == 0);
    }
    // Call when all is set.
    void start() {
        acceptor_ = std::thread([this] {
            for (;;) {
                UniqueFd socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
                if (!socket)
                    return;
                ++connections;
                const std::lock_guard lock(mutex_);
                sockets_.push_back(socket.get());
                threads_.emplace_back(
                    [this, held = std::make_shared<UniqueFd>(std::move(socket))] { serve(held->get()); });
            }
        });
    }
    ~OddServer() {
        release();
        ::shutdown(listener_.get(), SHUT_RDWR);
        acceptor_.join();
        for (const int socket : sockets_)
            ::shutdown(socket, SHUT_RDWR);
        for (std::thread& thread : threads_)
            thread.join();
    }
    std::vector<Asked> asked() const {
        const std::lock_guard lock(mutex_);
        return asked_;
    }

  private:
    static bool receive(int fd, std::span<std::byte> buffer) {
        while (!buffer.empty()) {
            const ssize_t count = ::recv(fd, buffer.data(), buffer.size(), 0);
            if (count <= 0)
                return false;
            buffer = buffer.subspan(static_cast<std::size_t>(count));
        }
        return true;
    }
    static void send(int fd, const NbdMessage& message) {
        const std::span<const std::byte> bytes = message.bytes();
        for (std::size_t done = 0; done < bytes.size();) {
            const ssize_t count = ::send(fd, bytes.data() + done, bytes.size() - done, MSG_NOSIGNAL);
            if (count <= 0)
                return;
            done += static_cast<std::size_t>(count);
        }
    }
    static void reply(int fd, std::uint32_t option, std::uint32_t type, const NbdMessage& data = {}) {
        NbdMessage message;
        message.put(nbd::kOptionReplyMagic).put(option).put(type).put(static_cast<std::uint32_t>(data.bytes().size()));
        send(fd, message.put_text(as_text(data.bytes())));
    }

    void serve(int fd) {
        send(fd, NbdMessage().put(nbd::kServerMagic).put(nbd::kOptionMagic).put(std::uint16_t{3}));
        std::array<std::byte, 4> flags;
        if (!receive(fd, flags))
            return;
        std::array<std::byte, 16> header;
        while (receive(fd, header)) {
            NbdReader reader(header);
            reader.take<std::uint64_t>();
            const auto option = reader.take<std::uint32_t>();
            std::vector<std::byte> data(reader.take<std::uint32_t>());
            if (!receive(fd, data))
                return;
            if (!answers)
                continue;
            if (option == nbd::option::structured_reply) {
                reply(fd, option, nbd::option_reply::ack);
            } else if (option == nbd::option::set_meta_context) {
                if (tells_extents)
                    reply(fd, option, nbd::option_reply::meta_context,
                          NbdMessage().put(std::uint32_t{9}).put_text("base:allocation"));
                reply(fd, option, nbd::option_reply::ack);
            } else if (option == nbd::option::go) {
                reply(fd, option, nbd::option_reply::info,
                      NbdMessage()
                          .put(nbd::info::export_size)
                          .put(size)
                          .put(static_cast<std::uint16_t>(nbd::kHasFlags | nbd::kReadOnly | nbd::kCanMultiConnect)));
                if (tells_blocks)
                    reply(fd, option, nbd::option_reply::info,
                          NbdMessage().put(nbd::info::block_size).put(block).put(std::max(block, 4096U)).put(largest));
                reply(fd, option, nbd::option_reply::ack);
                return transmit(fd);
            } else {
                reply(fd, option, nbd::option_reply::unsupported);
            }
        }
    }

    void transmit(int fd) {
        std::array<std::byte, 28> header;
        while (receive(fd, header)) {
            NbdReader reader(header);
            reader.take<std::uint32_t>();
            reader.take<std::uint16_t>();
            const auto command = reader.take<std::uint16_t>();
            const auto cookie = reader.take<std::uint64_t>();
            const auto offset = reader.take<std::uint64_t>();
            const auto length = reader.take<std::uint32_t>();
            if (command == nbd::command::disconnect)
                return;
            {
                const std::lock_guard lock(mutex_);
                asked_.push_back({command, offset, length});
            }
            if (command == nbd::command::read)
                holds_reads.wait(true);
            NbdMessage chunk;
            chunk.put(nbd::kStructuredReplyMagic).put(nbd::chunk::done_flag);
            if (command == nbd::command::block_status) {
                chunk.put(nbd::chunk::block_status).put(cookie).put(static_cast<std::uint32_t>(4 + 8 * extents.size()));
                chunk.put(std::uint32_t{9});
                for (const Told& one : extents)
                    chunk.put(one.length).put(one.flags);
            } else if (read_error != 0) {
                chunk.put(nbd::chunk::error).put(cookie).put(std::uint32_t{6}).put(read_error).put(std::uint16_t{0});
            } else {
                std::string bytes(length, '\0');
                for (std::size_t i = 0; i < bytes.size(); ++i)
                    bytes[i] = static_cast<char>((offset + i) % 251);
                chunk.put(nbd::chunk::offset_data).put(cookie).put(length + 8).put(offset).put_text(bytes);
            }
            send(fd, chunk);
        }
    }

    UniqueFd listener_;
    std::thread acceptor_;
    mutable std::mutex mutex_;
    std::vector<int> sockets_;
    std::vector<std::thread> threads_;
    std::vector<Asked> asked_;
};

struct Site {
    TemporaryFolder folder{};
    OddServer server{folder.path() / "s"};
    OperationContext operation{};

    Site() { operation.threads = 1; }
    std::shared_ptr<const BlockDevice> open(NbdTimeouts timeouts = {}) {
        return open_nbd_disk(uri_of(folder.path() / "s"), operation, timeouts);
    }
    // "0+4096 4096+4096": the reads so far.
    std::string reads() const {
        std::string text;
        for (const Asked& one : server.asked())
            if (one.command == nbd::command::read)
                text += (text.empty() ? "" : " ") + std::to_string(one.offset) + "+" + std::to_string(one.length);
        return text;
    }
    std::string statuses() const {
        std::string text;
        for (const Asked& one : server.asked())
            if (one.command == nbd::command::block_status)
                text += (text.empty() ? "" : " ") + std::to_string(one.offset) + "+" + std::to_string(one.length);
        return text;
    }
};

void check_bytes(const BlockDevice& disk, std::uint64_t offset, std::size_t length) {
    const std::vector<std::byte> bytes = read_part(disk, offset, length);
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < length; ++i)
        wrong += bytes[i] != std::byte(static_cast<unsigned char>((offset + i) % 251)) ? 1U : 0U;
    CHECK(wrong == 0);
}

} // namespace

TEST_CASE("addresses of NBD servers are told from names of files") {
    for (const char* uri :
         {"nbd://host.test/x", "nbds://host.test", "nbd+unix:///?socket=/s", "nbds+unix:///x?socket=/s"})
        CHECK(is_nbd_uri(uri));
    for (const char* other : {"", "nbd", "nbd:", "nbd:/x", "nbd:host.test:10809", "NBD://x", "nbd+vsock://2",
                              "xnbd://x", "disk.nbd://", "http://nbd://"})
        CHECK_FALSE(is_nbd_uri(other));
    const Error error = error_of([] { open_nbd_disk("disk\n.qcow2", {}); });
    CHECK(error.kind() == ErrorKind::usage);
    CHECK(error.message() == "'disk\\x0a.qcow2' is no NBD URI");
    // What nobody vouches for is not spoken to.
    CHECK(error_of([] { open_nbd_disk("nbds+unix:///?socket=/nonexistent/s", {}); }).kind() == ErrorKind::usage);
}

TEST_CASE("a disk that our own server has is read as it is") {
    const TemporaryFolder folder;
    const auto disk = std::make_shared<MemoryDevice>(3 * MiB + 100);
    disk->fill(0, 1000, 7).fill(1 * MiB, 5000, 8);
    disk->declare(2 * MiB, 4096, ExtentKind::zero);
    disk->fill(3 * MiB, 50, 9);
    disk->fail_reads(3 * MiB, 1);
    NbdExport exported;
    exported.device = disk;
    NbdServer server(exported);
    server.listen(folder.path() / "s");
    OperationContext operation;
    operation.threads = 1;
    const auto remote = open_nbd_disk(uri_of(folder.path() / "s"), operation);
    REQUIRE(remote->size() == 3 * MiB + 100);
    CHECK(read_part(*remote, 0, 6000) == read_part(*disk, 0, 6000));
    CHECK(read_part(*remote, 1 * MiB - 3, 6000) == read_part(*disk, 1 * MiB - 3, 6000));
    CHECK(read_part(*remote, 3 * MiB + 99, 1) == read_part(*disk, 3 * MiB + 99, 1));
    remote->read_at(3 * MiB + 100, {});
    for (const auto& [offset, kind] : {std::pair{std::uint64_t{0}, ExtentKind::data},
                                       {999, ExtentKind::data},
                                       {1000, ExtentKind::unallocated},
                                       {1 * MiB + 4999, ExtentKind::data},
                                       {2 * MiB, ExtentKind::zero},
                                       {2 * MiB + 4095, ExtentKind::zero},
                                       {2 * MiB + 4096, ExtentKind::unallocated}}) {
        CAPTURE(offset);
        const Extent extent = remote->extent_at(offset);
        CHECK(extent.kind == kind);
        CHECK(extent.length == disk->extent_at(offset).length);
    }
    for (const auto& [offset, length] : {std::pair{3 * MiB + 100, 1}, {3 * MiB + 99, 2}, {~std::uint64_t{0}, 1}})
        CHECK(error_of([&, o = offset, l = length] { read_part(*remote, o, static_cast<std::size_t>(l)); }).kind() ==
              ErrorKind::corrupt);
    CHECK(error_of([&] { remote->extent_at(3 * MiB + 100); }).kind() == ErrorKind::corrupt);
    const Error error = error_of([&] { read_part(*remote, 3 * MiB, 1); });
    CHECK(error.kind() == ErrorKind::io);
    CHECK_THAT(error.message(), Catch::StartsWith("the NBD server " + uri_of(folder.path() / "s") + " cannot read: "));
    check_range(*remote, 0, 1); // and goes on
    CHECK(read_part(*remote, 0, 10) == read_part(*disk, 0, 10));
}

TEST_CASE("a server that wants whole blocks gets them") {
    Site site;
    site.server.block = 4096;
    site.server.size = 12'288;
    site.server.start();
    const auto disk = site.open();
    check_bytes(*disk, 5, 10);
    CHECK(site.reads() == "0+4096");
    check_bytes(*disk, 4090, 10);
    CHECK(site.reads() == "0+4096 0+8192");
    check_bytes(*disk, 4096, 4096);
    CHECK(site.reads() == "0+4096 0+8192 4096+4096");
    check_bytes(*disk, 12'287, 1);
    CHECK(site.reads() == "0+4096 0+8192 4096+4096 8192+4096");
    check_bytes(*disk, 0, 12'288);
}

TEST_CASE("the last piece of a disk that is no multiple of blocks is asked for alone, as long as it is") {
    Site site;
    site.server.block = 4096;
    site.server.size = 10'000;
    site.server.extents = {{1808, 0}};
    site.server.start();
    const auto disk = site.open();
    check_bytes(*disk, 0, 10'000);
    CHECK(site.reads() == "0+8192 8192+1808");
    check_bytes(*disk, 9'999, 1);
    CHECK(site.reads() == "0+8192 8192+1808 8192+1808");
    CHECK(disk->extent_at(9'000).length == 1'000);
}

TEST_CASE("a disk smaller than a block is read") {
    Site site;
    site.server.block = 4096;
    site.server.size = 100;
    site.server.start();
    check_bytes(*site.open(), 10, 90);
    CHECK(site.reads() == "0+100");
}

TEST_CASE("large reads are cut as the server has it, and at 2 MiB") {
    struct Case {
        std::uint32_t block;
        std::uint32_t largest;
        bool tells_blocks;
        const char* reads;
    };
    for (const Case& one : {Case{1, 1 << 25, true, "0+2097152 2097152+2097152 4194304+1000"},
                            Case{1, 0, false, "0+2097152 2097152+2097152 4194304+1000"},
                            Case{1, 3'000'000, true, "0+2097152 2097152+2097152 4194304+1000"},
                            Case{4096, 1'499'136, true, "0+1499136 1499136+1499136 2998272+1200128"}}) {
        Site site;
        site.server.size = 8 * MiB;
        site.server.block = one.block;
        site.server.largest = one.largest;
        site.server.tells_blocks = one.tells_blocks;
        site.server.start();
        check_bytes(*site.open(), 0, 4 * MiB + 1000);
        CHECK(site.reads() == one.reads);
    }
}

TEST_CASE("holes are what the server calls zeros, and are asked for once") {
    Site site;
    site.server.size = 3 * GiB;
    // Data, a hole of anything, zeros, a hole of zeros.
    site.server.extents = {{1000, 0}, {1000, 1}, {1000, 2}, {1000, 3}};
    site.server.start();
    const auto disk = site.open();
    CHECK(disk->extent_at(0).kind == ExtentKind::data);
    CHECK(site.statuses() == "0+1073741824");
    CHECK(disk->extent_at(1500).kind == ExtentKind::data);
    CHECK(disk->extent_at(1500).length == 500);
    CHECK(disk->extent_at(2000).kind == ExtentKind::zero);
    CHECK(disk->extent_at(2999).kind == ExtentKind::zero);
    CHECK(disk->extent_at(2999).length == 1);
    CHECK(disk->extent_at(3000).kind == ExtentKind::unallocated);
    CHECK(disk->extent_at(3999).length == 1);
    CHECK(site.statuses() == "0+1073741824");
    // Behind what was told it is asked again.
    CHECK(disk->extent_at(4000).kind == ExtentKind::data);
    CHECK(disk->extent_at(3 * GiB - 10).length == 10);
    CHECK(site.statuses() == "0+1073741824 4000+1073741824 3221225462+10");
}

TEST_CASE("a server that tells no holes, or nothing of what it was asked, has data everywhere") {
    Site site;
    site.server.tells_extents = false;
    site.server.start();
    const auto disk = site.open();
    CHECK(disk->extent_at(17).kind == ExtentKind::data);
    CHECK(disk->extent_at(17).length == 10'000 - 17);
    CHECK(site.statuses().empty());
    // With blocks of 4 KiB a question begins at one, and an answer reaches behind the end at most.
    Site blocks;
    blocks.server.block = 4096;
    blocks.server.size = 12'288;
    blocks.server.extents = {{4096, 3}, {4096, 0}, {1 << 20, 3}};
    blocks.server.start();
    const auto other = blocks.open();
    CHECK(other->extent_at(5000).kind == ExtentKind::unallocated); // the first run begins where it was asked
    CHECK(other->extent_at(5000).length == 8192 - 5000);
    CHECK(blocks.statuses() == "4096+8192");
    CHECK(other->extent_at(9000).length == 3288);
}

TEST_CASE("as many connections are made as there are threads, where the server allows several") {
    Site site;
    site.operation.threads = 4;
    site.server.start();
    const auto disk = site.open();
    CHECK(site.server.connections == 1); // the others when they are needed
    std::vector<std::thread> threads;
    std::atomic<unsigned> wrong{0};
    for (unsigned i = 0; i < 4; ++i)
        threads.emplace_back([&, i] {
            for (unsigned round = 0; round < 20; ++round)
                wrong += read_part(*disk, i, 100)[0] != std::byte(static_cast<unsigned char>(i)) ? 1U : 0U;
        });
    for (std::thread& thread : threads)
        thread.join();
    CHECK(wrong == 0);
    CHECK(site.server.connections <= 4);
}

TEST_CASE("a server that is not there, refuses or falls silent is an error that names it") {
    const TemporaryFolder folder;
    const std::string nowhere = uri_of(folder.path() / "nobody");
    const Error absent = error_of([&] { open_nbd_disk(nowhere, {}); });
    CHECK(absent.kind() == ErrorKind::io);
    CHECK_THAT(absent.message(), Catch::StartsWith("the NBD server " + nowhere + " cannot be reached: "));

    Site failing;
    failing.server.read_error = nbd::error_number::io;
    failing.server.start();
    const auto disk = failing.open();
    const Error error = error_of([&] { read_part(*disk, 0, 1); });
    CHECK(error.kind() == ErrorKind::io);
    CHECK_THAT(error.message(), Catch::Contains(" cannot read: ") && Catch::Contains("Input/output error"));

    Site silent;
    silent.server.answers = false;
    silent.server.start();
    const Error late = error_of([&] { silent.open({.connect = 1ms}); });
    CHECK(late.kind() == ErrorKind::io);
    CHECK_THAT(late.message(), Catch::EndsWith(" did not answer within 0 s"));

    Cancellation cancellation;
    cancellation.cancel();
    silent.operation.cancellation = &cancellation;
    CHECK(error_of([&] { silent.open(); }).kind() == ErrorKind::cancelled);
}

TEST_CASE("an answer that comes too late is written nowhere, and the disk can be read again") {
    Site site;
    site.server.holds_reads = true;
    site.server.start();
    const auto disk = site.open({.answer = 1ms});
    std::vector<std::byte> given_up(5000, std::byte{0xee});
    const Error late = error_of([&] { disk->read_at(0, given_up); });
    CHECK(late.kind() == ErrorKind::io);
    CHECK_THAT(late.message(), Catch::EndsWith(" did not answer within 0 s"));
    std::fill(given_up.begin(), given_up.end(), std::byte{0xee}); // libnbd makes it zeros beforehand
    site.server.release();
    const auto again = read_part(*disk, 100, 300);
    CHECK(again[0] == std::byte{100});
    CHECK(site.server.connections == 2);
    CHECK(given_up == std::vector<std::byte>(5000, std::byte{0xee}));
}
