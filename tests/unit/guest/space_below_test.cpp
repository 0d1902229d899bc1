// Free space inside of arrays and LUKS: what is left out of the disk changes nothing of what is used.
#include "formats/block/joined.hpp"
#include "formats/luks/volume.hpp"
#include "formats/xfs/file_system.hpp"
#include "libconvert/package/sparsify.hpp"
#include "tests/support/luks_builder.hpp"
#include "tests/support/md_builder.hpp"
#include "tests/support/xfs_builder.hpp"

#include <catch2/catch.hpp>

#include <algorithm>

using namespace vm2oci;
using namespace vm2oci::test;

namespace {

constexpr std::uint64_t kFiles = 1024 * 1024; // of the builder

// Blocks of 1 KiB, free from the 82nd on: that is no multiple of larger sectors. Noise lies in all of them.
struct Files {
    std::vector<std::byte> bytes;
    std::vector<DataRange> free;

    Files() : bytes(kFiles) {
        XfsBuilder made;
        made.take(17);
        const std::vector<std::byte> root = made.short_folder(XfsBuilder::kRoot, std::vector<XfsBuilder::Name>{});
        made.add_inode(XfsBuilder::kRoot, 040755, 1, root, root.size(), 0, 2);
        std::fill_n(made.block(81), 300 * XfsBuilder::kBlock, std::byte{0x5a});
        made.finish();
        made.device()->read_at(0, bytes);
        free = XfsFileSystem(made.device()).free_space().value();
    }

    bool is_free(std::uint64_t offset) const {
        return std::any_of(free.begin(), free.end(), [&](const DataRange& range) {
            return offset >= range.offset && offset - range.offset < range.length;
        });
    }

    // How many blocks differ; all of them must be free ones.
    std::size_t changed(const BlockDevice& device) const {
        std::vector<std::byte> now(kFiles);
        device.read_at(0, now);
        std::size_t count = 0;
        for (std::uint64_t at = 0; at < kFiles; at += 512) {
            if (std::equal(now.begin() + static_cast<std::ptrdiff_t>(at),
                           now.begin() + static_cast<std::ptrdiff_t>(at + 512),
                           bytes.begin() + static_cast<std::ptrdiff_t>(at)))
                continue;
            CHECK(is_free(at));
            ++count;
        }
        return count;
    }
};

SparsifiedDisk sparsify_natively(const std::shared_ptr<const BlockDevice>& disk, GuestAccess access) {
    access.backend = GuestBackend::native;
    return sparsify(disk, access, {});
}

} // namespace

TEST_CASE("inside of LUKS whole encrypted sectors are left out, and no part of one") {
    const Files files;
    for (const std::uint64_t sector : {512u, 4096u}) {
        INFO(sector);
        const std::string json = luks_json("{\"0\":" + luks_slot_json(luks_pbkdf2_json(3)) + "}", sector);
        auto disk = std::make_shared<MemoryDevice>(kLuksData + kFiles);
        put_luks_2(*disk, 0, json, 3);
        disk->put(kLuksArea, luks_area(luks_kdf(3)));
        std::vector<std::byte> encrypted = files.bytes;
        luks_encrypt(encrypted, luks_volume_key(), sector, 0);
        disk->put(kLuksData, encrypted);

        GuestAccess access;
        const SparsifiedDisk closed = sparsify_natively(disk, access);
        CHECK(closed.unused == 0);
        REQUIRE(closed.remarks.size() == 1);
        CHECK(closed.remarks.front().find("left whole") != std::string::npos);

        access.keys = {{"all", std::string(kLuksPassphrase)}};
        const SparsifiedDisk sparse = sparsify_natively(disk, access);
        CHECK(sparse.unused > 300'000);
        CHECK(sparse.unused % sector == 0);
        CHECK(sparse.remarks.empty());
        constexpr std::string_view kKeys[] = {kLuksPassphrase};
        CHECK(files.changed(*open_luks(sparse.device, kKeys).device) > 500);
    }
}

TEST_CASE("inside of a mirror the same is left out of each member") {
    const Files files;
    std::vector<std::shared_ptr<const BlockDevice>> legs;
    GuestAccess access;
    for (std::uint32_t number = 0; number < 2; ++number) {
        MdSuper super;
        super.version = "1.1";
        super.number = number;
        super.offset = 128 * 1024;
        super.used = super.size = kFiles;
        auto leg = std::make_shared<MemoryDevice>(kFiles + 256 * 1024);
        put_md_super(*leg, super);
        leg->put(super.offset, files.bytes);
        access.disk_sizes.push_back(leg->size());
        legs.push_back(leg);
    }
    const SparsifiedDisk sparse = sparsify_natively(std::make_shared<JoinedDevice>(legs), access);
    CHECK(sparse.remarks.empty());
    std::uint64_t free = 0;
    for (const DataRange& range : files.free)
        free += range.length;
    CHECK(sparse.unused == 2 * free);
    for (std::uint64_t leg = 0; leg < 2; ++leg)
        for (std::uint64_t at = 0; at < kFiles; at += 512) {
            std::array<std::byte, 512> now;
            sparse.device->read_at(leg * access.disk_sizes[0] + 128 * 1024 + at, now);
            const bool same = std::equal(now.begin(), now.end(), files.bytes.begin() + static_cast<std::ptrdiff_t>(at));
            if (!same)
                CHECK((files.is_free(at) && is_zero(now)));
        }
}

TEST_CASE("in stripes nothing is left out, and that is said") {
    const Files files;
    std::vector<std::shared_ptr<const BlockDevice>> disks;
    GuestAccess access;
    for (std::uint32_t number = 0; number < 2; ++number) {
        MdSuper super;
        super.level = 0;
        super.chunk = 4096;
        super.number = number;
        super.size = kFiles / 2;
        auto disk = std::make_shared<MemoryDevice>(kFiles);
        put_md_super(*disk, super);
        for (std::uint64_t stripe = 0; stripe < kFiles / 8192; ++stripe)
            disk->put(super.offset + stripe * 4096, std::span(files.bytes).subspan((stripe * 2 + number) * 4096, 4096));
        access.disk_sizes.push_back(disk->size());
        disks.push_back(disk);
    }
    const SparsifiedDisk whole = sparsify_natively(std::make_shared<JoinedDevice>(disks), access);
    CHECK(whole.unused == 0);
    REQUIRE(whole.remarks.size() == 1);
    CHECK(whole.remarks.front().find("array root (xfs) is left whole") != std::string::npos);
}
