// A guest whose root is xfs, as everything above the reader sees it.
#include "formats/base/error.hpp"
#include "formats/block/masked.hpp"
#include "libconvert/guest/open_guest.hpp"
#include "libconvert/package/sparsify.hpp"
#include "tests/support/memory_device.hpp"
#include "tests/support/xfs_builder.hpp"

#include <catch2/catch.hpp>

#include <array>

using namespace vm2oci;
using namespace vm2oci::test;

namespace {

constexpr std::uint64_t kEtc = 9;
constexpr std::uint64_t kFstab = 10;
constexpr std::uint64_t kEmpty = 11;

// The file system fills the whole disk. Blocks from 80 on are free, and noise lies in them.
XfsBuilder make_root() {
    using Name = XfsBuilder::Name;
    XfsBuilder made;
    made.take(16);
    const std::string fstab = "UUID=d5d5d5d5-d5d5-d5d5-d5d5-d5d5d5d5d5d5 / xfs defaults 0 0\n";
    std::copy_n(reinterpret_cast<const std::byte*>(fstab.data()), fstab.size(), made.block(64));
    made.add_inode(kFstab, 0100644, 2, XfsBuilder::extent_list(std::array{XfsBuilder::Extent{0, 64, 1}}), fstab.size(),
                   1);
    made.add_inode(kEmpty, 0100644, 2, {}, 0, 0, 3);
    const std::vector<Name> in_etc{{"fstab", kFstab}, {"group", kEmpty}, {"os-release", kEmpty}, {"passwd", kEmpty}};
    const std::vector<std::byte> etc = made.short_folder(XfsBuilder::kRoot, in_etc);
    made.add_inode(kEtc, 040755, 1, etc, etc.size(), 0, 2);
    const std::vector<Name> in_root{{"etc", kEtc, 2}};
    const std::vector<std::byte> root = made.short_folder(XfsBuilder::kRoot, in_root);
    made.add_inode(XfsBuilder::kRoot, 040755, 1, root, root.size(), 0, 3);
    std::fill_n(made.block(90), 20 * XfsBuilder::kBlock, std::byte{0x5a});
    return made;
}

OpenedGuest open_native(const XfsBuilder& made) {
    return open_guest(made.device(), GuestBackend::native, {});
}

bool mentions(const std::vector<std::string>& remarks, const std::string& word) {
    return std::any_of(remarks.begin(), remarks.end(),
                       [&](const std::string& remark) { return remark.find(word) != std::string::npos; });
}

} // namespace

TEST_CASE("a root on xfs is read in this process") {
    XfsBuilder made = make_root();
    made.finish();
    const OpenedGuest opened = open_native(made);
    REQUIRE(opened.guest);
    CHECK(opened.backend == "native");
    CHECK(opened.missing.empty());
    CHECK(opened.guest->mounts().front().type == "xfs");
    CHECK(opened.guest->list("/etc") == std::vector<std::string>{"fstab", "group", "os-release", "passwd"});
    CHECK(opened.guest->read_file("/etc/fstab", 1000)->ends_with("/ xfs defaults 0 0\n"));
}

TEST_CASE("an xfs that is not read says why") {
    for (const auto& [what, at, value] :
         std::vector<std::tuple<const char*, std::size_t, std::uint32_t>>{{"needsrepair", 216, 0x11},
                                                                          {"metadir", 216, 0x101},
                                                                          {"not known", 216, 0x10001},
                                                                          {"another disk", 52, 0}}) {
        XfsBuilder made = make_root();
        made.finish();
        made.put32(at, value);
        made.seal();
        const OpenedGuest opened = open_native(made);
        INFO(what);
        CHECK_FALSE(opened.guest);
        CHECK(mentions(opened.remarks, what));
    }
}

TEST_CASE("--sparsify leaves out what xfs calls free, or keeps all of it") {
    XfsBuilder made = make_root();
    made.finish();
    const auto noise_of = [](const BlockDevice& device) {
        std::array<std::byte, 16> bytes;
        device.read_at(95 * XfsBuilder::kBlock, bytes);
        return std::to_integer<int>(bytes[3]);
    };
    const SparsifiedDisk sparse = sparsify(made.device(), GuestBackend::native, {});
    CHECK(sparse.unused == (512 - 80 + 512 - 4) * XfsBuilder::kBlock);
    CHECK(noise_of(*sparse.device) == 0);
    CHECK(sparse.remarks.empty());
    SECTION("a list that contradicts its header") {
        made.put32(512 + 52, 100);
        made.seal();
        const SparsifiedDisk whole = sparsify(made.device(), GuestBackend::native, {});
        CHECK(whole.unused == 0);
        CHECK(noise_of(*whole.device) == 0x5a);
        CHECK(mentions(whole.remarks, "left whole: allocation group 0 contradicts itself"));
    }
    SECTION("a log that leaves something to free") {
        made.put_log({{{1, 1, {}},
                       {1, 0, XfsBytes().le<std::uint32_t>(0x5452414e).zeros(12).bytes},
                       {1, 0, XfsBytes().le<std::uint32_t>(0x11236).le<std::uint32_t>(0).le<std::uint64_t>(7).bytes},
                       {1, 2, {}}}});
        const SparsifiedDisk whole = sparsify(made.device(), GuestBackend::native, {});
        CHECK(noise_of(*whole.device) == 0x5a);
        CHECK(mentions(whole.remarks, "left whole"));
    }
}
