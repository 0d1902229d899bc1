#include "guest-kernel/agent/block_devices.hpp"

#include "formats/base/error.hpp"
#include "formats/base/fd.hpp"

#include "guest-kernel/agent/device_mapper.hpp"
#include "guest-kernel/agent/text.hpp"
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>

namespace vm2oci::guest {
namespace {

class OpenedNode final : public BlockDevice {
  public:
    explicit OpenedNode(const std::string& path) : fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)), path_(path) {
        const off_t end = fd_.get() < 0 ? -1 : ::lseek(fd_.get(), 0, SEEK_END);
        if (end < 0)
            fail_errno("cannot open " + path, errno);
        size_ = static_cast<std::uint64_t>(end);
    }

    std::uint64_t size() const override { return size_; }

    void read_at(std::uint64_t offset, std::span<std::byte> buffer) const override {
        check_range(*this, offset, buffer.size());
        while (!buffer.empty()) {
            const ssize_t n = ::pread(fd_.get(), buffer.data(), buffer.size(), static_cast<off_t>(offset));
            if (n < 0 && errno == EINTR)
                continue;
            if (n <= 0)
                fail_errno("cannot read " + path_, n < 0 ? errno : EIO);
            buffer = buffer.subspan(static_cast<std::size_t>(n));
            offset += static_cast<std::uint64_t>(n);
        }
    }

    Extent extent_at(std::uint64_t offset) const override { return {size_ - offset, ExtentKind::data}; }

  private:
    UniqueFd fd_;
    std::string path_;
    std::uint64_t size_ = 0;
};

bool is_block_device(const std::string& path) {
    struct stat status {};
    return ::stat(path.c_str(), &status) == 0 && S_ISBLK(status.st_mode);
}

std::optional<Signature> probe(const BlockDevice& device) {
    try {
        return probe_signature(device);
    } catch (const Error&) {
        return std::nullopt;
    }
}

bool is_meant(const RootName& name, const Signature& signature) {
    return (name.kind == RootName::Kind::uuid && signature.uuid == name.value) ||
           (name.kind == RootName::Kind::label && signature.label == name.value);
}

std::string device_number(const std::string& node) {
    struct stat status {};
    if (::stat(node.c_str(), &status) != 0)
        fail_errno("cannot look at " + node, errno);
    return std::to_string(major(status.st_rdev)) + ":" + std::to_string(minor(status.st_rdev));
}

std::optional<FoundDevice> find_volume(const RootName& name, const std::vector<FoundDevice>& devices) {
    std::vector<LvmPhysicalVolume> members;
    std::vector<std::pair<std::string, std::string>> nodes; // identifier → node
    for (const FoundDevice& device : devices)
        if (device.signature && device.signature->kind == ContentKind::volume_group) {
            members.push_back({device.signature->uuid, std::make_shared<OpenedNode>(device.node)});
            nodes.emplace_back(device.signature->uuid, device.node);
        }
    for (const LvmLogicalVolume& volume : read_volume_groups(members).volumes) {
        const std::optional<Signature> signature = probe(*volume.device);
        const bool meant = name.kind == RootName::Kind::path ? names_volume(name.value, volume.group, volume.name)
                                                             : signature && is_meant(name, *signature);
        if (!meant)
            continue;
        const auto number_of = [&](const std::string& uuid) {
            for (const auto& [known, node] : nodes)
                if (known == uuid)
                    return device_number(node);
            fail(ErrorKind::corrupt, "the logical volume lies on a physical volume that is not there");
        };
        return FoundDevice{activate(volume, mapper_table(volume, number_of)), signature};
    }
    return std::nullopt;
}

} // namespace

FoundDevice describe_device(const std::string& path) {
    try {
        return {path, probe(OpenedNode(path))};
    } catch (const Error&) {
        return {path, std::nullopt};
    }
}

std::optional<RootName> parse_root_name(std::string_view root) {
    using Kind = RootName::Kind;
    struct Prefix {
        std::string_view text;
        Kind kind;
    };
    for (const auto& [text, kind] :
         {Prefix{"UUID=", Kind::uuid}, Prefix{"LABEL=", Kind::label}, Prefix{"PARTLABEL=", Kind::partition_label},
          Prefix{"/dev/disk/by-uuid/", Kind::uuid}, Prefix{"/dev/", Kind::path}})
        if (root.size() > text.size() && root.starts_with(text))
            return RootName{kind, std::string(kind == Kind::path ? root : root.substr(text.size()))};
    return std::nullopt;
}

bool names_volume(std::string_view path, std::string_view group, std::string_view volume) {
    return path == "/dev/mapper/" + mapper_name(group, volume) ||
           path == "/dev/" + std::string(group) + "/" + std::string(volume);
}

std::vector<FoundDevice> block_devices(const std::string& sysfs, const std::string& dev) {
    std::vector<FoundDevice> devices;
    const std::string folder = sysfs + "/class/block";
    for (const std::string& name : list_folder(folder)) {
        const std::string size =
            first_word(read_text(std::string(folder).append("/").append(name).append("/size"), 64).value_or(""));
        if (!size.empty() && size != "0" && !name.starts_with("ram"))
            devices.push_back(describe_device(std::string(dev).append("/").append(name)));
    }
    return devices;
}

std::optional<FoundDevice> find_root(const RootName& name) {
    if (name.kind == RootName::Kind::path && is_block_device(name.value))
        return describe_device(name.value);
    const std::vector<FoundDevice> devices = block_devices();
    for (const FoundDevice& device : devices) {
        if (device.signature && is_meant(name, *device.signature))
            return device;
        if (name.kind != RootName::Kind::partition_label)
            continue;
        const std::string uevent = "/sys/class/block/" + device.node.substr(device.node.rfind('/') + 1) + "/uevent";
        const std::string text = read_text(uevent, 4096).value_or("");
        for (const std::string_view line : split_lines(text))
            if (line == "PARTNAME=" + name.value)
                return device;
    }
    return find_volume(name, devices);
}

} // namespace vm2oci::guest
