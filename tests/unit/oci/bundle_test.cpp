#include "formats/base/error.hpp"
#include "formats/oci/bundle.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;

namespace {

BundleDescription sample() {
    BundleDescription bundle;
    bundle.kernel_origin = KernelOrigin::minimal;
    bundle.kernel_release = "6.1.192-vm2oci";
    bundle.initramfs = bundle_path::initramfs;
    bundle.command_line = "root=/dev/vda ro console=ttyS0";
    bundle.root = bundle_path::root_erofs;
    bundle.root_format = BundleRootFormat::erofs;
    return bundle;
}

ErrorKind refusal(const Annotations& annotations) {
    try {
        parse_bundle(annotations);
    } catch (const Error& error) {
        return error.kind();
    }
    FAIL("accepted");
    return ErrorKind::io;
}

} // namespace

TEST_CASE("bundles say in annotations what they are") {
    CHECK(parse_bundle(bundle_annotations(sample())) == sample());
    CHECK(parse_bundle({{"org.vm2oci.version", "1"}}) == std::nullopt);
    BundleDescription plain;
    plain.command_line = "root=/dev/vda1";
    CHECK(parse_bundle(bundle_annotations(plain)) == plain);
    CHECK(bundle_annotations(plain).count(bundle_annotation::initramfs) == 0);
    CHECK(bundle_annotations(plain).count(bundle_annotation::verity_hash) == 0);
    BundleDescription proven = sample();
    proven.verity = {std::string(64, 'a'), 8192};
    CHECK(parse_bundle(bundle_annotations(proven)) == proven);
}

TEST_CASE("bundles that cannot be right are refused") {
    const Annotations good = bundle_annotations(sample());
    const auto with = [&](const char* key, const std::string& value) {
        Annotations changed = good;
        changed[key] = value;
        return changed;
    };
    CHECK(refusal(with(bundle_annotation::version, "2")) == ErrorKind::unsupported);
    for (const char* key : {bundle_annotation::kernel, bundle_annotation::kernel_origin,
                            bundle_annotation::command_line, bundle_annotation::root, bundle_annotation::root_format}) {
        Annotations changed = good;
        changed.erase(key);
        CAPTURE(key);
        CHECK(refusal(changed) == ErrorKind::corrupt);
    }
    for (const char* path : {"", "/boot/vmlinuz", "../vmlinuz", "boot/../../x", "boot//x", "boot/", "./x", "boot/a b",
                             "boot/a,b", "boot/\x1b"})
        for (const char* key : {bundle_annotation::kernel, bundle_annotation::initramfs, bundle_annotation::root}) {
            CAPTURE(path, key);
            CHECK(refusal(with(key, path)) == ErrorKind::corrupt);
        }
    CHECK(refusal(with(bundle_annotation::initramfs, "other/vmlinuz")) == ErrorKind::corrupt);
    CHECK(refusal(with(bundle_annotation::root_format, "vmdk")) == ErrorKind::corrupt);
    CHECK(refusal(with(bundle_annotation::command_line, "a\nb")) == ErrorKind::corrupt);
    CHECK(refusal(with(bundle_annotation::command_line, std::string(2048, 'a'))) == ErrorKind::corrupt);
    CHECK(parse_bundle(with(bundle_annotation::command_line, std::string(2047, 'a'))).has_value());

    // A proof without its place, or with one that no tree has.
    Annotations proven = with(bundle_annotation::verity_hash, std::string(64, '0'));
    CHECK(refusal(proven) == ErrorKind::corrupt);
    for (const char* place : {"", "0", "-4096", "4097", "8192x", "99999999999999999999"}) {
        CAPTURE(place);
        proven[bundle_annotation::verity_offset] = place;
        CHECK(refusal(proven) == ErrorKind::corrupt);
    }
    proven[bundle_annotation::verity_offset] = "8192";
    CHECK(parse_bundle(proven)->verity == BundleVerity{std::string(64, '0'), 8192});
    for (const std::string& hash : {std::string(), std::string(63, '0'), std::string(64, 'A'), std::string(65, '0')}) {
        CAPTURE(hash);
        proven[bundle_annotation::verity_hash] = hash;
        CHECK(refusal(proven) == ErrorKind::corrupt);
    }
}

TEST_CASE("bundles that would be refused are not made") {
    BundleDescription bundle = sample();
    bundle.kernel = "/boot/vmlinuz";
    CHECK_THROWS_AS(bundle_annotations(bundle), Error);
}
