#include "libconvert/source/archive_refusal.hpp"

#include "formats/base/ascii.hpp"
#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/base/source.hpp"
#include "formats/tree/tar_reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace vm2oci {
namespace {

using namespace std::string_view_literals;

// What to name in an unpacked archive, in this order.
constexpr std::array kNamed = {".ovf"sv, ".vmx"sv,  ".ova"sv, ".qcow2"sv, "box.img"sv, ".vmdk"sv,
                               ".vdi"sv, ".vhdx"sv, ".vhd"sv, ".img"sv,   ".raw"sv};

class HeadBytes final : public ByteSource {
  public:
    explicit HeadBytes(const BlockDevice& device) : device_(device) {}
    std::size_t read_some_at(std::uint64_t offset, std::span<std::byte> buffer) const override {
        if (offset >= device_.size())
            return 0;
        const auto length = static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), device_.size() - offset));
        device_.read_at(offset, buffer.first(length));
        return length;
    }

  private:
    const BlockDevice& device_;
};

bool holds(const std::vector<std::string>& names, std::string_view wanted) {
    return std::ranges::any_of(
        names, [&](const std::string& name) { return name == wanted || name.ends_with("/" + std::string(wanted)); });
}

std::string to_be_named(const std::vector<std::string>& names) {
    for (const std::string_view suffix : kNamed)
        for (const std::string& name : names)
            if (to_lower_ascii(name).ends_with(suffix))
                return name;
    return "";
}

} // namespace

std::vector<std::string> names_in_tar(const BlockDevice& head) {
    constexpr int looked_at = 64;
    const HeadBytes bytes(head);
    TarReader reader(bytes);
    std::vector<std::string> names;
    try {
        for (int i = 0; i < looked_at; ++i) {
            const std::optional<TarMember> member = reader.next();
            if (!member)
                break;
            if (member->type == TarType::regular)
                names.push_back(member->path);
        }
    } catch (const Error& error) {
        if (error.kind() == ErrorKind::io)
            throw;
    }
    return names;
}

bool is_vagrant_box(const std::vector<std::string>& names) {
    return holds(names, "Vagrantfile") || (holds(names, "metadata.json") && !to_be_named(names).empty());
}

void refuse_tar(const BlockDevice& head, std::string_view packing) {
    const std::vector<std::string> names = names_in_tar(head);
    const std::string disk = to_be_named(names);
    const bool is_ova = to_lower_ascii(disk).ends_with(".ovf") && !is_vagrant_box(names);
    const std::string what = is_vagrant_box(names) ? "a Vagrant box, a tar archive"
                             : is_ova              ? "an OVA, a tar archive"
                                                   : "a tar archive";
    const std::string named = disk.empty() ? "the disk" : quote_untrusted(disk);
    if (packing.empty())
        fail(ErrorKind::unsupported, fmt::format("it is {}; unpack it (tar xf), and name {} in it", what, named));
    if (is_ova)
        fail(ErrorKind::unsupported,
             fmt::format("it is {} packed with {}; unpack that layer alone: an OVA itself is read where it lies", what,
                         packing));
    fail(ErrorKind::unsupported,
         fmt::format("it is {} packed with {} (an OVA?); unpack it (tar xf), and name {} in it", what, packing, named));
}

} // namespace vm2oci
