#include "guest-kernel/agent/device_mapper.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/base/fd.hpp"

#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace vm2oci::guest {
namespace {

constexpr std::uint64_t kSector = 512;
constexpr const char* kControl = "/dev/mapper/control";

// A request to device-mapper: its head, and for a table what follows it.
class MapperRequest {
  public:
    MapperRequest(const std::string& name, std::size_t payload = 0) : bytes_(sizeof(dm_ioctl) + payload) {
        dm_ioctl& head = this->head();
        head.version[0] = DM_VERSION_MAJOR;
        head.data_size = static_cast<std::uint32_t>(bytes_.size());
        head.data_start = sizeof(dm_ioctl);
        std::memcpy(head.name, name.data(), std::min(name.size(), kMapperNameLimit));
    }

    dm_ioctl& head() { return *reinterpret_cast<dm_ioctl*>(bytes_.data()); }
    char* payload() { return bytes_.data() + sizeof(dm_ioctl); }

    void send(const UniqueFd& control, unsigned long command, const char* what) {
        if (::ioctl(control.get(), command, bytes_.data()) != 0)
            fail_errno(std::string("cannot ") + what + " the device of the logical volume", errno);
    }

  private:
    std::vector<char> bytes_;
};

// A target and its parameters, in a multiple of eight bytes.
std::size_t target_bytes(const MapperTarget& target) {
    return (sizeof(dm_target_spec) + target.parameters.size() + 1 + 7) / 8 * 8;
}

void load_table(const UniqueFd& control, const std::string& name, const std::vector<MapperTarget>& table) {
    std::size_t size = 0;
    for (const MapperTarget& target : table)
        size += target_bytes(target);
    MapperRequest request(name, size);
    request.head().target_count = static_cast<std::uint32_t>(table.size());
    char* next = request.payload();
    for (const MapperTarget& target : table) {
        dm_target_spec specification{};
        specification.sector_start = target.begin;
        specification.length = target.length;
        specification.next = static_cast<std::uint32_t>(target_bytes(target));
        std::memcpy(specification.target_type, "linear", 7);
        std::memcpy(next, &specification, sizeof specification);
        std::memcpy(next + sizeof specification, target.parameters.c_str(), target.parameters.size() + 1);
        next += target_bytes(target);
    }
    request.send(control, DM_TABLE_LOAD, "describe");
}

} // namespace

std::string mapper_name(std::string_view group, std::string_view volume) {
    std::string name;
    for (const std::string_view part : {group, volume}) {
        if (!name.empty())
            name += '-';
        for (const char c : part)
            name += c == '-' ? std::string("--") : std::string(1, c);
    }
    return name;
}

std::vector<MapperTarget> mapper_table(const LvmLogicalVolume& volume,
                                       const std::function<std::string(const std::string& uuid)>& number_of) {
    std::vector<MapperTarget> table;
    std::uint64_t end = 0;
    for (const LvmSegment& segment : volume.segments) {
        if (segment.offset != end || segment.length == 0 ||
            (segment.offset | segment.length | segment.physical_offset) % kSector != 0)
            fail(ErrorKind::corrupt, "the logical volume " + quote_untrusted(volume.name) + " has gaps");
        table.push_back({segment.offset / kSector, segment.length / kSector,
                         number_of(segment.uuid) + " " + std::to_string(segment.physical_offset / kSector)});
        end = segment.offset + segment.length;
    }
    if (table.empty())
        fail(ErrorKind::corrupt, "the logical volume " + quote_untrusted(volume.name) + " is empty");
    return table;
}

std::string activate(const LvmLogicalVolume& volume, const std::vector<MapperTarget>& table) {
    const std::string name = mapper_name(volume.group, volume.name);
    if (name.size() > kMapperNameLimit || name.find('/') != std::string::npos)
        fail(ErrorKind::corrupt, "a logical volume cannot be called " + quote_untrusted(name));
    const UniqueFd control(::open(kControl, O_RDWR | O_CLOEXEC));
    if (control.get() < 0)
        fail_errno(std::string("the kernel has no device-mapper: cannot open ") + kControl, errno);
    MapperRequest create(name);
    std::memcpy(create.head().uuid, volume.mapper_uuid.data(),
                std::min<std::size_t>(volume.mapper_uuid.size(), DM_UUID_LEN - 1));
    create.send(control, DM_DEV_CREATE, "create");
    load_table(control, name, table);
    MapperRequest resume(name);
    resume.send(control, DM_DEV_SUSPEND, "start"); // without the flag for suspending it resumes
    const dev_t number = create.head().dev;
    std::string node = "/dev/mapper/" + name;
    if (::mknod(node.c_str(), S_IFBLK | 0600, makedev(major(number), minor(number))) != 0 && errno != EEXIST)
        fail_errno("cannot make " + node, errno);
    return node;
}

} // namespace vm2oci::guest
