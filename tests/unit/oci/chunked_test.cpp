#include "formats/base/error.hpp"
#include "formats/codec/layer_content.hpp"
#include "formats/codec/skippable_frame.hpp"
#include "formats/oci/chunked_toc.hpp"
#include "formats/oci/layer_writer.hpp"
#include "formats/oci/memory_store.hpp"
#include "formats/tree/tar.hpp"
#include "tests/unit/oci/oci_fixture.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <random>

using namespace vm2oci;
using nlohmann::json;

namespace {

class TextContent final : public FileContent {
  public:
    explicit TextContent(std::string text) : text_(std::move(text)) {}
    void copy_to(ByteSink& out) const override { out.write(as_bytes(text_)); }

  private:
    std::string text_;
};

Entry entry_of(std::string path, FileType type, std::uint64_t size = 0) {
    Entry entry;
    entry.path = std::move(path);
    entry.status.type = type;
    entry.status.permissions = type == FileType::directory ? 0755 : 0644;
    entry.status.size = size;
    return entry;
}

// Two frames of noise around three of zeros, and a bit.
std::string large_content() {
    std::mt19937_64 random(11);
    std::string text(5 * kFrameSize + 100, '\0');
    for (const std::size_t at : {std::size_t{0}, std::size_t{4 * kFrameSize}})
        for (std::size_t i = 0; i < kFrameSize; ++i)
            text[at + i] = static_cast<char>(random());
    return text;
}

struct Layer {
    std::shared_ptr<MemoryStore> store = std::make_shared<MemoryStore>();
    StoredLayer stored;

    std::shared_ptr<const BlockDevice> open() const { return MemorySource(store).open_blob(stored.descriptor); }
    const Annotations& annotations() const { return stored.descriptor.annotations; }
};

Layer write_layer(const std::string& content) {
    Layer layer;
    MemoryDestination destination(layer.store);
    LayerOptions options = CompressionSpec{Compression::zstd, 1};
    options.form = LayerForm::chunked;
    LayerWriter writer(destination, options, {});
    TarSink tar(writer, {}, &writer);
    tar.add(entry_of("", FileType::directory), nullptr);
    Entry link = entry_of("a-link", FileType::symlink);
    link.link_target = "b\nfile";
    link.status.modified = {-1, 250'000'000};
    tar.add(link, nullptr);
    tar.add(entry_of("b\nfile", FileType::regular, 5), std::make_unique<TextContent>("small").get());
    tar.add(entry_of("empty", FileType::regular), std::make_unique<TextContent>("").get());
    Entry hard = entry_of("hard", FileType::regular, 5);
    hard.hard_link_to = "b\nfile";
    tar.add(hard, nullptr);
    Entry large = entry_of("large", FileType::regular, content.size());
    large.status.uid = 107;
    large.attributes = {{"user.note", std::string("\0x", 2)}};
    tar.add(large, std::make_unique<TextContent>(content).get());
    tar.finish();
    layer.stored = writer.finish();
    return layer;
}

// By an annotation "offset:packed:size[…]".
std::string read_table(const Layer& layer, const char* key) {
    std::uint64_t numbers[3];
    REQUIRE(std::sscanf(layer.annotations().at(key).c_str(), "%lu:%lu:%lu", &numbers[0], &numbers[1], &numbers[2]) ==
            3);
    std::vector<std::byte> packed(numbers[1]);
    layer.open()->read_at(numbers[0], packed);
    return unpack_text(packed, numbers[2]);
}

} // namespace

