#include "formats/appliance/job.hpp"
#include "formats/base/error.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;

namespace {

ApplianceJob sample_job() {
    ApplianceJob job;
    job.time = -5;
    job.volumes = {{0, "xfs", "discard,nouuid", 1ull << 40}, {3, "btrfs", "", 512}, {3, "btrfs", "subvol=@", 512}};
    JobStep write;
    write.path = "etc/hostname";
    write.volume = 1;
    write.content_offset = 4096;
    write.content_size = (1ull << 33) + 1;
    write.attributes = {0640, 1000, std::nullopt, "system_u:object_r:etc_t:s0"};
    JobStep link;
    link.kind = JobStepKind::make_symlink;
    link.volume = 2;
    link.path = "a\n\xff";
    link.link_target = "../b";
    JobStep trim;
    trim.kind = JobStepKind::trim;
    job.steps = {write, link, trim};
    return job;
}

bool is_refused(std::string_view bytes) {
    try {
        (void)decode_job(bytes);
        return false;
    } catch (const Error& error) {
        return error.kind() == ErrorKind::corrupt;
    }
}

} // namespace

TEST_CASE("a job comes back as it was") {
    const ApplianceJob job = sample_job();
    const ApplianceJob read = decode_job(encode_job(job));
    CHECK(read.time == -5);
    REQUIRE(read.volumes.size() == 3);
    CHECK(read.volumes[0].type == "xfs");
    CHECK(read.volumes[0].options == "discard,nouuid");
    CHECK(read.volumes[0].size == 1ull << 40);
    CHECK(read.volumes[2].disk == 3);
    REQUIRE(read.steps.size() == 3);
    CHECK(read.steps[0].kind == JobStepKind::write_file);
    CHECK(read.steps[0].volume == 1);
    CHECK(read.steps[0].path == "etc/hostname");
    CHECK(read.steps[0].content_offset == 4096);
    CHECK(read.steps[0].content_size == (1ull << 33) + 1);
    CHECK(read.steps[0].attributes.permissions == 0640U);
    CHECK(read.steps[0].attributes.uid == 1000U);
    CHECK_FALSE(read.steps[0].attributes.gid);
    CHECK(read.steps[0].attributes.selinux_label == "system_u:object_r:etc_t:s0");
    CHECK(read.steps[1].link_target == "../b");
    CHECK(read.steps[1].path == "a\n\xff");
    CHECK(read.steps[2].kind == JobStepKind::trim);
}

TEST_CASE("a job that was cut anywhere, or has more behind it, is refused") {
    const std::string bytes = encode_job(sample_job());
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        INFO(size);
        CHECK(is_refused(std::string_view(bytes).substr(0, size)));
    }
    CHECK(is_refused(bytes + '\0'));
    CHECK_FALSE(is_refused(bytes));
}

TEST_CASE("a job with what no job has is refused") {
    ApplianceJob job = sample_job();
    job.steps[0].volume = 3;
    CHECK(is_refused(encode_job(job)));
    job = sample_job();
    job.volumes[1].disk = kMaxJobDisks;
    CHECK(is_refused(encode_job(job)));
    job = sample_job();
    job.volumes.resize(kMaxJobVolumes + 1);
    CHECK(is_refused(encode_job(job)));
    job = sample_job();
    job.steps[2].kind = static_cast<JobStepKind>(8);
    CHECK(is_refused(encode_job(job)));
    job.steps[2].kind = static_cast<JobStepKind>(0);
    CHECK(is_refused(encode_job(job)));
    std::string version = encode_job(sample_job());
    version[0] = 2;
    CHECK(is_refused(version));
    // As many steps as four bytes can count, in a job of some bytes: no memory is taken for them.
    const std::string empty = encode_job({});
    CHECK(is_refused(empty.substr(0, empty.size() - 4) + "\xff\xff\xff\xff"));
}

TEST_CASE("the header says where the list lies, and never beyond the disk") {
    const std::string header = encode_job_header({8192, 100});
    REQUIRE(header.size() == kJobHeaderSize);
    const JobPlace place = decode_job_header(header, 8292);
    CHECK(place.offset == 8192);
    CHECK(place.size == 100);
    CHECK_THROWS_AS(decode_job_header(header, 8291), Error);
    CHECK_THROWS_AS(decode_job_header(header.substr(1) + " ", 1 << 20), Error);
    CHECK_THROWS_AS(decode_job_header(header.substr(0, 10), 1 << 20), Error);
    CHECK_THROWS_AS(decode_job_header(encode_job_header({~0ull, 2}), 1 << 20), Error);
    CHECK_THROWS_AS(decode_job_header(encode_job_header({0, kMaxJobSize + 1}), ~0ull), Error);
}
