// volume_sums [--key FILE] IMAGE…: what the disks of a machine are divided into, through the code under test. One line
// each on stdout: name, size and SHA-256 of the content, with tabs between them; remarks on stderr.
#include "formats/base/error.hpp"
#include "formats/base/sha256.hpp"
#include "formats/block/joined.hpp"
#include "formats/block/open_disk.hpp"
#include "libconvert/guest/volumes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <string_view>
#include <vector>

using namespace vm2oci;

namespace {

std::string sum_of(const BlockDevice& device) {
    Sha256 hash;
    std::vector<std::byte> buffer(std::size_t{1} << 20U);
    for (std::uint64_t offset = 0; offset < device.size(); offset += buffer.size()) {
        const auto part = std::span(buffer).first(
            static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), device.size() - offset)));
        device.read_at(offset, part);
        hash.update(part);
    }
    return to_hex(hash.finish());
}

void run(const std::vector<std::string_view>& words) {
    std::vector<std::shared_ptr<const BlockDevice>> disks;
    std::vector<std::uint64_t> sizes;
    std::vector<DiskKey> keys;
    for (std::size_t i = 0; i < words.size(); ++i) {
        if (words[i] == "--key" && i + 1 < words.size()) {
            keys.push_back(read_disk_key("all:file:" + std::string(words[++i])));
            continue;
        }
        DiskSource source;
        source.path = words[i];
        source.format = DiskFormat::raw;
        disks.push_back(open_disk(source).device);
        sizes.push_back(disks.back()->size());
    }
    const DiskLayout layout = examine_layout(std::make_shared<JoinedDevice>(disks), sizes, keys);
    for (const Volume& volume : layout.volumes)
        fmt::print("{}\t{}\t{}\n", volume.name, volume.device->size(), sum_of(*volume.device));
    for (const std::string& remark : layout.remarks)
        fmt::print(stderr, "{}\n", remark);
}

} // namespace

int main(int argc, char** argv) {
    try {
        run({argv + 1, argv + argc});
        return 0;
    } catch (const std::exception& error) {
        fmt::print(stderr, "volume_sums: {}\n", error.what());
        return 1;
    }
}