TEST_CASE("a chunked layer says what is in it, and where") {
    const std::string content = large_content();
    const Layer layer = write_layer(content);
    CHECK(layer.annotations().at(chunked::kTocChecksum) == layer.annotations().at(chunked::kOldTocChecksum));
    CHECK(layer.annotations().at(chunked::kTocPosition) == layer.annotations().at(chunked::kOldTocPosition));

    const json toc = json::parse(read_table(layer, chunked::kTocPosition));
    CHECK(toc["version"] == 1);
    std::vector<std::string> names;
    for (const json& entry : toc["entries"])
        names.push_back(entry["type"].get<std::string>() + " " + entry["name"].get<std::string>());
    CHECK(names == std::vector<std::string>{"dir ./", "symlink a-link", "reg b\nfile", "reg empty", "hardlink hard",
                                            "reg large", "chunk large", "chunk large", "chunk large"});
    CHECK(toc["entries"][1]["linkName"] == "b\nfile");
    CHECK(toc["entries"][1]["modtime"] == "1969-12-31T23:59:59.25Z");
    CHECK(toc["entries"][2]["digest"] == Digest::of("small").text());
    CHECK_FALSE(toc["entries"][2].contains("chunkDigest"));
    CHECK_FALSE(toc["entries"][3].contains("offset"));
    CHECK(toc["entries"][4]["linkName"] == "b\nfile");
    const json& large = toc["entries"][5];
    CHECK(large["digest"] == Digest::of(content).text());
    CHECK(large["size"] == content.size());
    CHECK(large["xattrs"]["user.note"] == "AHg=");
    CHECK(large["chunkDigest"] == Digest::of(std::string_view(content).substr(0, kFrameSize)).text());
    CHECK(toc["entries"][6]["chunkType"] == "zeros");
    CHECK(toc["entries"][6]["chunkSize"] == 3 * kFrameSize);
    CHECK(toc["entries"][7]["chunkOffset"] == 4 * kFrameSize);
    CHECK(toc["entries"][8]["chunkSize"] == 100);
    CHECK(toc["entries"][8]["endOffset"] == large["endOffset"]);

    // The tar-split and the files make up the tar.
    const std::string split = read_table(layer, chunked::kTarSplitPosition);
    std::uint64_t size = 0;
    std::size_t line = 0;
    for (std::size_t at = 0; at < split.size(); ++line) {
        const std::size_t end = split.find('\n', at);
        const json item = json::parse(split.substr(at, end - at));
        CHECK(item["position"] == line);
        if (item["type"] == 1)
            size += item.value("size", std::uint64_t{0});
        else
            size += item["payload"].get<std::string>().size() / 4 * 3 -
                    static_cast<std::size_t>(std::ranges::count(item["payload"].get<std::string>(), '='));
        at = end + 1;
    }
    CHECK(size == layer.stored.content_size);
    // CRC-64/GO-ISO of "small", most significant byte first.
    CHECK(split.find(R"("name":"b\nfile","size":5,"payload":"Pu7kH0xAAAA=")") != std::string::npos);
    CHECK_FALSE(check_layer_toc(*layer.open(), layer.annotations()).has_value());
}

TEST_CASE("a layer's table of contents is read back, and proves its frames") {
    const std::string content = large_content();
    const Layer layer = write_layer(content);
    const auto toc = read_layer_toc(*layer.open(), layer.annotations());
    REQUIRE(toc);
    REQUIRE(toc->chunks.size() == 5);
    CHECK(toc->chunks[0].digest == sha256(as_bytes("small")));
    CHECK(toc->chunks[2].is_zero);
    CHECK(toc->chunks[2].content_size == 3 * kFrameSize);
    CHECK(toc->chunks[2].stored_end == toc->chunks[3].stored_offset);
    const auto proven = open_layer_content(layer.open(), {}, {}, toc->proofs());
    std::vector<std::byte> all(proven->size());
    CHECK(proven->read_some_at(0, all) == layer.stored.content_size);
    auto proofs = toc->proofs();
    proofs[1].digest[3] ^= std::byte{8};
    CHECK_THROWS_AS(open_layer_content(layer.open(), {}, {}, proofs)->read_some_at(0, all), Error);
    CHECK_FALSE(read_layer_toc(*layer.open(), {}).has_value());
}

