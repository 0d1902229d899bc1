#include "formats/nbd/handshake.hpp"
#include "tests/unit/nbd/script.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;

namespace {

NbdExport read_only() {
    NbdExport exported;
    exported.device = std::make_shared<TestDisk>();
    return exported;
}

// Plays the input against the export and returns a reader of the answer behind the 18 bytes of greeting.
struct Conversation {
    ScriptedChannel channel;
    NbdReader answer;

    Conversation(const NbdMessage& input, const NbdExport& exported = read_only())
        : channel(input), answer((serve_nbd(channel, exported), std::span(channel.output))) {
        answer.take<std::uint64_t>();
        answer.take<std::uint64_t>();
        answer.take<std::uint16_t>();
    }

    void expect_option_reply(std::uint32_t number, std::uint32_t type, std::uint32_t length) {
        CHECK(answer.take<std::uint64_t>() == nbd::kOptionReplyMagic);
        CHECK(answer.take<std::uint32_t>() == number);
        CHECK(answer.take<std::uint32_t>() == type);
        CHECK(answer.take<std::uint32_t>() == length);
    }

    void expect_go(bool writable) {
        expect_option_reply(nbd::option::go, nbd::option_reply::info, 12);
        CHECK(answer.take<std::uint16_t>() == nbd::info::export_size);
        CHECK(answer.take<std::uint64_t>() == TestDisk::kSize);
        CHECK(((answer.take<std::uint16_t>() & nbd::kReadOnly) == 0) == writable);
        expect_option_reply(nbd::option::go, nbd::option_reply::info, 14);
        answer.take_text(14);
        expect_option_reply(nbd::option::go, nbd::option_reply::ack, 0);
    }

    void expect_simple(std::uint64_t cookie, std::uint32_t error) {
        CHECK(answer.take<std::uint32_t>() == nbd::kSimpleReplyMagic);
        CHECK(answer.take<std::uint32_t>() == error);
        CHECK(answer.take<std::uint64_t>() == cookie);
    }

    void expect_chunk(std::uint64_t cookie, std::uint16_t type, std::uint32_t length) {
        CHECK(answer.take<std::uint32_t>() == nbd::kStructuredReplyMagic);
        CHECK(answer.take<std::uint16_t>() == nbd::chunk::done_flag);
        CHECK(answer.take<std::uint16_t>() == type);
        CHECK(answer.take<std::uint64_t>() == cookie);
        CHECK(answer.take<std::uint32_t>() == length);
    }

    void expect_end() { CHECK((answer.ok() && answer.empty())); }
};

NbdMessage connected() {
    NbdMessage input;
    put_client_flags(input);
    put_go(input);
    return input;
}

NbdMessage structured() {
    NbdMessage input;
    put_client_flags(input);
    put_option(input, nbd::option::structured_reply);
    NbdMessage context;
    context.put(std::uint32_t{0}).put(std::uint32_t{1}).put(std::uint32_t{15}).put_text("base:allocation");
    put_option(input, nbd::option::set_meta_context, context);
    put_go(input);
    return input;
}

void expect_structured_handshake(Conversation& talk) {
    talk.expect_option_reply(nbd::option::structured_reply, nbd::option_reply::ack, 0);
    talk.expect_option_reply(nbd::option::set_meta_context, nbd::option_reply::meta_context, 19);
    CHECK(talk.answer.take<std::uint32_t>() == nbd::kAllocationContextId);
    CHECK(talk.answer.take_text(15) == "base:allocation");
    talk.expect_option_reply(nbd::option::set_meta_context, nbd::option_reply::ack, 0);
    talk.expect_go(false);
}

} // namespace

TEST_CASE("a simple client reads the disk's bytes") {
    NbdMessage input = connected();
    put_request(input, nbd::command::read, 7, 250, 3);
    put_request(input, nbd::command::disconnect, 8, 0, 0);
    Conversation talk(input);
    talk.expect_go(false);
    talk.expect_simple(7, 0);
    CHECK(talk.answer.take_text(3) == std::string("\xfa\x00\x01", 3));
    talk.expect_end();
}

