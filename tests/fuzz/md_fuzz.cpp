// Two members of an array in each version of its superblock, changed by what the input says, with checksums that are
// right again; and any bytes as a member.
//
// The first byte chooses the versions and the level; each four bytes behind it are one change: which member and where
// in its superblock (two bytes), and what stands there (two).
#include "formats/base/error.hpp"
#include "formats/md/array.hpp"
#include "tests/fuzz/disk_fuzz.hpp"
#include "tests/support/md_builder.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace vm2oci;
    constexpr const char* kVersions[] = {"0.90", "1.0", "1.1", "1.2"};
    constexpr std::int32_t kLevels[] = {1, -1, 5, 4};
    if (size == 0)
        return 0;
    std::vector<MdMember> members;
    for (std::uint32_t number = 0; number < 2; ++number) {
        test::MdSuper super;
        super.version = kVersions[data[0] >> (2 * number) & 3];
        super.offset = super.version == "1.0" ? 0 : super.offset;
        super.level = kLevels[data[0] >> 4 & 3];
        super.chunk = super.level > 1 ? 4096 : 0;
        super.number = number;
        const auto disk = test::make_md_member(super, 1);
        const std::uint64_t at = test::md_super_offset(super.version);
        for (std::size_t i = 1; i + 4 <= size && i < 200; i += 4)
            if ((data[i + 1] & 0x80U) == number << 7U)
                disk->put(at + (data[i] | (data[i + 1] & 0x0fU) << 8U) % 4094,
                          std::as_bytes(std::span(data + i + 2, 2)));
        test::seal_md_super(*disk, super.version, at);
        members.push_back({"made", disk});
    }
    members.push_back({"any", test::file_of(std::span(data, size), 1024 * 1024)});
    for (const MdArray& array : assemble_arrays(members).arrays)
        try {
            test::read_some(*array.device);
        } catch (const Error&) {
        }
    return 0;
}
