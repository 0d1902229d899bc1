// What vm2oci's appliance is to do: a value, and the bytes of the disk that it reads it from.
//
// The disk: "VM2OCIJB", then two numbers of eight bytes, where the list lies on it and how long that is. Contents of
// files lie in between, each where its step says. The list: the version, the time, the volumes, the steps. Numbers are
// little-endian; texts have their length, of four bytes, in front.
#pragma once

#include "formats/tree/file_system_editor.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci {

inline constexpr std::uint64_t kJobContentAlignment = 4096; // pages, so that contents are read without gaps
inline constexpr std::size_t kJobHeaderSize = 24;
// A plan has some hundred steps with paths of at most 4 KiB.
inline constexpr std::size_t kMaxJobSize = 64ull * 1024 * 1024;
inline constexpr std::size_t kMaxJobDisks = 16;   // what fits on the machine's bus beside the job
inline constexpr std::size_t kMaxJobVolumes = 64; // sub-volumes of btrfs that a guest mounts: a dozen

enum class JobStepKind : std::uint8_t {
    write_file = 1,
    append_file,
    make_folder,
    make_symlink,
    remove,
    grow, // the file system fills its volume
    trim, // what it does not use is discarded
};

// A file system on a disk of its own; a disk with several trees in it is named by each.
struct JobVolume {
    std::uint32_t disk = 0; // the machine's, by its serial number: "volume0"
    std::string type;       // as mount(2) has it
    std::string options;    // likewise
    std::uint64_t size = 0; // of the disk, in bytes
};

// Paths are relative to the volume's root, as FileSystemEditor has them. Content lies on the job's disk.
struct JobStep {
    JobStepKind kind = JobStepKind::write_file;
    std::uint32_t volume = 0;
    std::string path;
    std::uint64_t content_offset = 0; // write_file, append_file: bytes of the job's disk
    std::uint64_t content_size = 0;
    std::string link_target; // make_symlink
    FileAttributes attributes;
};

struct ApplianceJob {
    std::int64_t time = 0; // what changed files bear, seconds since 1970
    std::vector<JobVolume> volumes;
    std::vector<JobStep> steps;
};

// Where the list lies.
struct JobPlace {
    std::uint64_t offset = 0;
    std::uint64_t size = 0;
};

std::string encode_job_header(const JobPlace& place);
// Error{corrupt}: it is no job's disk, or the list would not fit on it.
JobPlace decode_job_header(std::string_view bytes, std::uint64_t disk_size);

std::string encode_job(const ApplianceJob& job);
// Error{corrupt} for anything that encode_job() would not have written.
ApplianceJob decode_job(std::string_view bytes);

} // namespace vm2oci
