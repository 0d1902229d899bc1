// How a blob is put together of what is at hand and what is fetched.
#include "formats/codec/seek_table.hpp"
#include "formats/codec/skippable_frame.hpp"
#include "libconvert/copy/partial_copy.hpp"
#include "tests/unit/copy/copy_fixture.hpp"

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include <algorithm>

using namespace vm2oci;
using namespace vm2oci::test;

namespace {

// A layer whose frames are what the strings are; only its table is read. Each frame is known by its size and checksum.
struct Frame {
    std::string bytes;
    std::uint32_t checksum;
    std::uint32_t content_size = 100;
};

std::string layer_of(const std::vector<Frame>& frames) {
    std::string layer;
    std::vector<EncodedFrame> entries;
    for (const Frame& frame : frames) {
        layer += frame.bytes;
        entries.push_back({static_cast<std::uint32_t>(frame.bytes.size()), frame.content_size, frame.checksum});
    }
    layer += as_text(make_seek_table(entries));
    return layer;
}

std::shared_ptr<const BlockDevice> device_of(const std::string& text) {
    const auto store = std::make_shared<MemoryStore>();
    store->put_blob(Digest::of(text), text);
    return MemorySource(store).open_blob({.digest = Digest::of(text)});
}

// Two layers at hand: "a0".."a3" of these sizes one behind the other, and "b0".
struct AtHand {
    std::shared_ptr<const BlockDevice> a;
    std::shared_ptr<const BlockDevice> b;
    EarlierParts parts;

    AtHand() {
        a = device_of(layer_of({{std::string(1000, 'a'), 1},
                                {std::string(200, 'b'), 2},
                                {std::string(kBridgedGap, 'c'), 3},
                                {std::string(kBridgedGap + 1, 'd'), 4}}));
        b = device_of(layer_of({{std::string(50, 'e'), 5}, {std::string(1000, 'a'), 1}}));
        CHECK_FALSE(parts.add(a, {}));
        CHECK_FALSE(parts.add(b, {}));
    }
    // The part by its checksum, at `offset` of the next version; 0 is none that is known.
    static LayerPart part(std::uint32_t checksum, std::uint64_t size, std::uint64_t offset) {
        return {offset, size, fmt::format("{}:100:{}", size, checksum)};
    }
};

// "3000@here" or "200@a+1000", in order.
std::vector<std::string> told(const AtHand& hand, const std::vector<PartialStep>& steps) {
    std::vector<std::string> lines;
    std::uint64_t end = 0;
    for (const PartialStep& step : steps) {
        CHECK(step.offset == end);
        end += step.size;
        if (!step.earlier)
            lines.push_back(fmt::format("{} fetched", step.size));
        else
            lines.push_back(fmt::format("{} of {} at {}", step.size, step.earlier->layer == hand.a ? "a" : "b",
                                        step.earlier->offset));
    }
    return lines;
}

// Parts by checksum and size, one behind the other.
std::vector<std::string> planned(const AtHand& hand, const std::vector<std::pair<std::uint32_t, std::uint64_t>>& parts,
                                 std::uint64_t behind = 0) {
    std::vector<LayerPart> layer;
    std::uint64_t offset = 0;
    for (const auto& [checksum, size] : parts) {
        layer.push_back(AtHand::part(checksum, size, offset));
        offset += size;
    }
    return told(hand, plan_partial_copy(layer, offset + behind, hand.parts));
}

using Lines = std::vector<std::string>;

} // namespace

