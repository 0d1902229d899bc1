// Arrays from their members: which count, what is read of them, and what is told.
#include "formats/block/overlay.hpp"
#include "formats/md/array.hpp"
#include "tests/support/md_builder.hpp"

#include <catch2/catch.hpp>

#include <functional>

using namespace vm2oci;
using test::make_md_member;
using test::MdSuper;

namespace {

using Disk = std::shared_ptr<test::MemoryDevice>;

MdFindings assemble(const std::vector<Disk>& disks) {
    std::vector<MdMember> members;
    for (std::size_t i = 0; i < disks.size(); ++i)
        members.push_back({"disk " + std::to_string(i + 1), disks[i]});
    return assemble_arrays(members);
}

unsigned byte_at(const BlockDevice& device, std::uint64_t offset) {
    std::array<std::byte, 1> byte;
    device.read_at(offset, byte);
    return std::to_integer<unsigned>(byte[0]);
}

MdSuper leg(std::uint32_t number, std::uint64_t events = 10) {
    MdSuper super;
    super.number = number;
    super.events = events;
    return super;
}

std::string all_remarks(const MdFindings& findings) {
    std::string text;
    for (const std::string& remark : findings.remarks)
        text += remark + "\n";
    return text;
}

constexpr std::uint16_t kFailed = 0xfffe;

} // namespace

TEST_CASE("a mirror of each version is read from its first sound member") {
    for (const std::string version : {"0.90", "1.0", "1.1", "1.2"}) {
        INFO(version);
        MdSuper first = leg(0);
        first.version = version;
        first.offset = version == "1.0" ? 0 : first.offset;
        MdSuper second = first;
        second.number = 1;
        const MdFindings both = assemble({make_md_member(second, 2), make_md_member(first, 1)});
        REQUIRE(both.arrays.size() == 1);
        CHECK(both.remarks.empty());
        const MdArray& array = both.arrays.front();
        CHECK(array.device->size() == first.used);
        CHECK(byte_at(*array.device, first.used - 1) == 1);
        CHECK(array.parts.size() == 2);
        CHECK(array.members == std::vector<std::size_t>{0, 1});
        CHECK(array.uuid == "53535353:53535353:53535353:53535353");
        CHECK(array.name == (version == "0.90" ? "" : "host:root"));
        CHECK(array.minor.has_value() == (version == "0.90"));
        const MdFindings alone = assemble({make_md_member(second, 2)});
        REQUIRE(alone.arrays.size() == 1);
        CHECK(byte_at(*alone.arrays.front().device, 0) == 2);
        CHECK(alone.remarks.size() == 1);
    }
}

TEST_CASE("a member that is behind is not read, and one that misses the last event is") {
    for (const std::uint64_t behind : {0u, 1u, 2u, 9u}) {
        INFO(behind);
        const MdFindings found = assemble({make_md_member(leg(0, 10 - behind), 1), make_md_member(leg(1, 10), 2)});
        REQUIRE(found.arrays.size() == 1);
        CHECK(byte_at(*found.arrays.front().device, 0) == (behind > 1 ? 2 : 1));
        CHECK((all_remarks(found).find("out of date") != std::string::npos) == (behind > 1));
        CHECK(found.arrays.front().parts.size() == (behind > 1 ? 1 : 2));
    }
}

TEST_CASE("the newest member says what the others are") {
    SECTION("one has failed") {
        MdSuper newest = leg(1, 11);
        newest.roles = {kFailed, 1};
        const MdFindings found = assemble({make_md_member(leg(0, 10), 1), make_md_member(newest, 2)});
        REQUIRE(found.arrays.size() == 1);
        CHECK(byte_at(*found.arrays.front().device, 0) == 2);
        CHECK(all_remarks(found).find("has failed") != std::string::npos);
    }
    SECTION("one is a spare, or unknown to it") {
        for (const std::uint32_t number : {2u, 7u}) {
            MdSuper newest = leg(1);
            newest.roles = {0, 1, 0xffff};
            MdSuper spare = newest;
            spare.number = number;
            const MdFindings found = assemble({make_md_member(spare, 9), make_md_member(newest, 2)});
            REQUIRE(found.arrays.size() == 1);
            CHECK(byte_at(*found.arrays.front().device, 0) == 2);
        }
    }
    SECTION("one is being filled, or has bad blocks") {
        MdSuper filled = leg(0);
        filled.features = 2;
        MdSuper bad = leg(0);
        bad.features = 8;
        bad.bad_block = 77 << 10;
        for (const MdSuper& flawed : {filled, bad}) {
            const MdFindings found = assemble({make_md_member(flawed, 1), make_md_member(leg(1), 2)});
            REQUIRE(found.arrays.size() == 1);
            CHECK(byte_at(*found.arrays.front().device, 0) == 2);
            const MdFindings alone = assemble({make_md_member(flawed, 1)});
            CHECK(alone.arrays.empty());
            CHECK(alone.remarks.size() == 1);
        }
        MdSuper sound = leg(0);
        sound.features = 8; // a list without an entry
        CHECK(byte_at(*assemble({make_md_member(sound, 1)}).arrays.at(0).device, 0) == 1);
    }
    SECTION("two say that they are the same") {
        const MdFindings found = assemble({make_md_member(leg(0, 9), 1), make_md_member(leg(0, 10), 2)});
        REQUIRE(found.arrays.size() == 1);
        CHECK(byte_at(*found.arrays.front().device, 0) == 2);
        CHECK(all_remarks(found).find("is what") != std::string::npos);
    }
}

