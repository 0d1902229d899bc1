#include "formats/base/ordered_hash.hpp"
#include "formats/base/sha256.hpp"
#include "formats/base/size.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>

using namespace vm2oci;

namespace {

std::vector<std::byte> sample_bytes(std::size_t size) {
    std::vector<std::byte> bytes(size);
    std::mt19937 random(7);
    std::ranges::generate(bytes, [&] { return static_cast<std::byte>(random()); });
    return bytes;
}

struct Subject {
    explicit Subject(std::size_t size) : bytes(sample_bytes(size)) {}

    void feed(std::uint64_t offset, std::size_t length) {
        hash.feed(offset, std::span(bytes).subspan(static_cast<std::size_t>(offset), length));
    }
    Sha256Sum finish() {
        return as_sha256_sum(hash.finish(bytes.size(), [] {}));
    }

    std::vector<std::byte> bytes;
    std::uint64_t read_again = 0;
    OrderedHash hash{[this](std::uint64_t offset, std::span<std::byte> buffer) {
        read_again += buffer.size();
        std::ranges::copy(std::span(bytes).subspan(static_cast<std::size_t>(offset), buffer.size()), buffer.begin());
    }};
};

} // namespace

TEST_CASE("what is read in order is not read again", "[base][hash]") {
    Subject subject(5 * MiB + 3);
    for (std::uint64_t offset = 0; offset < subject.bytes.size(); offset += MiB)
        subject.feed(offset, std::min<std::size_t>(MiB, subject.bytes.size() - static_cast<std::size_t>(offset)));
    CHECK(subject.finish() == sha256(subject.bytes));
    CHECK(subject.read_again == 0);
}

TEST_CASE("what nobody read is read at the end", "[base][hash]") {
    for (const std::size_t size : {std::size_t{0}, std::size_t{1}, 3 * MiB + 17}) {
        Subject subject(size);
        if (size > 100)
            subject.feed(50, 20);
        CHECK(subject.finish() == sha256(subject.bytes));
    }
}

TEST_CASE("the digest does not depend on the order, on repetitions or on overlaps", "[base][hash]") {
    std::mt19937 random(GENERATE(1U, 2U, 3U, 4U));
    Subject subject(40 * MiB);
    for (int i = 0; i < 400; ++i) {
        const std::uint64_t offset = random() % subject.bytes.size();
        subject.feed(offset, std::min<std::size_t>(random() % (512 * KiB), subject.bytes.size() - offset));
    }
    CHECK(subject.finish() == sha256(subject.bytes));
}

TEST_CASE("small pieces far away do not fill the memory", "[base][hash]") {
    Subject subject(20 * MiB);
    for (std::uint64_t offset = subject.bytes.size() - 512; offset > 1024; offset -= 1536)
        subject.feed(offset, 512);
    CHECK(subject.finish() == sha256(subject.bytes));
}

TEST_CASE("threads a little ahead of each other cost no second reading", "[base][hash]") {
    Subject subject(24 * MiB);
    const auto every_other = [&](std::uint64_t first) {
        for (std::uint64_t offset = first; offset < subject.bytes.size(); offset += 2 * MiB)
            subject.feed(offset, MiB);
    };
    every_other(MiB); // 12 MiB wait for what comes between them
    std::thread other([&] { every_other(0); });
    other.join();
    CHECK(subject.finish() == sha256(subject.bytes));
    CHECK(subject.read_again == 0);
}

TEST_CASE("what is fed behind the end is passed over, and a step can be refused", "[base][hash]") {
    Subject subject(2 * MiB);
    CHECK_THROWS_AS(subject.hash.finish(2 * MiB, [] { throw std::runtime_error("cancelled"); }), std::runtime_error);
    CHECK(subject.finish() == sha256(subject.bytes));
    subject.feed(0, 100);
    subject.feed(MiB, 100);
}
