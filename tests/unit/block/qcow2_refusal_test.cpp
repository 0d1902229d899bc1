#include "tests/unit/block/qcow2_fixture.hpp"

using namespace vm2oci;
using namespace vm2oci::test;
namespace format = vm2oci::qcow2;
namespace at = vm2oci::qcow2::header_offset;

namespace {

bool says(const Error& error, std::string_view text) {
    return std::string_view(error.what()).find(text) != std::string_view::npos;
}

OpenedDisk open_with(const Qcow2Builder& builder, const DiskPolicy& policy) {
    DiskSource source = declared(DiskFormat::qcow2);
    source.policy = policy;
    return open_disk(builder.device(), source);
}

DiskPolicy allow_truncated() {
    DiskPolicy policy;
    policy.truncation = Tolerance::allow;
    return policy;
}

} // namespace

TEST_CASE("headers that lie are refused") {
    struct Lie {
        const char* name;
        void (*tell)(Qcow2Builder&);
        ErrorKind kind;
    };
    const Lie lie = GENERATE(
        Lie{"magic", [](Qcow2Builder& b) { b.put8(at::magic, 'X'); }, ErrorKind::corrupt},
        Lie{"version 1", [](Qcow2Builder& b) { b.put32(at::version, 1); }, ErrorKind::unsupported},
        Lie{"version 4", [](Qcow2Builder& b) { b.put32(at::version, 4); }, ErrorKind::unsupported},
        Lie{"cluster bits 8", [](Qcow2Builder& b) { b.put32(at::cluster_bits, 8); }, ErrorKind::corrupt},
        Lie{"cluster bits 22", [](Qcow2Builder& b) { b.put32(at::cluster_bits, 22); }, ErrorKind::corrupt},
        Lie{"cluster bits 64", [](Qcow2Builder& b) { b.put32(at::cluster_bits, 64); }, ErrorKind::corrupt},
        Lie{"header length 103", [](Qcow2Builder& b) { b.put32(at::header_length, 103); }, ErrorKind::corrupt},
        Lie{"header length 4097", [](Qcow2Builder& b) { b.put32(at::header_length, 4097); }, ErrorKind::corrupt},
        Lie{"refcount order 7", [](Qcow2Builder& b) { b.put32(at::refcount_order, 7); }, ErrorKind::corrupt},
        Lie{"AES", [](Qcow2Builder& b) { b.put32(at::crypt_method, 1); }, ErrorKind::unsupported},
        Lie{"LUKS", [](Qcow2Builder& b) { b.put32(at::crypt_method, 2); }, ErrorKind::unsupported},
        Lie{"crypt method 3", [](Qcow2Builder& b) { b.put32(at::crypt_method, 3); }, ErrorKind::unsupported},
        Lie{"unknown feature", [](Qcow2Builder& b) { b.put64(at::incompatible_features, 1ULL << 40); },
            ErrorKind::unsupported},
        Lie{"corrupt bit", [](Qcow2Builder& b) { b.put64(at::incompatible_features, format::incompatible::corrupt); },
            ErrorKind::corrupt},
        Lie{"compression bit without a type",
            [](Qcow2Builder& b) { b.put64(at::incompatible_features, format::incompatible::compression_type); },
            ErrorKind::corrupt},
        Lie{"compression type without its bit", [](Qcow2Builder& b) { b.put8(at::compression_type, 1); },
            ErrorKind::corrupt},
        Lie{"compression type 2",
            [](Qcow2Builder& b) {
                b.put64(at::incompatible_features, format::incompatible::compression_type);
                b.put8(at::compression_type, 2);
            },
            ErrorKind::unsupported},
        Lie{"extended L2 in small clusters",
            [](Qcow2Builder& b) { b.put64(at::incompatible_features, format::incompatible::extended_l2); },
            ErrorKind::corrupt},
        Lie{"raw external data without a data file",
            [](Qcow2Builder& b) { b.put64(at::autoclear_features, format::autoclear::raw_external_data); },
            ErrorKind::corrupt},
        Lie{"size over the limit", [](Qcow2Builder& b) { b.put64(at::size, 3 * TiB); }, ErrorKind::limit},
        Lie{"size 2^63", [](Qcow2Builder& b) { b.put64(at::size, 1ULL << 63); }, ErrorKind::limit},
        Lie{"size that the L1 table does not reach", [](Qcow2Builder& b) { b.put64(at::size, GiB); },
            ErrorKind::corrupt},
        Lie{"size a byte beyond the L1 table's reach", [](Qcow2Builder& b) { b.put64(at::size, 2 * MiB + 1); },
            ErrorKind::corrupt},
        Lie{"L1 table of 32 MiB and an entry", [](Qcow2Builder& b) { b.put32(at::l1_size, 4 * 1024 * 1024 + 1); },
            ErrorKind::limit},
        Lie{"L1 table beyond the end", [](Qcow2Builder& b) { b.put32(at::l1_size, 4 * 1024 * 1024); },
            ErrorKind::corrupt},
        Lie{"L1 table off a cluster", [](Qcow2Builder& b) { b.put64(at::l1_table_offset, 0x3001); },
            ErrorKind::corrupt},
        Lie{"L1 table at the end of the number line",
            [](Qcow2Builder& b) { b.put64(at::l1_table_offset, 0xfffffffffffff000); }, ErrorKind::corrupt},
        Lie{"L1 table over the header", [](Qcow2Builder& b) { b.put64(at::l1_table_offset, 0); }, ErrorKind::corrupt},
        Lie{"L1 table over the refcount table", [](Qcow2Builder& b) { b.put64(at::l1_table_offset, 0x1000); },
            ErrorKind::corrupt},
        Lie{"no refcount table", [](Qcow2Builder& b) { b.put32(at::refcount_table_clusters, 0); }, ErrorKind::corrupt},
        Lie{"refcount table of 8 MiB and a cluster",
            [](Qcow2Builder& b) { b.put32(at::refcount_table_clusters, 2049); }, ErrorKind::limit},
        Lie{"refcount table off a cluster", [](Qcow2Builder& b) { b.put64(at::refcount_table_offset, 0x1200); },
            ErrorKind::corrupt},
        Lie{"65537 snapshots", [](Qcow2Builder& b) { b.put32(at::snapshot_count, 65537); }, ErrorKind::corrupt},
        Lie{"snapshot table beyond the end",
            [](Qcow2Builder& b) {
                b.put32(at::snapshot_count, 1);
                b.put64(at::snapshots_offset, 1ULL << 40);
            },
            ErrorKind::corrupt},
        Lie{"backing file's name without length", [](Qcow2Builder& b) { b.put64(at::backing_file_offset, 200); },
            ErrorKind::corrupt},
        Lie{"backing file's name in the header",
            [](Qcow2Builder& b) {
                b.put64(at::backing_file_offset, 8);
                b.put32(at::backing_file_size, 4);
            },
            ErrorKind::corrupt},
        Lie{"backing file's name in the second cluster",
            [](Qcow2Builder& b) {
                b.put64(at::backing_file_offset, 4096);
                b.put32(at::backing_file_size, 4);
            },
            ErrorKind::corrupt},
        Lie{"backing file's name of 1024 bytes",
            [](Qcow2Builder& b) {
                b.put64(at::backing_file_offset, 200);
                b.put32(at::backing_file_size, 1024);
            },
            ErrorKind::corrupt});
    INFO(lie.name);
    Qcow2Builder builder;
    builder.add_data(0, 1);
    REQUIRE_NOTHROW(open_qcow2(builder));
    lie.tell(builder);
    const Error error = refusal_of(builder);
    INFO(error.what());
    CHECK(error.kind() == lie.kind);
}

