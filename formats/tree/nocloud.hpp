// The files of cloud-init's data source NoCloud (its documentation, "datasources/nocloud").
#pragma once

namespace vm2oci::nocloud {

inline constexpr const char* user_data = "user-data";
inline constexpr const char* meta_data = "meta-data";
inline constexpr const char* network_config = "network-config";
inline constexpr const char* vendor_data = "vendor-data";

} // namespace vm2oci::nocloud
