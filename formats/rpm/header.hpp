// The header of an installed RPM package, as its database keeps it (rpm's documentation, format.md: a header without
// its magic).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace vm2oci {

inline constexpr std::uint32_t kMaxRpmTags = 0xffff;                  // as rpm: hdrchkTags
inline constexpr std::uint32_t kMaxRpmHeaderSize = 256 * 1024 * 1024; // as rpm: headers of the largest packages
inline constexpr std::size_t kMaxRpmFiles = 2'000'000;                // of one package; a texlive has 100 000

struct RpmFile {
    std::string path; // absolute
    bool is_configuration = false;
};

// Raw text of the guest.
struct RpmPackage {
    std::string name;
    std::optional<std::uint32_t> epoch;
    std::string version;
    std::string release;
    std::string architecture;
    std::string license;
    std::string vendor;
    std::string source; // the source package's file name
    std::vector<RpmFile> files;

    std::string full_version() const; // "1:2.0-3.el9"
};

enum class RpmFiles { read, skip };

// Error{corrupt} for anything that is not a sound header, Error{limit} for one beyond the limits.
RpmPackage parse_rpm_header(std::span<const std::byte> header, RpmFiles files);

} // namespace vm2oci
