// Descriptions of machines by VMware, libvirt and Hyper-V: whatever they say is a machine, or an Error.
#include "formats/base/error.hpp"
#include "libconvert/hardware/description.hpp"
#include "libconvert/source/described_disks.hpp"

#include <cstdint>
#include <cstdlib>
#include <string_view>

using namespace vm2oci;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    try {
        detect_description(text);
    } catch (const Error&) {
    }
    for (const DescriptionFormat format :
         {DescriptionFormat::vmx, DescriptionFormat::libvirt, DescriptionFormat::hyperv}) {
        try {
            const MachineDescription machine = parse_description(format, text, "fuzzed");
            if (machine.files.size() != machine.hardware.disks.size())
                std::abort();
            for (const DescribedFile& file : machine.files)
                if (is_disk_sibling("web01.vmx", file.name) && file.name.find('/') != std::string::npos)
                    std::abort();
        } catch (const Error&) {
        }
    }
    return 0;
}
