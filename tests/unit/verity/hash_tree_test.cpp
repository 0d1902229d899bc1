// dm-verity's trees, against those that veritysetup 2.6.1 made of the same data, salt and UUID.
#include "formats/base/error.hpp"
#include "formats/base/size.hpp"
#include "formats/block/empty.hpp"
#include "formats/verity/hash_tree.hpp"
#include "tests/support/memory_device.hpp"

#include <catch2/catch.hpp>

#include <memory>

using namespace vm2oci;

namespace {

constexpr VerityUuid kUuid = {
    {{}, {}, {}, {}, {}, {}, std::byte{0x80}, {}, std::byte{0x80}, {}, {}, {}, {}, {}, {}, std::byte{1}}};

VeritySalt seven() {
    VeritySalt salt{};
    salt.back() = std::byte{7};
    return salt;
}

// Every third block is empty, the others hold their number modulo 251.
test::MemoryDevice& fill(test::MemoryDevice& device) {
    for (std::uint64_t block = 0; block < device.size() / kVerityBlock; ++block)
        if (block % 3 != 0)
            device.put(block * kVerityBlock, std::vector<std::byte>(kVerityBlock, static_cast<std::byte>(block % 251)));
    return device;
}

struct Made {
    VerityRoot root;
    std::vector<std::byte> file; // superblock and tree
};

Made make(const BlockDevice& data) {
    const std::uint64_t size = kVerityBlock + verity_tree_size(data.size() / kVerityBlock);
    OverlayDevice target(std::make_shared<EmptyDevice>(size));
    Made made;
    made.root = write_verity_tree(data, seven(), target, kVerityBlock, {});
    target.write_at(0, verity_superblock(made.root, kUuid));
    made.file.resize(static_cast<std::size_t>(size));
    target.read_at(0, made.file);
    return made;
}

} // namespace

TEST_CASE("A tree has the bytes that veritysetup gives it, of one block and of as many as need three levels") {
    struct Row {
        std::uint64_t blocks;
        std::size_t file;
        const char* root;
        const char* sum; // of the whole file
    };
    const Row row = GENERATE(Row{1, 4096, "e847e21a5fd534d3f17de7d5e281ff02a41c04911a4ec54514ee09668b111708",
                                 "a21bdb4ca3790365edb6eede6f8abae818f855abbf966021889171cbcc2ce2df"},
                             Row{128, 8192, "82559fd85a9d24cf098abc77bff79084c182e4c2fa1eb007a0c70b589684c0f8",
                                 "0026eab2fb5dbc23e529f73b5e3e8421d87e8b19ea2e4b6cad2fc103cce6fb02"},
                             Row{129, 16384, "7ebbdc1b7ec50ffc4ee1db90331075cb29b8ae51599f91f89571ecc2b4ede52c",
                                 "799faf3a26b3e66f88ea80d457f495b612b886cb2ab954710d3a33635ce860f9"},
                             Row{16385, 544768, "33e2eb956eb4576f7e3752a6fec9604d28f03de4217fa1b9fac04a2e47e50573",
                                 "ccbaafe768eba78c552e0504d0c1e7022e1fd9ae6797c59a2fea767bb76898a1"});
    CAPTURE(row.blocks);
    test::MemoryDevice data(row.blocks * kVerityBlock);
    const Made made = make(fill(data));
    CHECK(made.root.data_blocks == row.blocks);
    CHECK(to_hex(made.root.hash) == row.root);
    CHECK(made.file.size() == row.file);
    CHECK(to_hex(sha256(made.file)) == row.sum);
}

TEST_CASE("One byte makes another root, wherever it lies, and holes are hashed as the zeros that they are") {
    test::MemoryDevice data(300 * kVerityBlock);
    const Made made = make(fill(data));
    for (const std::uint64_t at : {std::uint64_t{0}, 150 * kVerityBlock + 17, 300 * kVerityBlock - 1}) {
        test::MemoryDevice other(data.size());
        fill(other).put(at, "\xfe");
        CHECK(make(other).root.hash != made.root.hash);
    }
    test::MemoryDevice written(data.size());
    for (std::uint64_t block = 0; block < 300; block += 3)
        written.put(block * kVerityBlock, std::vector<std::byte>(kVerityBlock));
    CHECK(make(fill(written)).root.hash == made.root.hash);
}

TEST_CASE("Extents that end within a block change nothing") {
    test::MemoryDevice whole(8 * kVerityBlock);
    whole.put(0, std::vector<std::byte>(5 * kVerityBlock + 512, std::byte{0x11}));
    test::MemoryDevice declared(whole.size());
    for (std::uint64_t at = 0; at < 5 * kVerityBlock + 512; at += 1536)
        declared.put(
            at, std::vector<std::byte>(std::min<std::uint64_t>(1536, 5 * kVerityBlock + 512 - at), std::byte{0x11}));
    CHECK(make(whole).root.hash == make(declared).root.hash);
}

TEST_CASE("What has no whole blocks has no tree") {
    OverlayDevice target(std::make_shared<EmptyDevice>(1 * MiB));
    CHECK_THROWS_AS(write_verity_tree(test::MemoryDevice(6000), seven(), target, 0, {}), Error);
    CHECK_THROWS_AS(write_verity_tree(test::MemoryDevice(0), seven(), target, 0, {}), Error);
    CHECK_THROWS_AS(write_verity_tree(test::MemoryDevice(8192), seven(), target, 512, {}), Error);
}

TEST_CASE("The kernel's table says sectors, blocks, where the tree begins and both hashes") {
    VerityRoot root;
    root.salt = seven();
    root.data_blocks = 300;
    root.tree_block = 301;
    CHECK(verity_table(root, "/dev/vda", "/dev/vdb") == "0 2400 verity 1 /dev/vda /dev/vdb 4096 4096 300 301 sha256 " +
                                                            std::string(64, '0') + " " + std::string(63, '0') +
                                                            "7 1 panic_on_corruption");
}