TEST_CASE("what follows each other on both sides is one step") {
    const AtHand hand;
    CHECK(planned(hand, {{1, 1000}, {2, 200}}) == Lines{"1200 of a at 0"});
    CHECK(planned(hand, {{1, 1000}, {2, 200}, {3, 32768}, {4, 32769}}) == Lines{"66737 of a at 0"});
    // The same parts in another order do not.
    CHECK(planned(hand, {{2, 200}, {1, 1000}}) == Lines{"200 of a at 1000", "1000 of a at 0"});
    CHECK(planned(hand, {{1, 1000}, {1, 1000}}) == Lines{"1000 of a at 0", "1000 of a at 0"});
    // A part that both layers have is taken of the first; one layer's end is no neighbour of the other's beginning.
    CHECK(planned(hand, {{4, 32769}, {5, 50}}) == Lines{"32769 of a at 33968", "50 of b at 0"});
    CHECK(planned(hand, {{5, 50}, {1, 1000}}) == Lines{"50 of b at 0", "1000 of a at 0"});
    // Unknown ones are one request, with what stands behind the last.
    CHECK(planned(hand, {{90, 7}, {91, 8}}, 9) == Lines{"24 fetched"});
    CHECK(planned(hand, {{1, 1000}}, 9) == Lines{"1000 of a at 0", "9 fetched"});
    CHECK(planned(hand, {}, 9) == Lines{"9 fetched"});
    CHECK(planned(hand, {}) == Lines{});
    // Another size is another part, whatever its checksum.
    CHECK(planned(hand, {{1, 999}}) == Lines{"999 fetched"});
}

TEST_CASE("what no part covers is fetched") {
    const AtHand hand;
    const std::vector<LayerPart> parts = {AtHand::part(4, 32769, 512), AtHand::part(2, 200, 512 + 32769 + 100)};
    CHECK(told(hand, plan_partial_copy(parts, 40000, hand.parts)) ==
          Lines{"512 fetched", "32769 of a at 33968", fmt::format("{} fetched", 40000 - 512 - 32769)});
}

TEST_CASE("a small part between two that are fetched is fetched with them") {
    const AtHand hand;
    // Up to 32 KiB; then not.
    CHECK(planned(hand, {{90, 10}, {2, 200}, {91, 10}}) == Lines{"220 fetched"});
    CHECK(planned(hand, {{90, 10}, {3, 32768}, {91, 10}}) == Lines{"32788 fetched"});
    CHECK(planned(hand, {{90, 10}, {4, 32769}, {91, 10}}) == Lines{"10 fetched", "32769 of a at 33968", "10 fetched"});
    // The first and the last one cost no request.
    CHECK(planned(hand, {{2, 200}, {91, 10}}) == Lines{"200 of a at 1000", "10 fetched"});
    CHECK(planned(hand, {{90, 10}, {2, 200}}) == Lines{"10 fetched", "200 of a at 1000"});
    // Several that lie apart are small together, or are not.
    CHECK(planned(hand, {{90, 10}, {2, 200}, {1, 1000}, {91, 10}}) == Lines{"1220 fetched"});
    CHECK(planned(hand, {{90, 10}, {3, 32768}, {2, 200}, {91, 10}}) ==
          Lines{"10 fetched", "32768 of a at 1200", "200 of a at 1000", "10 fetched"});
}

TEST_CASE("a small part beside parts that are at hand is taken from there") {
    const AtHand hand;
    // A run of zeros is a small frame that stands in many places, and at hand it stands in one.
    CHECK(planned(hand, {{4, 32769}, {2, 200}, {4, 32769}, {2, 200}, {3, 32768}, {2, 200}}) ==
          Lines{"32769 of a at 33968", "200 of a at 1000", "32769 of a at 33968", "32968 of a at 1000",
                "200 of a at 1000"});
    // Beside one that is fetched it makes no request less either.
    CHECK(planned(hand, {{4, 32769}, {2, 200}, {90, 10}}) ==
          Lines{"32769 of a at 33968", "200 of a at 1000", "10 fetched"});
    CHECK(planned(hand, {{90, 10}, {2, 200}, {4, 32769}, {91, 10}}) ==
          Lines{"10 fetched", "200 of a at 1000", "32769 of a at 33968", "10 fetched"});
}

