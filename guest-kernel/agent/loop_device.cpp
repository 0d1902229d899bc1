#include "guest-kernel/agent/loop_device.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/base/fd.hpp"

#include <fcntl.h>
#include <linux/loop.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace vm2oci::guest {

std::string attach_loop_device(const std::string& file, LoopAccess access) {
    const int mode = access == LoopAccess::read_only ? O_RDONLY : O_RDWR;
    const UniqueFd content(::open(file.c_str(), mode | O_CLOEXEC));
    if (content.get() < 0)
        fail_errno("cannot open " + escape_untrusted(file), errno);
    const UniqueFd control(::open("/dev/loop-control", O_RDWR | O_CLOEXEC));
    if (control.get() < 0)
        fail_errno("this kernel has no loop devices", errno);
    const int number = ::ioctl(control.get(), LOOP_CTL_GET_FREE);
    if (number < 0)
        fail_errno("there is no free loop device", errno);
    std::string node = "/dev/loop" + std::to_string(number);
    const UniqueFd device(::open(node.c_str(), mode | O_CLOEXEC));
    if (device.get() < 0)
        fail_errno("cannot open " + node, errno);
    loop_config config{};
    config.fd = static_cast<__u32>(content.get());
    config.info.lo_flags = access == LoopAccess::read_only ? LO_FLAGS_READ_ONLY : 0;
    std::memcpy(config.info.lo_file_name, file.c_str(), std::min(file.size(), sizeof config.info.lo_file_name - 1));
    if (::ioctl(device.get(), LOOP_CONFIGURE, &config) != 0)
        fail_errno("cannot make " + escape_untrusted(file) + " a disk", errno);
    return node;
}

} // namespace vm2oci::guest
