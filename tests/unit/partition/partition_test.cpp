#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/partition/partition.hpp"
#include "tests/support/corpus.hpp"

#include <catch2/catch.hpp>
#include <fmt/format.h>

using namespace vm2oci;

namespace {

const test::Corpus& corpus() {
    static const test::Corpus instance(VM2OCI_GUEST_CORPUS);
    return instance;
}

// What a reader makes of a table, in the words of the manifest.
std::string judge(const BlockDevice& disk, std::string& detail) {
    try {
        const PartitionTable table = read_partitions(disk);
        if (table.kind == TableKind::none)
            return "none";
        detail.clear();
        for (const Partition& partition : table.partitions)
            detail += fmt::format("{}{}={}+{}", detail.empty() ? "" : " ", partition.number, partition.offset,
                                  partition.length);
        return "accept";
    } catch (const Error& error) {
        detail = error.what();
        CHECK((error.kind() == ErrorKind::corrupt || error.kind() == ErrorKind::limit));
        CHECK(escape_untrusted(detail, 4096) == detail);
        return "reject";
    }
}

} // namespace

TEST_CASE("every partition table of the corpus is read or refused as its manifest says") {
    for (const test::CorpusRow& row : corpus().rows("parttable")) {
        INFO(row.file << ": " << row.why);
        const auto disk = corpus().open(row.file);
        std::string detail;
        const std::string verdict = judge(*disk, detail);
        INFO(verdict << ": " << detail);
        CHECK(disk->bytes_read() < 4 * 1024 * 1024);
        if (row.expect == "reject") {
            CHECK((verdict == "reject" || (row.file == "part/mbr_no_sig.raw" && verdict == "none")));
        } else if (row.expect == "accept" && row.detail.rfind("count=", 0) == 0) {
            CHECK(verdict == "accept");
            CHECK(std::to_string(read_partitions(*disk).partitions.size()) == row.detail.substr(6));
        } else if (row.expect == "accept") {
            CHECK(verdict == "accept");
            CHECK(detail == row.detail);
        } else if (row.expect == "none") {
            CHECK(verdict == "none");
        } else if (row.expect == "accept-escaped") {
            REQUIRE(verdict == "accept");
            bool any_escaped = false;
            for (const Partition& partition : read_partitions(*disk).partitions)
                any_escaped = any_escaped || escape_untrusted(partition.name) != partition.name;
            CHECK(any_escaped);
        } else {
            CHECK((row.expect == "either" || row.expect == "reject-or-truncate"));
        }
    }
}

TEST_CASE("a table tells roles, types, names and identifiers") {
    const PartitionTable mbr = read_partitions(*corpus().open("part/sfdisk_logical.raw"));
    CHECK(mbr.kind == TableKind::mbr);
    CHECK(mbr.id == "12345678");
    REQUIRE(mbr.partitions.size() == 4);
    CHECK(mbr.partitions[0].active);
    CHECK(mbr.partitions[0].type == "0x83");
    CHECK(mbr.partitions[0].uuid == "12345678-01");
    CHECK(mbr.partitions[1].role == PartitionRole::extended);
    CHECK(mbr.partitions[3].role == PartitionRole::logical);
    CHECK(mbr.partitions[3].type_name == "Linux swap");
    CHECK(mbr.remarks.empty());

    const PartitionTable gpt = read_partitions(*corpus().open("part/sgdisk_256_entries.raw"));
    CHECK(gpt.kind == TableKind::gpt);
    CHECK(gpt.id == "11111111-2222-3333-4444-555555555555");
    REQUIRE(gpt.partitions.size() == 2);
    CHECK(is_efi_system(gpt.partitions[0]));
    CHECK(gpt.partitions[0].uuid == "a1b2c3d4-0000-0000-0000-000000000001");
    CHECK(gpt.partitions[1].name == "wurzel \xc3\xa4");
    CHECK(gpt.remarks.empty());
}

TEST_CASE("a damaged copy of a GPT is reported, and the other is read") {
    for (const char* file : {"part/gpt_primary_lost.raw", "part/gpt_backup_lost.raw", "part/gpt_hybrid_good.raw"}) {
        INFO(file);
        const PartitionTable table = read_partitions(*corpus().open(file));
        CHECK(table.remarks.size() == 1);
        CHECK(table.partitions.size() == 2);
    }
}

TEST_CASE("a partition opens as a disk of its own") {
    const auto disk = corpus().open("part/sfdisk_logical.raw");
    const PartitionTable table = read_partitions(*disk);
    const auto partition = open_partition(disk, table.partitions[3]);
    CHECK(partition->size() == 2097152);
    std::vector<std::byte> beyond(1);
    CHECK_THROWS_AS(partition->read_at(2097152, beyond), Error);
}

TEST_CASE("a disk too small for a table has none") {
    CHECK(read_partitions(test::MemoryDevice(0)).kind == TableKind::none);
    CHECK(read_partitions(test::MemoryDevice(511)).kind == TableKind::none);
    CHECK(read_partitions(test::MemoryDevice(1 << 20)).kind == TableKind::none);
}

TEST_CASE("tables of other systems are named") {
    using namespace std::string_view_literals;
    const auto remark = [](const std::vector<std::pair<std::uint64_t, std::string_view>>& stamps) {
        test::MemoryDevice disk(1 << 20);
        for (const auto& [at, bytes] : stamps)
            disk.put(at, bytes);
        const PartitionTable table = read_partitions(disk);
        CHECK(table.kind == TableKind::none);
        return table.remarks.empty() ? std::string("-") : table.remarks.front();
    };
    CHECK(remark({{512, "WEV\x82"sv}, {512 + 132, "WEV\x82"sv}}).find("BSD") != std::string::npos);
    CHECK(remark({{64, "WEV\x82"sv}, {64 + 132, "WEV\x82"sv}}).find("BSD") != std::string::npos);
    CHECK(remark({{508, "\xda\xbe"sv}}).find("SunOS") != std::string::npos);
    CHECK(remark({{0, "ER"sv}, {512, "PM"sv}}).find("Apple") != std::string::npos);
    CHECK(remark({{0, "ER"sv}, {2048, "PM"sv}}).find("Apple") != std::string::npos);
    CHECK(remark({{0, "ER"sv}}) == "-");
    CHECK(remark({{512, "WEV\x82"sv}}) == "-");
}
