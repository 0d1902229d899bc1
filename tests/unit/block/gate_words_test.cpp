// What all formats of disks share: their names, their limits, what counts as a refusal, and the loop over threads.
#include "formats/base/size.hpp"
#include "formats/block/block_device.hpp"
#include "formats/block/disk_format.hpp"
#include "formats/block/disk_policy.hpp"
#include "formats/block/parallel.hpp"
#include "formats/block/refusals.hpp"
#include "formats/block/sibling_file.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/unit/block/qcow2_fixture.hpp"

#include <sys/stat.h>

#include <atomic>
#include <fstream>
#include <set>

using namespace vm2oci;
using namespace vm2oci::test;

TEST_CASE("formats have a word for programs and a name for people") {
    struct Case {
        DiskFormat format;
        const char* word;
        const char* name;
        bool is_written;
    };
    for (const Case& one :
         {Case{DiskFormat::raw, "raw", "raw", true}, Case{DiskFormat::qcow2, "qcow2", "qcow2", true},
          Case{DiskFormat::vmdk, "vmdk", "VMDK", false}, Case{DiskFormat::vhd, "vhd", "VHD", false},
          Case{DiskFormat::vhdx, "vhdx", "VHDX", false}, Case{DiskFormat::vdi, "vdi", "VDI", false}}) {
        CHECK(to_string(one.format) == one.word);
        CHECK(display_name(one.format) == one.name);
        CHECK(is_written(one.format) == one.is_written);
    }
    CHECK(std::set<DiskFormat>(kDiskFormats.begin(), kDiskFormats.end()).size() == 6);
}

TEST_CASE("a disk may be as large as the limit, and the user may raise it") {
    DiskPolicy policy;
    CHECK_NOTHROW(check_virtual_size(2 * TiB, policy));
    const Error error = error_of([&] { check_virtual_size(2 * TiB + 1, policy); });
    CHECK(error.kind() == ErrorKind::limit);
    CHECK(error.hint().kind == HintKind::max_virtual_size);
    policy.max_virtual_size = 4 * TiB;
    CHECK_NOTHROW(check_virtual_size(4 * TiB, policy));
    policy.max_virtual_size = 512;
    CHECK(error_of([&] { check_virtual_size(1024, policy); }).message() ==
          "the disk has 1 KiB, and the limit is 512 B");
}

TEST_CASE("what a file promises has a proportion to what it stores") {
    // Up to 4 GiB anything goes; beyond it 256 times as much, whole multiples counted.
    CHECK_NOTHROW(check_amplification(4 * GiB, 0));
    CHECK_NOTHROW(check_amplification(4 * GiB + 1, 16 * MiB));
    CHECK_THROWS_AS(check_amplification(4 * GiB + 1, 16 * MiB - 1), Error);
    CHECK_NOTHROW(check_amplification(2 * TiB, 8 * GiB));
    const Error error = error_of([] { check_amplification(2 * TiB, 8 * GiB - 1); });
    CHECK(error.kind() == ErrorKind::limit);
    CHECK(error.message() == "the image promises 2 TiB of data in a file of 8.0 GiB, more than 256 times as much");
}

TEST_CASE("a refusal is the image's fault, and examining goes on behind it") {
    struct Case {
        ErrorKind kind;
        bool is_refusal;
    };
    for (const Case& one :
         {Case{ErrorKind::io, false}, Case{ErrorKind::corrupt, true}, Case{ErrorKind::unsupported, true},
          Case{ErrorKind::unsafe, true}, Case{ErrorKind::limit, true}, Case{ErrorKind::not_found, false},
          Case{ErrorKind::conflict, false}, Case{ErrorKind::usage, false}, Case{ErrorKind::external, false},
          Case{ErrorKind::cancelled, false}}) {
        CAPTURE(to_string(one.kind));
        CHECK(is_refusal(Error(one.kind, "x")) == one.is_refusal);
        Refusals examining(OnRefusal::go_on);
        Refusals opening(OnRefusal::stop);
        const auto step = [&] { fail(one.kind, "first"); };
        CHECK_THROWS_AS(opening.attempt(step), Error);
        if (!one.is_refusal) {
            CHECK_THROWS_AS(examining.attempt(step), Error);
            CHECK_NOTHROW(examining.rethrow_first());
            continue;
        }
        CHECK_FALSE(examining.attempt(step));
        CHECK_FALSE(examining.attempt([] { fail(ErrorKind::corrupt, "second"); }));
        CHECK(examining.attempt([] {}));
        CHECK(error_of([&] { examining.rethrow_first(); }).message() == "first");
    }
}