TEST_CASE("header extensions are bounded") {
    Qcow2Builder builder;
    SECTION("a length that leaves the header's cluster") {
        builder.add_extension(0x12345678, "x");
        builder.put32(format::kHeaderLengthWithCompression + 4, GENERATE(3977U, 0xfffffff9U, 0xffffffffU));
    }
    SECTION("an end mark with such a length") {
        builder.put32(format::kHeaderLengthWithCompression + 4, 3977);
    }
    SECTION("a length that reaches into the backing file's name") {
        builder.add_extension(0x12345678, "12345678");
        builder.set_backing_file("base");
        builder.put32(format::kHeaderLengthWithCompression + 4, 24);
    }
    SECTION("a backing format that no format has") {
        builder.add_extension(format::extension::backing_format, std::string(16, 'q'));
    }
    SECTION("an encryption header and no encryption") {
        builder.add_extension(format::extension::encryption, std::string(16, '\0'));
    }
    SECTION("bitmaps beyond reason") {
        builder.put64(at::autoclear_features, format::autoclear::bitmaps);
        builder.add_extension(format::extension::bitmaps, std::string(24, '\xff'));
    }
    CHECK(refusal_of(builder).kind() == ErrorKind::corrupt);
}

TEST_CASE("unknown extensions and unknown compatible features are no reason to refuse") {
    Qcow2Builder builder;
    builder.add_extension(0x12345678, "whatever");
    builder.put64(at::compatible_features, ~0ULL);
    builder.put64(at::autoclear_features, 1ULL << 50);
    builder.add_data(0, 3);
    CHECK(cluster_value(*open_qcow2(builder).device, 0, 4096) == 3);
}