TEST_CASE("members in a row are one disk when all are there") {
    for (const std::string version : {"0.90", "1.1"}) {
        INFO(version);
        MdSuper first = leg(0);
        first.version = version;
        first.level = -1;
        first.chunk = 64 * 1024;
        first.size = 256 * 1024 + 512; // rounded down to chunks
        MdSuper second = first;
        second.number = 1;
        const MdFindings found = assemble({make_md_member(second, 2), make_md_member(first, 1)});
        REQUIRE(found.arrays.size() == 1);
        const BlockDevice& device = *found.arrays.front().device;
        const std::uint64_t each = version == "0.90" ? test::md_super_offset(version) : 256 * 1024;
        CHECK(device.size() == 2 * each);
        CHECK(byte_at(device, 0) == 1);
        CHECK(byte_at(device, each) == 2);
        const MdFindings alone = assemble({make_md_member(second, 2)});
        CHECK(alone.arrays.empty());
        CHECK(all_remarks(alone).find("1 of its 2 members are here") != std::string::npos);
    }
}

TEST_CASE("stripes take turns when all members are there, and mirrors of them when one of each is") {
    MdSuper super = leg(0);
    super.level = 0;
    super.chunk = 4096;
    std::vector<Disk> disks;
    for (std::uint32_t number = 0; number < 4; ++number) {
        super.number = number;
        super.members = 4;
        super.roles = {0, 1, 2, 3};
        disks.push_back(make_md_member(super, static_cast<std::uint8_t>(number + 1)));
    }
    const MdFindings striped = assemble({disks[2], disks[0], disks[3], disks[1]});
    REQUIRE(striped.arrays.size() == 1);
    const BlockDevice& device = *striped.arrays.front().device;
    CHECK(device.size() == 4 * super.size);
    for (const auto& [offset, value] : {std::pair{0u, 1u}, {4095u, 1u}, {4096u, 2u}, {12288u, 4u}, {16384u, 1u}})
        CHECK(byte_at(device, offset) == value);
    CHECK(striped.arrays.front().parts.empty());
    CHECK(all_remarks(assemble({disks[0], disks[1], disks[3]})).find("3 of its 4 members") != std::string::npos);

    super.level = 10;
    super.layout = 0x102;
    disks.clear();
    for (super.number = 0; super.number < 4; ++super.number)
        disks.push_back(make_md_member(super, static_cast<std::uint8_t>(super.number / 2 + 1)));
    for (const std::vector<Disk>& some : {disks, {disks[0], disks[3]}, {disks[2], disks[1]}}) {
        const MdFindings mirrored = assemble(some);
        REQUIRE(mirrored.arrays.size() == 1);
        CHECK(mirrored.arrays.front().device->size() == 2 * super.used);
        CHECK(byte_at(*mirrored.arrays.front().device, 0) == 1);
        CHECK(byte_at(*mirrored.arrays.front().device, 5000) == 2);
        CHECK(byte_at(*mirrored.arrays.front().device, 9000) == 1);
    }
    CHECK(assemble({disks[0], disks[1]}).arrays.empty());
}

