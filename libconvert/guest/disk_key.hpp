// Keys to encrypted volumes.
#pragma once

#include <string>
#include <string_view>

namespace vm2oci {

struct DiskKey {
    std::string selector; // "all", a device as libguestfs names it ("/dev/sda2", "/dev/vg/lv"), or LUKS' UUID
    std::string secret;   // raw bytes without a NUL; wiped when it is done with

    ~DiskKey();

    bool fits(std::string_view device, std::string_view uuid) const;
};

// "SELECTOR:file:FILE", as the tools of libguestfs write it: the key is the first line of the file. Error{usage} for
// anything else, "SELECTOR:key:SECRET" among it: everybody on the machine sees a command line. Error{io} when the file
// cannot be read.
DiskKey read_disk_key(std::string_view specification);

} // namespace vm2oci
