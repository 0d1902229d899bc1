#include "formats/appliance/job.hpp"

#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"
#include "formats/base/fd.hpp"

#include <array>
#include <concepts>
#include <optional>

namespace vm2oci {
namespace {

constexpr std::string_view kMagic = "VM2OCIJB";
constexpr std::uint32_t kVersion = 1;
constexpr std::uint8_t kLastStep = static_cast<std::uint8_t>(JobStepKind::trim);

template <std::unsigned_integral T>
void put(std::string& out, T value) {
    std::array<std::byte, sizeof(T)> bytes{};
    store_le(bytes.data(), value);
    out += as_text(bytes);
}

void put_text(std::string& out, std::string_view text) {
    put(out, static_cast<std::uint32_t>(text.size()));
    out += text;
}

void put_number(std::string& out, const std::optional<std::uint32_t>& number) {
    put(out, static_cast<std::uint8_t>(number ? 1 : 0));
    put(out, number.value_or(0));
}

class JobReader {
  public:
    explicit JobReader(std::string_view bytes) : rest_(bytes) {}

    template <std::unsigned_integral T>
    T number() {
        const std::string_view bytes = take(sizeof(T));
        return load_le<T>(as_bytes(bytes).data());
    }
    std::string text() { return std::string(take(number<std::uint32_t>())); }
    std::optional<std::uint32_t> optional_number() {
        const auto there = number<std::uint8_t>();
        const auto value = number<std::uint32_t>();
        if (there > 1)
            fail(ErrorKind::corrupt, "the appliance's job has a number that is neither there nor not");
        return there == 1 ? std::optional(value) : std::nullopt;
    }
    // Of a list whose entries have at least `smallest` bytes: more than fit are none.
    std::uint32_t count(std::size_t smallest) {
        const auto number_of = number<std::uint32_t>();
        if (number_of > rest_.size() / smallest)
            fail(ErrorKind::corrupt, "the appliance's job counts more than it holds");
        return number_of;
    }
    void finish() const {
        if (!rest_.empty())
            fail(ErrorKind::corrupt, "something follows the appliance's job");
    }

  private:
    std::string_view take(std::size_t size) {
        if (size > rest_.size())
            fail(ErrorKind::corrupt, "the appliance's job ends early");
        const std::string_view taken = rest_.substr(0, size);
        rest_.remove_prefix(size);
        return taken;
    }

    std::string_view rest_;
};

void put_step(std::string& out, const JobStep& step) {
    put(out, static_cast<std::uint8_t>(step.kind));
    put(out, step.volume);
    put_text(out, step.path);
    put(out, step.content_offset);
    put(out, step.content_size);
    put_text(out, step.link_target);
    put_number(out, step.attributes.permissions);
    put_number(out, step.attributes.uid);
    put_number(out, step.attributes.gid);
    put_text(out, step.attributes.selinux_label);
}

JobStep read_step(JobReader& reader, std::size_t volumes) {
    JobStep step;
    const auto kind = reader.number<std::uint8_t>();
    if (kind == 0 || kind > kLastStep)
        fail(ErrorKind::corrupt, "the appliance's job has a step of no kind that is known");
    step.kind = static_cast<JobStepKind>(kind);
    step.volume = reader.number<std::uint32_t>();
    if (step.volume >= volumes)
        fail(ErrorKind::corrupt, "a step of the appliance's job is for a volume that it does not have");
    step.path = reader.text();
    step.content_offset = reader.number<std::uint64_t>();
    step.content_size = reader.number<std::uint64_t>();
    step.link_target = reader.text();
    step.attributes.permissions = reader.optional_number();
    step.attributes.uid = reader.optional_number();
    step.attributes.gid = reader.optional_number();
    step.attributes.selinux_label = reader.text();
    return step;
}

constexpr std::size_t kSmallestVolume = 4 + 4 + 4 + 8;
constexpr std::size_t kSmallestStep = 1 + 4 + 4 + 8 + 8 + 4 + 3 * 5 + 4;

} // namespace

std::string encode_job_header(const JobPlace& place) {
    std::string header(kMagic);
    put(header, place.offset);
    put(header, place.size);
    return header;
}

JobPlace decode_job_header(std::string_view bytes, std::uint64_t disk_size) {
    if (bytes.size() < kJobHeaderSize || !bytes.starts_with(kMagic))
        fail(ErrorKind::corrupt, "the disk holds no job for the appliance");
    JobReader reader(bytes.substr(kMagic.size(), kJobHeaderSize - kMagic.size()));
    JobPlace place;
    place.offset = reader.number<std::uint64_t>();
    place.size = reader.number<std::uint64_t>();
    if (place.size > kMaxJobSize || place.offset > disk_size || place.size > disk_size - place.offset)
        fail(ErrorKind::corrupt, "the appliance's job lies beyond the end of its disk");
    return place;
}

std::string encode_job(const ApplianceJob& job) {
    std::string out;
    put(out, kVersion);
    put(out, static_cast<std::uint64_t>(job.time));
    put(out, static_cast<std::uint32_t>(job.volumes.size()));
    for (const JobVolume& volume : job.volumes) {
        put(out, volume.disk);
        put_text(out, volume.type);
        put_text(out, volume.options);
        put(out, volume.size);
    }
    put(out, static_cast<std::uint32_t>(job.steps.size()));
    for (const JobStep& step : job.steps)
        put_step(out, step);
    return out;
}

ApplianceJob decode_job(std::string_view bytes) {
    JobReader reader(bytes);
    if (reader.number<std::uint32_t>() != kVersion)
        fail(ErrorKind::corrupt, "the appliance's job is of another version than the appliance");
    ApplianceJob job;
    job.time = static_cast<std::int64_t>(reader.number<std::uint64_t>());
    job.volumes.resize(reader.count(kSmallestVolume));
    if (job.volumes.size() > kMaxJobVolumes)
        fail(ErrorKind::corrupt, "the appliance's job has more volumes than it may");
    for (JobVolume& volume : job.volumes) {
        volume.disk = reader.number<std::uint32_t>();
        if (volume.disk >= kMaxJobDisks)
            fail(ErrorKind::corrupt, "the appliance's job names a disk that no machine has");
        volume.type = reader.text();
        volume.options = reader.text();
        volume.size = reader.number<std::uint64_t>();
    }
    const std::uint32_t steps = reader.count(kSmallestStep);
    for (std::uint32_t i = 0; i < steps; ++i)
        job.steps.push_back(read_step(reader, job.volumes.size()));
    reader.finish();
    return job;
}

} // namespace vm2oci