TEST_CASE("what is written to an array is what its members show, and only where all are there") {
    struct Form {
        std::int32_t level;
        std::uint32_t layout;
        std::uint32_t members;
    };
    for (const Form& form : {Form{1, 0, 2}, Form{1, 0, 3}, Form{-1, 0, 2}, Form{0, 0, 3}, Form{10, 0x102, 4}}) {
        INFO(form.level);
        std::vector<std::shared_ptr<OverlayDevice>> disks;
        std::vector<MdMember> members;
        for (std::uint32_t number = 0; number < form.members; ++number) {
            MdSuper super = leg(number);
            super.level = form.level;
            super.layout = form.layout;
            super.members = form.members;
            super.chunk = form.level == 1 ? 0 : 64 * 1024;
            super.roles.clear();
            for (std::uint16_t role = 0; role < form.members; ++role)
                super.roles.push_back(role);
            disks.push_back(std::make_shared<OverlayDevice>(make_md_member(super, 1)));
            members.push_back({"disk", disks.back()});
        }
        const MdFindings findings = assemble_arrays(members);
        REQUIRE(findings.arrays.size() == 1);
        const MdArray& array = findings.arrays.front();
        REQUIRE(array.route);
        const auto changes = array.route({disks.begin(), disks.end()});
        std::vector<std::byte> wanted(static_cast<std::size_t>(array.device->size()));
        array.device->read_at(0, wanted);
        for (std::size_t at = 100; at + 40000 < wanted.size(); at += 50000) {
            for (std::size_t i = at; i < at + 40000; ++i)
                wanted[i] = static_cast<std::byte>(i * 7 + i / 256);
            changes->write_at(at, std::span(wanted).subspan(at, 40000));
        }
        // Without any one member that the form can miss.
        for (std::size_t missing = 0; missing <= members.size(); ++missing) {
            std::vector<MdMember> rest = members;
            if (missing < members.size())
                rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(missing));
            const MdFindings again = assemble_arrays(rest);
            if (missing < members.size() && (form.level == -1 || form.level == 0)) {
                CHECK(again.arrays.empty());
                continue;
            }
            REQUIRE(again.arrays.size() == 1);
            std::vector<std::byte> read(wanted.size());
            again.arrays.front().device->read_at(0, read);
            CHECK(read == wanted);
            CHECK((again.arrays.front().route != nullptr) == (missing == members.size()));
        }
        // Two that say they are the same: which of them a kernel takes is not known.
        std::vector<MdMember> twins = members;
        twins.push_back(members.front());
        for (const MdArray& each : assemble_arrays(twins).arrays)
            CHECK_FALSE(each.route);
    }
}

TEST_CASE("stripes that are not simple are told") {
    MdSuper super = leg(0);
    super.members = 1;
    super.level = 0;
    CHECK(all_remarks(assemble({make_md_member(super, 1)})).find("no size") != std::string::npos);
    super.chunk = 512 * 1024;
    CHECK(all_remarks(assemble({make_md_member(super, 1)})).find("larger than its members") != std::string::npos);
    super.chunk = 4096;
    super.members = 2;
    MdSuper smaller = super;
    smaller.number = 1;
    smaller.size -= 4096;
    CHECK(all_remarks(assemble({make_md_member(super, 1), make_md_member(smaller, 1)})).find("different sizes") !=
          std::string::npos);
    super.level = 10;
    for (const std::uint32_t layout : {0u, 0x101u, 0x201u, 0x10201u, 0x103u}) {
        INFO(layout);
        super.layout = layout;
        const MdFindings found = assemble({make_md_member(super, 1)});
        CHECK(found.arrays.empty());
        CHECK(found.remarks.size() == 1);
    }
}

TEST_CASE("other levels are named, with what can be done") {
    for (const auto& [level, name] :
         std::vector<std::pair<int, std::string>>{{7, "RAID 7"}, {10, "RAID 10"}, {-4, "multipath"}}) {
        MdSuper super = leg(0);
        super.level = level;
        const MdFindings found = assemble({make_md_member(super, 1)});
        CHECK(found.arrays.empty());
        CHECK(all_remarks(found).find(name + " is not read here") != std::string::npos);
        CHECK(all_remarks(found).find("libguestfs") != std::string::npos);
    }
}

TEST_CASE("arrays are told apart, in the order of their members") {
    MdSuper other = leg(0);
    other.set = 'T';
    other.name = "host:other";
    const MdFindings found = assemble({make_md_member(other, 7), make_md_member(leg(0), 1), make_md_member(leg(1), 1)});
    REQUIRE(found.arrays.size() == 2);
    CHECK(found.arrays[0].name == "host:other");
    CHECK(found.arrays[1].members == std::vector<std::size_t>{1, 2});
}

TEST_CASE("a superblock at the end is the device's own, or nobody's") {
    for (const std::string version : {"0.90", "1.0", "1.1", "1.2"}) {
        MdSuper super = leg(0);
        super.version = version;
        const Disk disk = make_md_member(super, 1);
        const bool at_end = version == "0.90" || version == "1.0";
        CHECK(find_end_superblock(*disk) == (at_end ? std::optional(test::md_super_offset(version)) : std::nullopt));
    }
    CHECK_FALSE(find_end_superblock(test::MemoryDevice(1000)));
    CHECK_FALSE(find_end_superblock(test::MemoryDevice(test::kMdMemberSize)));
}

