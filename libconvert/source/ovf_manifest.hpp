// The files beside an OVF descriptor that vouch for a machine's package: the manifest (*.mf), a list of digests, and
// the certificate (*.cert), which holds a signature of the manifest (DMTF DSP0243, "Package manifest", "Package
// certificate").
#pragma once

#include "formats/base/message_digest.hpp"

#include <cstddef>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci {

inline constexpr std::size_t kMaxManifestBytes = 1 << 20;
inline constexpr std::size_t kMaxCertificateBytes = 1 << 20;

struct FileDigest {
    HashAlgorithm algorithm = HashAlgorithm::sha256;
    std::string hex; // lower case
    bool operator==(const FileDigest&) const = default;
};

// "./web.vmdk", as a shell's find gives it, is "web.vmdk".
std::string plain_file_name(std::string_view name);

// By the files' plain names. Error{corrupt}: lines that are none, digests of a wrong length, a file with
// two digests of one kind. Error{unsupported}: another hash function than SHA-1, -256, -384 and -512. Of several
// digests of a file the strongest counts.
std::map<std::string, FileDigest> parse_ovf_manifest(std::string_view text);

enum class SignatureState {
    none,      // the package is not signed
    untrusted, // the signature fits the certificate that lies beside it, which proves nothing
    trusted,   // and the certificate was issued by one of the user's authorities
};

// Error{corrupt}: the certificate file is broken, or the signature is not one of `manifest`. Error{unsafe}:
// `authorities` (a file of PEM certificates) are given, and none of them has issued the signer's. Error{unsupported}: a
// signature of another form (CMS). Certificates that are expired count for nothing.
SignatureState check_ovf_signature(std::string_view certificate_file, std::string_view manifest,
                                   const std::optional<std::filesystem::path>& authorities);

} // namespace vm2oci
