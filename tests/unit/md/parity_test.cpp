// RAID 4, 5 and 6: where blocks lie, what missing members held, and parity that fits what was written.
#include "formats/base/error.hpp"
#include "formats/block/overlay.hpp"
#include "formats/md/array.hpp"
#include "formats/md/parity.hpp"
#include "tests/support/md_builder.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;
using md::ParityForm;
using test::make_md_member;
using test::MdSuper;

namespace {

struct Form {
    std::int32_t level;
    std::uint32_t layout;
    std::uint32_t members;
};

const std::vector<Form> kForms = {{4, 0, 3}, {5, 0, 3}, {5, 1, 4}, {5, 2, 3}, {5, 2, 5},
                                  {5, 3, 4}, {5, 4, 3}, {5, 5, 3}, {6, 0, 5}, {6, 1, 5},
                                  {6, 2, 4}, {6, 2, 7}, {6, 3, 5}, {6, 4, 5}, {6, 5, 5}};

MdSuper member_of(const Form& form, std::uint32_t number) {
    MdSuper super;
    super.level = form.level;
    super.layout = form.layout;
    super.members = form.members;
    super.chunk = 16 * 1024;
    super.number = number;
    super.roles.clear();
    for (std::uint16_t role = 0; role < form.members; ++role)
        super.roles.push_back(role);
    return super;
}

struct Array {
    std::vector<std::shared_ptr<OverlayDevice>> disks;
    std::vector<MdMember> members;
};

Array make_array(const Form& form, std::uint32_t features = 0, bool is_clean = true) {
    Array array;
    for (std::uint32_t number = 0; number < form.members; ++number) {
        MdSuper super = member_of(form, number);
        super.features = features;
        super.is_clean = is_clean;
        // Zeros: parity that fits.
        array.disks.push_back(std::make_shared<OverlayDevice>(make_md_member(super, 0)));
        array.members.push_back({"disk", array.disks.back()});
    }
    return array;
}

std::vector<MdMember> without(std::vector<MdMember> members, std::initializer_list<std::size_t> missing) {
    for (auto number = std::rbegin(missing); number != std::rend(missing); ++number)
        members.erase(members.begin() + static_cast<std::ptrdiff_t>(*number));
    return members;
}

std::vector<std::byte> content(const BlockDevice& device) {
    std::vector<std::byte> bytes(static_cast<std::size_t>(device.size()));
    device.read_at(0, bytes);
    return bytes;
}

std::vector<std::byte> content(const std::vector<MdMember>& members) {
    const MdFindings findings = assemble_arrays(members);
    REQUIRE(findings.arrays.size() == 1);
    return content(*findings.arrays.front().device);
}

} // namespace

TEST_CASE("rows of md's layouts") {
    struct Known {
        Form form;
        std::uint64_t number;
        std::size_t p;
        std::size_t q;
        std::vector<std::size_t> data;
        std::vector<unsigned> powers;
    };
    const std::vector<Known> rows = {
        {{5, 2, 4}, 0, 3, 3, {0, 1, 2}, {0, 1, 2}}, {{5, 2, 4}, 1, 2, 2, {3, 0, 1}, {0, 1, 2}},
        {{5, 0, 4}, 1, 2, 2, {0, 1, 3}, {1, 2, 0}}, {{5, 1, 4}, 1, 1, 1, {0, 2, 3}, {2, 0, 1}},
        {{5, 3, 4}, 5, 1, 1, {2, 3, 0}, {0, 1, 2}}, {{4, 2, 4}, 3, 3, 3, {0, 1, 2}, {0, 1, 2}},
        {{6, 2, 5}, 0, 4, 0, {1, 2, 3}, {0, 1, 2}}, {{6, 2, 5}, 2, 2, 3, {4, 0, 1}, {0, 1, 2}},
        {{6, 0, 5}, 0, 4, 0, {1, 2, 3}, {0, 1, 2}}, {{6, 0, 5}, 3, 1, 2, {0, 3, 4}, {2, 0, 1}},
        {{6, 1, 5}, 3, 3, 4, {0, 1, 2}, {0, 1, 2}}, {{6, 4, 5}, 7, 0, 1, {2, 3, 4}, {0, 1, 2}},
        {{6, 5, 5}, 7, 3, 4, {0, 1, 2}, {0, 1, 2}},
    };
    for (const Known& known : rows) {
        INFO(known.form.level << " " << known.form.layout << " " << known.number);
        const ParityForm::Row row =
            ParityForm(known.form.level, known.form.layout, known.form.members, 65536).row(known.number);
        CHECK(row.p == known.p);
        CHECK(row.q == known.q);
        CHECK(row.data == known.data);
        if (known.form.level == 6)
            CHECK(row.powers == known.powers);
    }
}