TEST_CASE("the old way to connect, by export name, pads only when asked") {
    NbdMessage plain;
    plain.put(std::uint32_t{nbd::kFixedNewstyle});
    put_option(plain, nbd::option::export_name);
    Conversation padded(plain);
    CHECK(padded.answer.take<std::uint64_t>() == TestDisk::kSize);
    padded.answer.take<std::uint16_t>();
    CHECK(padded.answer.take_text(124) == std::string(124, '\0'));
    padded.expect_end();

    NbdMessage modern;
    put_client_flags(modern);
    put_option(modern, nbd::option::export_name);
    Conversation bare(modern);
    bare.answer.take<std::uint64_t>();
    bare.answer.take<std::uint16_t>();
    bare.expect_end();
}

TEST_CASE("requests outside the disk and unknown ones are refused, and the connection goes on") {
    NbdMessage input = connected();
    put_request(input, nbd::command::read, 1, TestDisk::kSize, 1);
    put_request(input, nbd::command::read, 2, ~std::uint64_t{0}, 16);
    put_request(input, nbd::command::read, 3, 0, kNbdMaxTransfer + 1);
    put_request(input, 99, 4, 0, 1);
    put_request(input, nbd::command::block_status, 5, 0, 1);
    put_request(input, nbd::command::flush, 6, 0, 0);
    Conversation talk(input);
    talk.expect_go(false);
    for (std::uint64_t cookie = 1; cookie <= 3; ++cookie)
        talk.expect_simple(cookie, nbd::error_number::invalid);
    talk.expect_simple(4, nbd::error_number::unsupported);
    talk.expect_simple(5, nbd::error_number::invalid);
    talk.expect_simple(6, 0);
    talk.expect_end();
}

TEST_CASE("a read-only export refuses writes without losing its place") {
    NbdMessage input = connected();
    put_request(input, nbd::command::write, 1, 0, 4).put_text("data");
    put_request(input, nbd::command::read, 2, 1, 1);
    Conversation talk(input);
    talk.expect_go(false);
    talk.expect_simple(1, nbd::error_number::permission);
    talk.expect_simple(2, 0);
    CHECK(talk.answer.take_text(1) == "\x01");
    talk.expect_end();
}

TEST_CASE("a writable export hands on what is written") {
    NbdExport exported = read_only();
    std::string written;
    exported.write = [&](std::uint64_t offset, std::span<const std::byte> bytes) {
        written +=
            std::to_string(offset) + ":" + std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    };
    NbdMessage input = connected();
    put_request(input, nbd::command::write, 1, 512, 4).put_text("data");
    put_request(input, nbd::command::write, 2, TestDisk::kSize - 1, 4).put_text("over");
    Conversation talk(input, exported);
    talk.expect_go(true);
    talk.expect_simple(1, 0);
    talk.expect_simple(2, nbd::error_number::invalid);
    talk.expect_end();
    CHECK(written == "512:data");
}

TEST_CASE("what a client discards is handed on if the owner listens") {
    std::vector<std::pair<std::uint64_t, std::uint64_t>> discarded;
    NbdExport exported = read_only();
    exported.write = [](std::uint64_t, std::span<const std::byte>) {};
    NbdMessage input = connected();
    put_request(input, nbd::command::trim, 1, 4096, 8192);
    put_request(input, nbd::command::trim, 2, TestDisk::kSize - 1, 2);
    Conversation deaf(input, exported);
    deaf.expect_go(true);
    deaf.expect_simple(1, nbd::error_number::unsupported);
    exported.discard = [&](std::uint64_t offset, std::uint64_t length) { discarded.emplace_back(offset, length); };
    CHECK((nbd_transmission_flags(exported) & nbd::kSendTrim) != 0);
    const Conversation talk(input, exported);
    CHECK(discarded == std::vector<std::pair<std::uint64_t, std::uint64_t>>{{4096, 8192}});
}

TEST_CASE("errors of the disk reach the owner with their text and the client as I/O errors") {
    NbdExport exported = read_only();
    std::vector<std::string> heard;
    exported.on_error = [&](const std::string& what) { heard.push_back(what); };
    NbdMessage input = connected();
    put_request(input, nbd::command::read, 1, TestDisk::kBroken - 1, 2);
    Conversation talk(input, exported);
    talk.expect_go(false);
    talk.expect_simple(1, nbd::error_number::io);
    talk.expect_end();
    CHECK(heard == std::vector<std::string>{"cluster 8 is broken"});
}