TEST_CASE("what is damaged or hostile is a remark, nothing worse") {
    using Change = std::function<void(MdSuper&)>;
    const std::vector<std::pair<const char*, Change>> rows = {
        {"no size", [](MdSuper& s) { s.used = 0; }},
        {"larger than its member", [](MdSuper& s) { s.used = s.size + 512; }},
        {"a size that overflows", [](MdSuper& s) { s.used = ~std::uint64_t{0} - 511; }},
        {"data behind the device", [](MdSuper& s) { s.offset = 4 * test::kMdMemberSize; }},
        {"data larger than the device", [](MdSuper& s) { s.size = ~std::uint64_t{0} - 511; }},
        {"no members", [](MdSuper& s) { s.members = 0; }},
        {"no roles", [](MdSuper& s) { s.roles.clear(); }},
        {"a place beyond the members",
         [](MdSuper& s) {
             s.roles = {9, 9};
         }},
        {"itself failed",
         [](MdSuper& s) {
             s.roles = {kFailed, 1};
         }},
        {"itself a journal",
         [](MdSuper& s) {
             s.roles = {0xfffd, 1};
         }},
        {"a number beyond its table", [](MdSuper& s) { s.number = 4'000'000'000; }},
        {"features of the future", [](MdSuper& s) { s.features = 1U << 20U; }},
        {"being reshaped", [](MdSuper& s) { s.features = 4; }},
        {"in a row of four billion",
         [](MdSuper& s) {
             s.level = -1;
             s.members = 4'000'000'000;
         }},
        {"in a row without room",
         [](MdSuper& s) {
             s.level = -1;
             s.members = 1;
             s.size = 0;
         }},
        {"chunks larger than anything",
         [](MdSuper& s) {
             s.level = -1;
             s.members = 1;
             s.chunk = 0xffffffffULL * 512;
         }},
        {"a level of nothing", [](MdSuper& s) { s.level = 12345; }},
    };
    for (const auto& [name, change] : rows) {
        INFO(name);
        MdSuper super = leg(0);
        change(super);
        auto disk = std::make_shared<test::MemoryDevice>(test::kMdMemberSize);
        test::put_md_super(*disk, super);
        const MdFindings found = assemble({disk});
        CHECK(found.arrays.empty());
        CHECK(found.remarks.size() == 1);
    }
}

TEST_CASE("bytes that are no superblock are a remark") {
    for (const std::string version : {"0.90", "1.0", "1.1", "1.2"}) {
        MdSuper super = leg(0);
        super.version = version;
        super.offset = version == "1.0" ? 0 : super.offset;
        const std::uint64_t at = test::md_super_offset(version);
        for (const std::uint64_t byte : {80u, 150u, 156u, 218u}) {
            const Disk disk = make_md_member(super, 1);
            disk->fill(at + byte, 1, 0xa5);
            CHECK(assemble({disk}).arrays.empty());
            CHECK(assemble({disk}).remarks.size() == 1);
        }
        const Disk gone = make_md_member(super, 1);
        gone->fill(at, 1, 0);
        CHECK(assemble({gone}).remarks.size() == 1);
    }
    // More devices than a superblock has room for; one that stands elsewhere.
    const Disk disk = make_md_member(leg(0), 1);
    test::put_le<std::uint32_t>(*disk, 4096 + 220, 4'000'000'000);
    CHECK(assemble({disk}).remarks.size() == 1);
    const Disk moved = make_md_member(leg(0), 1);
    test::put_le<std::uint64_t>(*moved, 4096 + 144, 16);
    test::seal_md_super(*moved, "1.2", 4096);
    CHECK(assemble({moved}).remarks.size() == 1);
    CHECK(assemble({std::make_shared<test::MemoryDevice>(100)}).remarks.size() == 1);
    MdSuper reshaped = leg(0);
    reshaped.version = "0.90";
    reshaped.is_reshaping = true;
    CHECK(all_remarks(assemble({make_md_member(reshaped, 1)})).find("form is being changed") != std::string::npos);
}

TEST_CASE("an array whose member cannot be read is an error, not damage") {
    const Disk disk = make_md_member(leg(0), 1);
    disk->fail_reads(4096, 512);
    CHECK_THROWS_AS(assemble({disk}), Error);
}
