#include "formats/base/byte_stream.hpp"
#include "formats/base/counting_sink.hpp"
#include "formats/base/error.hpp"
#include "formats/base/fd.hpp"
#include "formats/base/lending_pool.hpp"
#include "formats/base/progress.hpp"
#include "tests/support/refusal.hpp"

#include <catch2/catch.hpp>

#include <memory>
#include <set>

using namespace vm2oci;

TEST_CASE("what is lent comes back, and a new thing is made only when all are lent") {
    int made = 0;
    LendingPool<std::unique_ptr<int>> pool([&] { return std::make_unique<int>(++made); });
    {
        auto first = pool.lease();
        CHECK(**first == 1);
        auto second = pool.lease();
        CHECK(**second == 2);
        CHECK(first->get() != second->get());
    }
    CHECK(made == 2);
    {
        auto again = pool.lease();
        auto other = pool.lease();
        CHECK(std::set<int>{**again, **other} == std::set<int>{1, 2});
        auto third = pool.lease();
        CHECK(**third == 3);
    }
    for (int i = 0; i < 5; ++i)
        pool.lease();
    CHECK(made == 3);
}

TEST_CASE("a thing that could not be made leaves the pool as it was") {
    bool broken = true;
    LendingPool<int> pool([&] {
        if (broken)
            fail(ErrorKind::io, "no");
        return 7;
    });
    CHECK_THROWS_AS(pool.lease(), Error);
    broken = false;
    CHECK(*pool.lease() == 7);
}

TEST_CASE("a counting sink counts what it hands on") {
    struct Kept final : ByteSink {
        std::string text;
        void write(std::span<const std::byte> bytes) override { text += as_text(bytes); }
    } kept;
    CountingSink sink(kept);
    CHECK(sink.count() == 0);
    sink.write(as_bytes(std::string_view("abc")));
    sink.write({});
    sink.write(as_bytes(std::string_view("de")));
    CHECK(sink.count() == 5);
    CHECK(kept.text == "abcde");
}

TEST_CASE("a stream from memory gives what was not consumed") {
    MemoryStream stream(as_bytes(std::string_view("abcdef")));
    CHECK(as_text(stream.available()) == "abcdef");
    stream.consume(0);
    stream.consume(2);
    CHECK(as_text(stream.available()) == "cdef");
    stream.consume(4);
    CHECK(stream.available().empty());
}

TEST_CASE("cancelling is seen by whoever looks, and by nobody who was given nothing") {
    Cancellation cancellation;
    OperationContext context;
    CHECK_NOTHROW(context.check_cancelled());
    context.cancellation = &cancellation;
    CHECK_NOTHROW(context.check_cancelled());
    CHECK_FALSE(cancellation.cancelled());
    cancellation.cancel();
    CHECK(cancellation.cancelled());
    CHECK_THAT(test::refusal_of([&] {
                   context.check_cancelled();
                   return 0;
               }),
               Catch::StartsWith("cancelled: "));
    CHECK(context.thread_count() >= 1);
    context.threads = 3;
    CHECK(context.thread_count() == 3);
    CHECK(&silent_progress() == context.progress);
}

TEST_CASE("hints are kept where they were given first, and completed by kind") {
    Error error(ErrorKind::limit, "too large");
    CHECK(error.hint().kind == HintKind::none);
    error.complete_hint(HintKind::size, "x");
    CHECK(error.hint().argument.empty());
    error.suggest(HintKind::size);
    error.suggest(HintKind::root);
    CHECK(error.hint().kind == HintKind::size);
    error.complete_hint(HintKind::root, "other");
    CHECK(error.hint().argument.empty());
    error.complete_hint(HintKind::size, "20G");
    error.complete_hint(HintKind::size, "30G");
    CHECK(error.hint().argument == "20G");
    error.add_context("inner");
    error.add_context("outer");
    CHECK(std::string(error.what()) == "outer: inner: too large");
    CHECK(error.context() == std::vector<std::string>{"outer", "inner"});
}

TEST_CASE("every kind of error has a word of its own") {
    std::set<std::string> words;
    for (const ErrorKind kind :
         {ErrorKind::io, ErrorKind::corrupt, ErrorKind::unsupported, ErrorKind::unsafe, ErrorKind::limit,
          ErrorKind::not_found, ErrorKind::conflict, ErrorKind::usage, ErrorKind::external, ErrorKind::cancelled})
        words.emplace(to_string(kind));
    CHECK(words == std::set<std::string>{"io", "corrupt", "unsupported", "unsafe", "limit", "not_found", "conflict",
                                         "usage", "external", "cancelled"});
}