TEST_CASE("structured replies carry holes, data and allocation") {
    NbdMessage input = structured();
    put_request(input, nbd::command::read, 1, TestDisk::kData, 4096);
    put_request(input, nbd::command::read, 2, TestDisk::kData, 2, nbd::kCommandDontFragment);
    put_request(input, nbd::command::block_status, 3, 4096, 1024 * 1024 - 4096);
    put_request(input, nbd::command::block_status, 4, 4096, 1024 * 1024 - 4096, nbd::kCommandRequestOne);
    put_request(input, nbd::command::read, 5, TestDisk::kSize, 1);
    Conversation talk(input);
    expect_structured_handshake(talk);
    talk.expect_chunk(1, nbd::chunk::offset_hole, 12);
    CHECK(talk.answer.take<std::uint64_t>() == TestDisk::kData);
    CHECK(talk.answer.take<std::uint32_t>() == 4096);
    talk.expect_chunk(2, nbd::chunk::offset_data, 10);
    CHECK(talk.answer.take<std::uint64_t>() == TestDisk::kData);
    CHECK(talk.answer.take_text(2) == std::string(2, '\0'));
    talk.expect_chunk(3, nbd::chunk::block_status, 4 + 4 * 8);
    CHECK(talk.answer.take<std::uint32_t>() == nbd::kAllocationContextId);
    const std::uint32_t runs[][2] = {{TestDisk::kData - 4096, 0},
                                     {TestDisk::kBroken - TestDisk::kData, nbd::kStateHole | nbd::kStateZero},
                                     {4096, 0},
                                     {TestDisk::kSize - TestDisk::kBroken - 4096, nbd::kStateZero}};
    for (const auto& run : runs) {
        CHECK(talk.answer.take<std::uint32_t>() == run[0]);
        CHECK(talk.answer.take<std::uint32_t>() == run[1]);
    }
    talk.expect_chunk(4, nbd::chunk::block_status, 4 + 8);
    talk.answer.take_text(12);
    talk.expect_chunk(5, nbd::chunk::error, 6);
    CHECK(talk.answer.take<std::uint32_t>() == nbd::error_number::invalid);
    talk.answer.take_text(2);
    talk.expect_end();
}

TEST_CASE("options that are not known, not whole or not yet allowed get an answer") {
    NbdMessage input;
    put_client_flags(input);
    put_option(input, 5); // STARTTLS
    put_option(input, nbd::option::info, NbdMessage().put(std::uint32_t{400}));
    put_option(input, nbd::option::set_meta_context, NbdMessage().put(std::uint32_t{0}).put(std::uint32_t{0}));
    put_option(input, nbd::option::list);
    put_option(input, nbd::option::abort);
    Conversation talk(input);
    talk.expect_option_reply(5, nbd::option_reply::unsupported, 0);
    talk.expect_option_reply(nbd::option::info, nbd::option_reply::invalid, 0);
    talk.expect_option_reply(nbd::option::set_meta_context, nbd::option_reply::invalid, 0);
    talk.expect_option_reply(nbd::option::list, nbd::option_reply::server, 4);
    talk.answer.take<std::uint32_t>();
    talk.expect_option_reply(nbd::option::list, nbd::option_reply::ack, 0);
    talk.expect_option_reply(nbd::option::abort, nbd::option_reply::ack, 0);
    talk.expect_end();
}

TEST_CASE("a client that breaks the protocol is dropped") {
    NbdMessage flags;
    flags.put(std::uint32_t{0x80});
    put_go(flags);
    Conversation bad_flags(flags);
    bad_flags.expect_end();

    NbdMessage huge;
    put_client_flags(huge);
    huge.put(nbd::kOptionMagic).put(nbd::option::go).put(std::uint32_t{0x7fffffff});
    Conversation bad_option(huge);
    bad_option.expect_end();

    NbdMessage magic = connected();
    magic.put_text(std::string(28, 'x'));
    Conversation bad_request(magic);
    bad_request.expect_go(false);
    bad_request.expect_end();

    NbdMessage endless;
    put_client_flags(endless);
    for (unsigned i = 0; i < 2 * kNbdMaxOptions; ++i)
        put_option(endless, 5);
    Conversation talkative(endless);
    CHECK(talkative.channel.output.size() == 18 + kNbdMaxOptions * 20);
}