TEST_CASE("the name of an unknown feature is shown, made safe to print") {
    Qcow2Builder builder;
    std::string entry(48, '\0');
    entry.replace(0, 2, std::string("\x00\x28", 2));
    entry.replace(2, 9, "\x1b]0;p\x07\nok");
    builder.add_extension(format::extension::feature_names, entry);
    builder.put64(at::incompatible_features, 1ULL << 40);
    const Error error = refusal_of(builder);
    CHECK(says(error, R"(bit 40 '\x1b]0;p\x07\x0aok')"));
}

TEST_CASE("the dirty bit is no reason to refuse, and the corrupt bit is one that can be allowed") {
    Qcow2Builder builder;
    builder.add_data(0, 3);
    builder.put64(at::incompatible_features, format::incompatible::dirty);
    CHECK(qcow2_of(open_qcow2(builder).info).features == std::vector<std::string>{"dirty"});
    builder.put64(at::incompatible_features, format::incompatible::corrupt);
    CHECK(refusal_of(builder).hint().kind == HintKind::allow_corrupt);
    DiskPolicy policy;
    policy.corrupt_bit = Tolerance::allow;
    CHECK(cluster_value(*open_with(builder, policy).device, 0, 4096) == 3);
}

TEST_CASE("refcounts of any width are no business of a reader") {
    Qcow2Builder builder;
    const std::uint32_t order = GENERATE(0U, 1U, 2U, 3U, 4U, 5U, 6U);
    builder.put32(at::refcount_order, order);
    CHECK(qcow2_of(open_qcow2(builder).info).refcount_bits == 1U << order);
}

TEST_CASE("table entries that break the format are refused when the disk is opened") {
    Qcow2Builder builder;
    const std::uint64_t place = builder.add_data(0, 1);
    SECTION("data off a cluster") {
        builder.set_l2(0, place + 512);
    }
    SECTION("data over the header") {
        builder.set_l2(0, format::kEntryCopied);
    }
    SECTION("data over the refcount table") {
        builder.set_l2(0, 0x1000);
    }
    SECTION("data over the refcount block") {
        builder.set_l2(0, 0x2000);
    }
    SECTION("data over the L1 table") {
        builder.set_l2(0, builder.l1_offset());
    }
    SECTION("data over its own L2 table") {
        builder.set_l2(0, builder.l2_offset(0));
    }
    SECTION("compressed data over the L1 table") {
        builder.set_compressed(0, builder.l1_offset() + 77, 0);
    }
    SECTION("a zero cluster off a cluster") {
        builder.set_l2(0, (place + 512) | format::kEntryZero);
    }
    SECTION("data beyond the end") {
        builder.set_l2(0, 0x100000);
    }
    SECTION("data at the end") {
        builder.set_l2(0, builder.end());
    }
    SECTION("compressed data beyond the end") {
        builder.set_compressed(0, 0x100000, 3);
    }
    SECTION("an L2 table over the header") {
        builder.set_l1(0, format::kEntryCopied);
    }
    SECTION("an L2 table over the L1 table") {
        builder.set_l1(0, builder.l1_offset());
    }
    SECTION("an L2 table over the refcount block") {
        builder.set_l1(0, 0x2000);
    }
    SECTION("an L2 table off a cluster") {
        builder.set_l1(0, builder.l2_offset(0) + 512);
    }
    SECTION("an L2 table beyond the end") {
        builder.set_l1(0, 1ULL << 40);
    }
    SECTION("an L2 table that the file ends in") {
        builder.set_l1(0, builder.end());
        builder.append(std::vector<std::byte>(1024));
    }
    const Error error = refusal_of(builder);
    INFO(error.what());
    CHECK(error.kind() == ErrorKind::corrupt);
}

TEST_CASE("an L2 table belongs to one L1 entry") {
    Qcow2Shape shape;
    shape.size = 4 * MiB;
    Qcow2Builder builder(shape);
    builder.add_data(0, 1);
    builder.set_l1(1, builder.l2_offset(0));
    CHECK(refusal_of(builder).kind() == ErrorKind::corrupt);
}

