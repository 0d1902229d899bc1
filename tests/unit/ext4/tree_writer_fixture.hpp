// A tree that is written into a new file system.
#pragma once

#include "formats/base/size.hpp"
#include "formats/block/empty.hpp"
#include "formats/block/overlay.hpp"
#include "formats/ext4/tree_writer.hpp"
#include "tests/unit/ext4/ext4_fixture.hpp"

namespace vm2oci::test {

inline constexpr std::uint64_t kDiskSize = 64 * MiB;

inline Ext4Geometry geometry() {
    Ext4Geometry made;
    made.inodes = 4096;
    made.uuid.fill(std::byte{0x5a});
    made.hash_seed.fill(std::byte{0x21});
    made.label = "root";
    made.time = 1'700'000'000;
    return made;
}

inline Entry entry(std::string path, FileType type, std::uint32_t permissions = 0644) {
    Entry made;
    made.path = std::move(path);
    made.status.type = type;
    made.status.permissions = permissions;
    made.status.modified = {1'600'000'000, 123'456'789};
    return made;
}

// A file system being filled.
struct Written {
    std::shared_ptr<OverlayDevice> disk;
    Ext4TreeWriter writer;

    explicit Written(std::uint64_t size = kDiskSize, const Ext4Geometry& made = geometry())
        : disk(std::make_shared<OverlayDevice>(std::make_shared<EmptyDevice>(size))), writer(disk, made) {
        writer.add(entry("", FileType::directory, 0755), nullptr);
    }
    void folder(const std::string& path, std::uint32_t permissions = 0755) {
        writer.add(entry(path, FileType::directory, permissions), nullptr);
    }
    void file(Entry made, std::string content) {
        made.status.size = content.size();
        const TextContent bytes(std::move(content));
        writer.add(made, &bytes);
    }
    void file(const std::string& path, std::string content) {
        file(entry(path, FileType::regular), std::move(content));
    }
};

} // namespace vm2oci::test
