// Checks what a user hands over for cloud-init before a guest sees it. A mistake found here would else be a machine
// that comes up without its users.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace vm2oci {

inline constexpr std::size_t kUserDataLimit = 16ull * 1024 * 1024; // cloud-init has no limit for NoCloud; scripts only

// What cloud-init would pass over or take for something else in data that is none of these; one line each, escaped.
std::vector<std::string> user_data_remarks(std::string_view data);
std::vector<std::string> meta_data_remarks(std::string_view data);
std::vector<std::string> network_config_remarks(std::string_view data);
// As every version of cloud-init knows it: without blanks before its first line, and with the first line's mark in
// lower case. Compressed data stays as it is.
std::string plain_user_data(std::string_view data);

// Each throws Error{usage} with the place and what is wrong. Formats as cloud-init's documentation lists them:
// #cloud-config, scripts (#!), #include, #include-once, #cloud-boothook, #part-handler, #cloud-config-archive,
// "## template: jinja", MIME multipart, and any of them compressed with gzip.
void check_user_data(std::string_view data);
// The same formats; vendor data is read like user data.
void check_vendor_data(std::string_view data);
// A YAML mapping.
void check_meta_data(std::string_view data);
// A YAML mapping with `version: 1` or `2`, itself or under `network`.
void check_network_config(std::string_view data);

// The meta-data with an instance-id, and, when they are given and it has none, a host name and public keys. What the
// user wrote stays as it is where nothing is to be added; else the document is written anew.
struct MetaDataAdditions {
    std::string instance_id;
    std::string hostname;    // empty: none
    std::string public_keys; // lines of authorized_keys; empty: none
};
std::string complete_meta_data(std::string_view data, const MetaDataAdditions& additions);

} // namespace vm2oci
