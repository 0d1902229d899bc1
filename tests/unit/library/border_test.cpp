// The border of the library: errors and hints, requests that make no sense, cancellation.
#include "formats/base/error.hpp"
#include "tests/support/small_disk.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tools/library/border.hpp"

#include <catch2/catch.hpp>
#include <vm2oci/vm2oci.hpp>

#include <set>

using namespace vm2oci;

namespace {

template <class Body>
v0::ErrorKind kind_of(Body&& body) {
    try {
        body();
    } catch (const v0::Error& error) {
        return error.kind();
    }
    FAIL("nothing was refused");
    return v0::ErrorKind::io;
}

v0::ErrorKind refusal_of(const v0::ConvertRequest& request) {
    return kind_of([&] { v0::convert(request); });
}

} // namespace

TEST_CASE("an error crosses the border with its kind, context and hint") {
    try {
        v0::at_border([] {
            with_context("outer", [] {
                with_context("inner", [] { fail(vm2oci::ErrorKind::limit, "too much", HintKind::max_virtual_size); });
            });
        });
        FAIL("it was swallowed");
    } catch (const v0::Error& error) {
        CHECK(error.kind() == v0::ErrorKind::limit);
        CHECK(error.message() == "too much");
        CHECK(error.context() == std::vector<std::string>{"outer", "inner"});
        CHECK(error.hint().kind == "max-virtual-size");
        CHECK(std::string(error.what()) == "outer: inner: too much");
    }
    CHECK(kind_of([] { v0::at_border([] { throw std::system_error(EAGAIN, std::generic_category()); }); }) ==
          v0::ErrorKind::io);
    CHECK_THROWS_AS(v0::at_border([] { throw std::bad_alloc(); }), std::bad_alloc);
}

TEST_CASE("kinds have the same words on both sides") {
    for (int i = 0; i <= static_cast<int>(v0::ErrorKind::cancelled); ++i)
        CHECK(v0::to_string(static_cast<v0::ErrorKind>(i)) == vm2oci::to_string(static_cast<vm2oci::ErrorKind>(i)));
}

TEST_CASE("a hint that is there already stays") {
    try {
        with_hint(HintKind::size, [] { fail(vm2oci::ErrorKind::io, "x", HintKind::scratch_folder); });
    } catch (const vm2oci::Error& error) {
        CHECK(error.hint().kind == HintKind::scratch_folder);
    }
    try {
        with_hint({HintKind::guest_backend, "native"}, [] { fail(vm2oci::ErrorKind::io, "x"); });
    } catch (const vm2oci::Error& error) {
        CHECK(error.hint().kind == HintKind::guest_backend);
        CHECK(error.hint().argument == "native");
    }
}

TEST_CASE("requests that make no sense are refused before work begins") {
    v0::ConvertRequest request;
    request.source = "raw:/no/such/disk";
    request.destination = "qcow2:/tmp/x";
    CHECK(refusal_of(request) == v0::ErrorKind::usage);
    request.shape = v0::PlainDisk{};
    request.destination = "null:";
    CHECK(refusal_of(request) == v0::ErrorKind::usage);
    request.destination = "vmdk:/tmp/x";
    CHECK(refusal_of(request) == v0::ErrorKind::usage);
    request.shape = v0::ContainerDisk{};
    request.destination = "null:";
    CHECK(refusal_of(request) == v0::ErrorKind::not_found);
    request.image.compression = "gzip";
    request.image.chunked = true;
    CHECK(refusal_of(request) == v0::ErrorKind::usage);
    request.image = {};
    request.disk.cluster_compression = v0::ClusterCompression::zstd;
    request.disk.format = v0::DiskOutputFormat::raw;
    CHECK(refusal_of(request) == v0::ErrorKind::usage);
    request.disk = {};
    request.disk.format = v0::DiskOutputFormat::keep;
    request.edits.hostname = "web02";
    CHECK(refusal_of(request) == v0::ErrorKind::usage);
    request.disk = {};
    request.edits.cloud_init.as_disk = true;
    CHECK(refusal_of(request) == v0::ErrorKind::usage);
    CHECK(kind_of([] { v0::verify("raw:/no/such/disk"); }) == v0::ErrorKind::usage);
    CHECK(kind_of([] { v0::check("oci:/no/such/layout:web", {"nobody"}); }) == v0::ErrorKind::usage);
}

TEST_CASE("a disk is converted, told of, and stopped") {
    const test::TemporaryFolder folder;
    const std::filesystem::path disk = folder.path() / "disk.raw";
    test::write_small_disk(disk, "web01");
    v0::ConvertRequest request;
    request.source = "raw:" + disk.string();
    request.destination = "oci:" + (folder.path() / "images").string() + ":web";
    const v0::ConvertResult made = v0::convert(request);
    REQUIRE(made.image);
    CHECK(made.published);
    CHECK(made.image->layers.size() == 1);
    CHECK(made.disk->path == "disk/disk.qcow2");
    CHECK(v0::verify(request.destination).mismatches.empty());
    CHECK(v0::inspect({request.destination, {}, {}, {}}).image->digest == made.image->digest);
    v0::Cancellation cancellation;
    cancellation.cancel();
    v0::Operation operation;
    operation.cancellation = &cancellation;
    CHECK(kind_of([&] { v0::convert(request, operation); }) == v0::ErrorKind::cancelled);
}