TEST_CASE("a byte of the array is read where md's layout has it") {
    // left-symmetric of four: row 0 is d0 d1 d2 P, row 1 is d4 d5 P d3.
    const ParityForm form(5, 2, 4, 65536);
    const auto is_at = [&](std::uint64_t offset, std::size_t member, std::uint64_t at, std::uint64_t bytes) {
        const ParityForm::Place place = form.place_of(offset);
        return place.member() == member && place.at == at && place.bytes == bytes;
    };
    CHECK(is_at(0, 0, 0, 65536));
    CHECK(is_at(65536 + 7, 1, 7, 65529));
    CHECK(is_at(3 * 65536 - 1, 2, 65535, 1));
    CHECK(is_at(3 * 65536, 3, 65536, 65536));
    CHECK(is_at(4 * 65536 + 1, 0, 65537, 65535));
    CHECK(is_at(5 * 65536, 1, 65536, 65536));

    // The same bytes on the disks themselves: what is put on one member's data is seen at its place in the array.
    const std::uint64_t chunk = 16 * 1024;
    const Array array = make_array({5, 2, 4});
    const std::uint64_t begin = MdSuper().offset;
    const std::vector<std::byte> mark(32, std::byte{0x4d});
    array.disks[3]->write_at(begin + chunk + 5, mark);  // d3
    array.disks[0]->write_at(begin + chunk + 90, mark); // d4
    const std::vector<std::byte> seen = content(array.members);
    for (std::uint64_t at = 0; at < 6 * chunk; ++at) {
        const bool is_marked =
            (at >= 3 * chunk + 5 && at < 3 * chunk + 37) || (at >= 4 * chunk + 90 && at < 4 * chunk + 122);
        if ((seen[at] == std::byte{0x4d}) != is_marked)
            FAIL("byte " << at);
    }
}

TEST_CASE("the second parity is the sum of the data, each times a power of two") {
    const Array array = make_array({6, 5, 5});
    const MdFindings findings = assemble_arrays(array.members);
    REQUIRE(findings.arrays.size() == 1);
    const auto changes = findings.arrays.front().route({array.disks.begin(), array.disks.end()});
    for (const auto& [place, value] : {std::pair{0u, 0x81u}, {1u, 0x81u}, {2u, 0x81u}})
        changes->write_at(place * 16384, std::vector<std::byte>(1, static_cast<std::byte>(value)));
    std::array<std::byte, 1> byte{};
    array.disks[3]->read_at(64 * 1024, byte);
    CHECK(std::to_integer<unsigned>(byte[0]) == 0x81);
    array.disks[4]->read_at(64 * 1024, byte);
    // 0x81, twice that (0x102 ^ 0x11d), and twice that.
    CHECK(std::to_integer<unsigned>(byte[0]) == (0x81 ^ 0x1f ^ 0x3e));
}

