// Archives of cpio ("newc") as initrds hold them, for tests of what reads them.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <vector>

namespace vm2oci::test {

// Documentation/driver-api/early-userspace/buffer-format.rst: "070701", 13 numbers of 8 digits, name, content; both
// padded to four bytes from the archive's beginning.
struct CpioFile {
    std::string name;
    std::string content;
    unsigned mode = 0100644;
};

inline std::string cpio(const std::vector<CpioFile>& files, std::string_view magic = "070701") {
    std::string archive;
    unsigned inode = 721;
    const auto add = [&](const CpioFile& file) {
        archive += magic;
        const std::size_t fields[] = {
            inode++, file.mode, 0, 0, 1, 0, file.content.size(), 8, 1, 0, 0, file.name.size() + 1, 0};
        for (const std::size_t field : fields)
            archive += fmt::format("{:08X}", field);
        archive += file.name + '\0';
        archive.resize((archive.size() + 3) / 4 * 4);
        archive += file.content;
        archive.resize((archive.size() + 3) / 4 * 4);
    };
    for (const CpioFile& file : files)
        add(file);
    add({"TRAILER!!!", "", 0});
    return archive;
}

} // namespace vm2oci::test