TEST_CASE("subclusters must agree with their entry") {
    Qcow2Shape shape;
    shape.cluster_bits = 14;
    shape.incompatible = format::incompatible::extended_l2;
    Qcow2Builder builder(shape);
    SECTION("allocated and zero") {
        builder.set_l2(0, builder.append_cluster(1), 1ULL << 32 | 1);
    }
    SECTION("allocated and nowhere") {
        builder.set_l2(0, 0, 1);
    }
    CHECK(refusal_of(builder).kind() == ErrorKind::corrupt);
}

TEST_CASE("without a scan the same entries are refused when they are read") {
    Qcow2Builder builder;
    const std::uint64_t place = builder.add_data(0, 1);
    builder.add_data(1, 2);
    DiskSource source = declared(DiskFormat::qcow2);
    source.scan = TableScan::none;
    SECTION("data off a cluster") {
        builder.set_l2(1, place + 512);
    }
    SECTION("data over the header") {
        builder.set_l2(1, format::kEntryCopied);
    }
    SECTION("data beyond the end") {
        builder.set_l2(1, 0x100000);
    }
    SECTION("compressed data beyond the end") {
        builder.set_compressed(1, 0x100000, 3);
    }
    const OpenedDisk disk = open_disk(builder.device(), source);
    CHECK(qcow2_of(disk.info).clusters.data == 0);
    CHECK(disk.info.virtual_size == 64 * KiB);
    CHECK(cluster_value(*disk.device, 0, 4096) == 1);
    CHECK(error_of([&] { cluster_value(*disk.device, 1, 4096); }).kind() == ErrorKind::corrupt);
}

TEST_CASE("a truncated file is refused, and reads as zeros only if that is allowed") {
    Qcow2Builder builder;
    builder.add_data(0, 1);
    const std::uint64_t last = builder.add_data(1, 2);
    SECTION("the last cluster is missing") {
        builder.truncate(last);
        CHECK(refusal_of(builder).hint().kind == HintKind::allow_truncated);
        const auto device = open_with(builder, allow_truncated()).device;
        CHECK(cluster_value(*device, 0, 4096) == 1);
        CHECK(cluster_value(*device, 1, 4096) == 0);
    }
    SECTION("the file ends inside a sector of the last cluster") {
        builder.truncate(last + 1000);
        CHECK(refusal_of(builder).kind() == ErrorKind::corrupt);
        const auto all = read_all(*open_with(builder, allow_truncated()).device);
        CHECK(all[4096 + 999] == std::byte{2});
        CHECK(all[4096 + 1000] == std::byte{0});
    }
    SECTION("the file ends behind a sector of the last cluster, as writers of sectors leave it") {
        builder.truncate(last + 1024);
        const auto all = read_all(*open_qcow2(builder).device);
        CHECK(all[4096 + 1023] == std::byte{2});
        CHECK(all[4096 + 1024] == std::byte{0});
        CHECK(all[8191] == std::byte{0});
    }
    SECTION("the L2 table is missing") {
        builder.truncate(builder.l2_offset(0));
        CHECK(refusal_of(builder).kind() == ErrorKind::corrupt);
        CHECK(cluster_value(*open_with(builder, allow_truncated()).device, 0, 4096) == 0);
    }
    SECTION("an L2 table is where no file reaches") {
        builder.set_l1(0, 1ULL << 55);
        CHECK(says(refusal_of(builder), "truncated"));
        CHECK(cluster_value(*open_with(builder, allow_truncated()).device, 0, 4096) == 0);
    }
    SECTION("only the header is left") {
        builder.truncate(112);
        CHECK(refusal_of(builder).kind() == ErrorKind::corrupt);
    }
    SECTION("the file ends inside the header") {
        builder.truncate(GENERATE(0U, 3U, 8U, 71U, 103U));
        CHECK(refusal_of(builder).kind() == ErrorKind::corrupt);
    }
}

TEST_CASE("a file that promises far more than it holds is refused before a byte is read") {
    Qcow2Shape shape;
    shape.cluster_bits = 21;
    shape.size = 8 * GiB;
    Qcow2Builder builder(shape);
    const std::uint64_t place = builder.append_cluster(1);
    for (unsigned cluster = 0; cluster < 4096; ++cluster)
        builder.set_l2(cluster, place);
    const Error error = refusal_of(builder);
    CHECK(error.kind() == ErrorKind::limit);

    Qcow2Builder small; // sharing as such is not refused
    const std::uint64_t shared = small.add_data(0, 6);
    small.set_l2(1, shared);
    CHECK(cluster_value(*open_qcow2(small).device, 1, 4096) == 6);
}
