// The version that images are marked with and that --version prints.
#pragma once

namespace vm2oci {

inline constexpr const char* kVersion = VM2OCI_VERSION;

} // namespace vm2oci