namespace {

// A next version of 1 MiB and more with two frames, of which the first is at hand.
struct Versions {
    std::string kept = noise(700'000, 1);
    std::string fresh = noise(600'000, 2);
    std::string next = layer_of({{kept, 11, 700'000}, {fresh, 12, 600'000}});
    std::shared_ptr<MemoryStore> far = std::make_shared<MemoryStore>();
    WatchedSource source{far};
    StrictDestination destination{};
    EarlierParts earlier{};
    HeardProgress heard{};
    Descriptor blob{.media_type = media_type::oci_layer_zstd, .digest = Digest::of(next), .size = next.size()};

    Versions() {
        far->put_blob(blob.digest, next);
        source.is_remote = true;
    }
    void have(const std::string& first_frame) {
        earlier.add(device_of(layer_of({{"begin", 10}, {first_frame, 11, 700'000}})), {});
    }
    std::optional<std::uint64_t> copy() {
        OperationContext operation;
        operation.progress = &heard;
        heard.begin("copy", 0);
        return copy_partially(source, destination, blob, earlier, operation);
    }
};

} // namespace

TEST_CASE("a blob is made of parts that are at hand and those that are fetched") {
    Versions versions;
    versions.have(versions.kept);
    CHECK(versions.copy() == 700'000);
    CHECK(*versions.destination.store->find_blob(versions.blob.digest) == versions.next);
    CHECK(versions.heard.phases.at(0).done == versions.next.size());
    CHECK(versions.source.opened_parts == std::vector{versions.blob.digest});
    CHECK(versions.source.opened.empty());
    CHECK(versions.destination.begun == std::vector{versions.blob.digest});
    CHECK(versions.heard.notes.empty());
}

TEST_CASE("what is at hand and lies about itself costs the reuse") {
    Versions versions;
    std::string lie = versions.kept;
    lie[350'000] ^= '\1';
    versions.have(lie);
    CHECK(versions.copy() == std::nullopt);
    CHECK_FALSE(versions.destination.has_blob(versions.blob));
    REQUIRE(versions.heard.notes.size() == 1);
    CHECK(versions.heard.notes[0] == "what the earlier version has is not what the tables say: " +
                                         versions.blob.digest.text() + " is fetched whole");
}

TEST_CASE("a store without parts, or with tables that cannot be used, gives the blob whole") {
    for (const ErrorKind kind : {ErrorKind::unsupported, ErrorKind::corrupt, ErrorKind::limit}) {
        Versions versions;
        versions.have(versions.kept);
        versions.source.no_parts = kind;
        CHECK(versions.copy() == std::nullopt);
        CHECK(versions.destination.begun.empty());
        REQUIRE(versions.heard.notes.size() == 1);
        CHECK(versions.heard.notes[0] == "fetching " + versions.blob.digest.text() + " whole: no parts are served");
    }
    // What would go wrong then, too, is an error at once.
    for (const ErrorKind kind : {ErrorKind::io, ErrorKind::not_found, ErrorKind::cancelled, ErrorKind::external}) {
        Versions versions;
        versions.have(versions.kept);
        versions.source.no_parts = kind;
        CHECK(error_of([&] { versions.copy(); }).kind() == kind);
    }
}

TEST_CASE("small blobs, and those that nothing is at hand for, are not asked for parts") {
    Versions versions;
    CHECK(versions.copy() == std::nullopt); // nothing is at hand
    CHECK(versions.source.opened_parts.empty());
    versions.have(versions.kept);
    versions.blob.size = 1024 * 1024 - 1;
    CHECK(versions.copy() == std::nullopt);
    CHECK(versions.source.opened_parts.empty());
    versions.blob.size = 1024 * 1024;
    versions.source.no_parts = ErrorKind::unsupported;
    CHECK(versions.copy() == std::nullopt);
    CHECK(versions.source.opened_parts.size() == 1);
    // Parts that the new version has none of.
    Versions others;
    others.earlier.add(device_of(layer_of({{"begin", 10}})), {});
    CHECK(others.copy() == std::nullopt);
    CHECK(others.destination.begun.empty());
    CHECK(others.heard.notes.empty());
}