TEST_CASE("a loop over threads does each step once") {
    for (const unsigned threads : {1U, 2U, 5U})
        for (const std::uint64_t count : {0U, 1U, 2U, 100U}) {
            OperationContext context;
            context.threads = threads;
            std::vector<std::atomic<unsigned>> done(count);
            parallel_for(count, context, [&](std::uint64_t index) { ++done.at(index); });
            for (const auto& one : done)
                CHECK(one == 1);
        }
}

TEST_CASE("with one thread the steps come in order, in the caller's thread") {
    OperationContext context;
    context.threads = 1;
    std::vector<std::uint64_t> order;
    parallel_for(4, context, [&](std::uint64_t index) { order.push_back(index); });
    CHECK(order == std::vector<std::uint64_t>{0, 1, 2, 3});
    order.clear();
    const Error error = error_of([&] {
        parallel_for(4, context, [&](std::uint64_t index) {
            order.push_back(index);
            if (index == 1)
                fail(ErrorKind::io, "the second step");
        });
    });
    CHECK(error.message() == "the second step");
    CHECK(order == std::vector<std::uint64_t>{0, 1});
}

TEST_CASE("a loop that is cancelled ends before its next step") {
    Cancellation cancellation;
    OperationContext context;
    context.threads = 1;
    context.cancellation = &cancellation;
    unsigned done = 0;
    const Error error = error_of([&] {
        parallel_for(10, context, [&](std::uint64_t) {
            ++done;
            cancellation.cancel();
        });
    });
    CHECK(error.kind() == ErrorKind::cancelled);
    CHECK(done == 1);
}

TEST_CASE("what a file beside an image is decides whether it is opened") {
    const TemporaryFolder folder;
    const auto at = [&](const char* name) { return folder.path() / name; };
    std::ofstream(at("regular")) << "12345";
    std::filesystem::create_symlink("regular", at("link"));
    std::filesystem::create_directory(at("folder"));
    REQUIRE(::mkfifo(at("pipe").c_str(), 0600) == 0);
    const SiblingFile regular = open_sibling_file(at("regular"), {});
    REQUIRE(regular.file);
    CHECK(regular.file->size() == 5);
    struct Case {
        const char* name;
        const char* why;
    };
    for (const Case& one : {Case{"absent", "is not beside it"}, Case{"link", "is a link"},
                            Case{"folder", "is no regular file"}, Case{"pipe", "is no regular file"}}) {
        const SiblingFile file = open_sibling_file(at(one.name), {});
        CHECK_FALSE(file.file);
        CHECK(file.refusal == one.why);
    }
}

TEST_CASE("a range lies in a disk, or is refused without wrapping around") {
    const auto disk = std::make_shared<MemoryDevice>(100);
    CHECK_NOTHROW(check_range(*disk, 0, 100));
    CHECK_NOTHROW(check_range(*disk, 100, 0));
    constexpr std::uint64_t most = ~std::uint64_t{0};
    for (const auto& [offset, length] :
         std::vector<std::pair<std::uint64_t, std::uint64_t>>{{101, 0}, {100, 1}, {0, 101}, {50, most - 49}, {most, 1}})
        CHECK(error_of([&, o = offset, l = length] { check_range(*disk, o, l); }).kind() == ErrorKind::corrupt);
    CHECK_NOTHROW(check_not_cut(100, 100));
    CHECK(error_of([] { check_not_cut(100, 99); }).kind() == ErrorKind::usage);
}