TEST_CASE("what is written to stripes with parity is there without any members that they can miss") {
    for (const Form& form : kForms) {
        INFO(form.level << " " << form.layout << " " << form.members);
        const Array array = make_array(form);
        const MdFindings findings = assemble_arrays(array.members);
        REQUIRE(findings.arrays.size() == 1);
        CHECK(findings.remarks.empty());
        const BlockDevice& device = *findings.arrays.front().device;
        CHECK(device.size() == (form.members - (form.level == 6 ? 2 : 1)) * std::uint64_t{256} * 1024);
        REQUIRE(findings.arrays.front().route);
        const auto changes = findings.arrays.front().route({array.disks.begin(), array.disks.end()});
        std::vector<std::byte> wanted(static_cast<std::size_t>(device.size()));
        for (std::size_t at = 100; at + 40000 < wanted.size(); at += 50000) {
            for (std::size_t i = at; i < at + 40000; ++i)
                wanted[i] = static_cast<std::byte>(i * 7 + i / 256);
            changes->write_at(at, std::span(wanted).subspan(at, 40000));
        }
        // A file that was removed, across rows, and zeros that are asked for.
        changes->discard(123456, 150000);
        std::fill_n(wanted.begin() + 123456, 150000, std::byte{0});
        changes->write_zeros(1000, 3000);
        std::fill_n(wanted.begin() + 1000, 3000, std::byte{0});
        CHECK(content(array.members) == wanted);
        for (std::size_t missing = 0; missing < form.members; ++missing) {
            const MdFindings again = assemble_arrays(without(array.members, {missing}));
            REQUIRE(again.arrays.size() == 1);
            CHECK(content(*again.arrays.front().device) == wanted);
            CHECK_FALSE(again.arrays.front().route);
            for (std::size_t other = missing + 1; other < form.members; ++other) {
                const std::vector<MdMember> rest = without(array.members, {missing, other});
                if (form.level == 6)
                    CHECK(content(rest) == wanted);
                else
                    CHECK(assemble_arrays(rest).arrays.empty());
            }
        }
        CHECK_THROWS_AS(changes->write_at(device.size() - 1, std::vector<std::byte>(2)), Error);
        CHECK_THROWS_AS(changes->discard(device.size(), 1), Error);
    }
}

TEST_CASE("parity that was wrong before fits what is written") {
    const Array array = make_array({5, 2, 3}, 0, false);
    array.disks[2]->write_at(64 * 1024, std::vector<std::byte>(4096, std::byte{0x55}));
    const MdFindings findings = assemble_arrays(array.members);
    REQUIRE(findings.arrays.size() == 1);
    findings.arrays.front()
        .route({array.disks.begin(), array.disks.end()})
        ->write_at(0, std::vector<std::byte>(4096, std::byte{1}));
    std::array<std::byte, 1> byte{};
    array.disks[2]->read_at(64 * 1024, byte);
    CHECK(byte[0] == std::byte{1});
}

TEST_CASE("parity that nobody vouches for calculates nothing") {
    const Array unclean = make_array({5, 2, 3}, 0, false);
    CHECK(assemble_arrays(unclean.members).arrays.size() == 1);
    const MdFindings degraded = assemble_arrays(without(unclean.members, {1}));
    CHECK(degraded.arrays.empty());
    REQUIRE(degraded.remarks.size() == 1);
    CHECK(degraded.remarks.front().find("need not fit") != std::string::npos);
    // A journal may hold what the members have not; a log of stripes only forbids to write.
    CHECK(assemble_arrays(make_array({5, 2, 3}, 1U << 9U).members).arrays.empty());
    for (const std::uint32_t log : {1U << 10U, 1U << 11U}) {
        const MdFindings logged = assemble_arrays(make_array({5, 2, 3}, log, false).members);
        REQUIRE(logged.arrays.size() == 1);
        CHECK_FALSE(logged.arrays.front().route);
        CHECK(assemble_arrays(make_array({5, 2, 3}, log).members).arrays.front().route);
    }
}

TEST_CASE("forms that cannot be are told") {
    CHECK_THROWS_AS(ParityForm(5, 6, 3, 65536), Error);
    CHECK_THROWS_AS(ParityForm(6, 8, 5, 65536), Error);
    CHECK_THROWS_AS(ParityForm(6, 18, 5, 65536), Error);
    CHECK_THROWS_AS(ParityForm(5, 2, 1, 65536), Error);
    CHECK_THROWS_AS(ParityForm(6, 2, 3, 65536), Error);
    CHECK_THROWS_AS(ParityForm(6, 2, 258, 65536), Error);
    CHECK_NOTHROW(ParityForm(6, 2, 257, 65536));
    for (const std::uint64_t chunk : {0u, 512u, 12288u})
        CHECK_THROWS_AS(ParityForm(5, 2, 3, chunk), Error);
}
