// A LUKS1 header changed by what the input says, and the input as the JSON of LUKS2: opened with keys that may cost
// little, and read.
#include "formats/base/error.hpp"
#include "formats/luks/volume.hpp"
#include "tests/fuzz/disk_fuzz.hpp"
#include "tests/support/luks_builder.hpp"

#include <iterator>

namespace {

void open_and_read_some(const std::shared_ptr<const vm2oci::BlockDevice>& disk) {
    using namespace vm2oci;
    constexpr std::string_view kKeys[] = {test::kLuksPassphrase};
    try {
        const LuksVolume volume = open_luks(disk, kKeys, {2000, 1U << 20U, 256});
        if (volume.device)
            test::read_some(*volume.device);
    } catch (const Error&) {
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace vm2oci;
    static const auto kSecond = test::make_luks_2(test::plain_luks_json());
    const auto second = std::make_shared<test::MemoryDevice>(test::kLuksSize);
    std::vector<std::byte> all(test::kLuksSize);
    kSecond->read_at(0, all);
    second->put(0, all);
    test::put_luks_2(*second, 0, std::string(reinterpret_cast<const char*>(data), size), 9);
    open_and_read_some(second);
    const auto first = test::make_luks_1();
    for (std::size_t i = 0; i + 4 <= size && i < 200; i += 4)
        first->put((data[i] | (data[i + 1] & 3U) << 8U) % 590, std::as_bytes(std::span(data + i + 2, 2)));
    open_and_read_some(first);
    open_and_read_some(test::file_of(std::span(data, size), test::kLuksSize));
    return 0;
}
