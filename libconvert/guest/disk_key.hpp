// Keys to encrypted volumes.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace vm2oci {

struct DiskKey {
    std::string selector;        // "all", a device as libguestfs names it ("/dev/sda2", "/dev/vg/lv"), or LUKS' UUID
    std::string secret;          // a passphrase, without a NUL; may be empty. Wiped when it is done with, as is
    std::string whole_file = {}; // what a key file holds beside a passphrase in its first line; any bytes, may be empty

    ~DiskKey();

    // What to try, in this order. Valid as long as the key is.
    std::vector<std::string_view> secrets() const;

    bool fits(std::string_view device, std::string_view uuid) const;
};

// "SELECTOR:file:FILE". The key is the first line of the file, as the tools of libguestfs take it, or else all of its
// bytes, as cryptsetup's --key-file and a guest's crypttab take it. Error{usage} for anything else,
// "SELECTOR:key:SECRET" among it: everybody on the machine sees a command line. Error{not_found} or
// Error{io} when the file cannot be read.
DiskKey read_disk_key(std::string_view specification);

} // namespace vm2oci
