#include "libconvert/manifest/runnable_machine.hpp"

#include "formats/base/size.hpp"

namespace vm2oci {

std::string_view to_string(StartFirmware firmware) {
    return firmware == StartFirmware::bios ? "bios" : firmware == StartFirmware::uefi ? "uefi" : "uefi-secure";
}

std::string_view to_string(DiskAttachment attachment) {
    return attachment == DiskAttachment::virtio ? "virtio" : "sata";
}

std::string_view to_string(NicModel model) {
    switch (model) {
    case NicModel::virtio:
        return "virtio";
    case NicModel::e1000:
        return "e1000";
    case NicModel::e1000e:
        return "e1000e";
    case NicModel::rtl8139:
        return "rtl8139";
    }
    return "virtio";
}

std::string dns_label(std::string_view text, std::string_view otherwise) {
    constexpr std::size_t kLongest = 63;
    std::string label;
    for (const char c : text) {
        const bool upper = c >= 'A' && c <= 'Z';
        const bool kept = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (upper || kept)
            label += upper ? static_cast<char>(c - 'A' + 'a') : c;
        else if (!label.empty() && label.back() != '-')
            label += '-';
    }
    label.resize(std::min(label.size(), kLongest));
    while (!label.empty() && label.back() == '-')
        label.pop_back();
    return label.empty() ? std::string(otherwise) : label;
}

std::string quantity(std::uint64_t bytes) {
    if (bytes != 0 && bytes % GiB == 0)
        return std::to_string(bytes / GiB) + "Gi";
    if (bytes != 0 && bytes % MiB == 0)
        return std::to_string(bytes / MiB) + "Mi";
    return std::to_string(bytes);
}

} // namespace vm2oci