TEST_CASE("a table of contents that is not the manifest's is refused") {
    const Layer layer = write_layer(large_content());
    const auto refused = [&](const char* key, const std::string& value) {
        Annotations annotations = layer.annotations();
        annotations[key] = value;
        CHECK_THROWS_AS(read_layer_toc(*layer.open(), annotations), Error);
        CHECK(check_layer_toc(*layer.open(), annotations).has_value());
    };
    refused(chunked::kTocChecksum, Digest::of("another").text());
    refused(chunked::kTocChecksum, "sha256:12");
    for (const char* position : {"", "1", "1:2:3", "1:2:3:1:5", "x:2:3:1", "1:2:3:2", "99999999999:100:100:1",
                                 "18446744073709551615:10:10:1", "8:200000000:9:1"})
        refused(chunked::kTocPosition, position);
    Annotations annotations = layer.annotations();
    annotations[chunked::kTarSplitPosition] = "8:100:100";
    CHECK(check_layer_toc(*layer.open(), annotations).has_value());
}

TEST_CASE("tables of contents that no layer can have are refused") {
    const auto read = [](const std::string& text) {
        TextPacker packer;
        packer.append(text);
        const std::vector<std::byte> packed = packer.finish();
        const auto store = std::make_shared<MemoryStore>();
        const std::string blob = std::string(1000, ' ') + std::string(as_text(make_skippable_frame(packed)));
        store->put_blob(Digest::of(blob), blob);
        const auto layer = MemorySource(store).open_blob({.digest = Digest::of(blob), .size = blob.size()});
        return read_layer_toc(*layer, {{chunked::kOldTocChecksum, Digest(sha256(packed)).text()},
                                       {chunked::kOldTocPosition, "1008:" + std::to_string(packed.size()) + ":" +
                                                                      std::to_string(text.size()) + ":1"}});
    };
    const std::string digest = Digest::of("x").text();
    const std::string good = R"({"type":"reg","name":"a","size":9,"offset":10,"digest":")" + digest + "\"}";
    REQUIRE(read(R"({"version":1,"entries":[)" + good + "]}"));
    CHECK(read(R"({"version":1,"entries":[)" + good + "]}")->chunks.at(0).stored_end == 1000);
    for (const std::string& entries : {
             std::string(R"({"type":"chunk","name":"a","offset":10})"),
             R"({"type":"reg","name":"a","size":9,"offset":-1,"digest":")" + digest + "\"}",
             R"({"type":"reg","name":"a","size":9,"offset":2000,"digest":")" + digest + "\"}",
             std::string(R"({"type":"reg","name":"a","size":9,"offset":10})"),
             R"({"type":"reg","name":"a","size":9,"offset":10,"chunkSize":3,"chunkDigest":")" + digest + "\"}",
             R"({"type":"reg","name":"a","size":9,"offset":10,"chunkSize":30,"chunkDigest":")" + digest + "\"}",
             good + "," + good,
             std::string(R"({"a":{"b":{"c":{"d":{}}}}})"),
         })
        CHECK_THROWS_AS(read(R"({"version":1,"entries":[)" + entries + "]}"), Error);
    CHECK_THROWS_AS(read("[]"), Error);
    CHECK_THROWS_AS(read("{"), Error);
    // What is not known beside the entries and in them is passed over, in the time that its text takes.
    std::string many =
        R"({"version":1,"entries":[)" + good.substr(0, good.size() - 1) + R"(,"xattrs":{"a":"b"},"l":[1,2])";
    for (int i = 0; i < 10'000; ++i)
        many += ",\"x" + std::to_string(i) + "\":{}";
    many += "}]";
    for (int i = 0; i < 10'000; ++i)
        many += ",\"" + std::to_string(i) + "\":{}";
    CHECK(read(many + "}")->chunks.size() == 1);
}

TEST_CASE("what cannot be a chunked layer is refused when it begins") {
    const auto store = std::make_shared<MemoryStore>();
    MemoryDestination destination(store);
    LayerOptions options = CompressionSpec{Compression::gzip, 1};
    options.form = LayerForm::chunked;
    CHECK_THROWS_AS(LayerWriter(destination, options, {}), Error);
    ChunkedRecorder recorder;
    CHECK_THROWS_WITH(recorder.entry_begins(entry_of("caf\xe9", FileType::regular), "header"),
                      Catch::Contains("not UTF-8"));
}
