// Metadata of thin pools in memory, as the kernel writes it.
#pragma once

#include "formats/lvm/thin_tree.hpp"
#include "tests/support/memory_device.hpp"

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace vm2oci::test {

class ThinBuilder {
  public:
    static constexpr std::uint64_t kChunk = 64 * 1024;
    static constexpr std::uint64_t kBlocks = 64; // of metadata

    ThinBuilder() : disk_(std::make_shared<MemoryDevice>(kBlocks * lvm::kThinBlock)) {}

    using Entries = std::vector<std::pair<std::uint64_t, std::uint64_t>>;

    // A mapping's value of a block of data.
    static std::uint64_t mapped(std::uint64_t block, std::uint64_t time = 5) { return block << 24U | time; }

    void put_node(std::uint64_t block, bool is_leaf, const Entries& entries, std::uint32_t value_size = 8) {
        constexpr std::uint32_t kCapacity = 252;
        std::vector<std::byte> bytes(lvm::kThinBlock);
        store<std::uint32_t>(bytes, 4, is_leaf ? 2 : 1);
        store<std::uint64_t>(bytes, 8, block);
        store<std::uint32_t>(bytes, 16, static_cast<std::uint32_t>(entries.size()));
        store<std::uint32_t>(bytes, 20, kCapacity);
        store<std::uint32_t>(bytes, 24, value_size);
        for (std::size_t i = 0; i < entries.size(); ++i) {
            store<std::uint64_t>(bytes, 32 + 8 * i, entries[i].first);
            store<std::uint64_t>(bytes, 32 + std::size_t{8} * kCapacity + 8 * i, entries[i].second);
        }
        put(block, std::move(bytes), 121107);
    }

    void put_super(std::uint64_t mapping_root, std::uint64_t transaction = 1, std::uint32_t version = 2) {
        std::vector<std::byte> bytes(lvm::kThinBlock);
        store<std::uint64_t>(bytes, 32, 27022010);
        store<std::uint32_t>(bytes, 40, version);
        store<std::uint64_t>(bytes, 48, transaction);
        store<std::uint64_t>(bytes, 320, mapping_root);
        store<std::uint32_t>(bytes, 336, kChunk / 512);
        store<std::uint32_t>(bytes, 340, 8);
        store<std::uint64_t>(bytes, 344, kBlocks);
        put(0, std::move(bytes), 160774);
    }

    // Changes a number of a block, whose checksum is right again afterwards.
    template <class T>
    void change(std::uint64_t block, std::size_t at, T value) {
        std::vector<std::byte> bytes(lvm::kThinBlock);
        disk_->read_at(block * lvm::kThinBlock, bytes);
        store<T>(bytes, at, value);
        put(block, std::move(bytes), block == 0 ? 160774 : 121107);
    }

    std::shared_ptr<MemoryDevice> disk() const { return disk_; }

  private:
    template <class T>
    static void store(std::vector<std::byte>& bytes, std::size_t at, T value) {
        for (std::size_t i = 0; i < sizeof value; ++i)
            bytes.at(at + i) = static_cast<std::byte>(value >> (8 * i));
    }
    void put(std::uint64_t block, std::vector<std::byte> bytes, std::uint32_t salt) {
        store<std::uint32_t>(bytes, 0, lvm::thin_checksum(bytes, salt));
        disk_->put(block * lvm::kThinBlock, bytes);
    }

    std::shared_ptr<MemoryDevice> disk_;
};

// Volumes 1 (blocks 0, 1, 2 and 500) and 2, a snapshot of it with a block of its own; the second in a tree of two
// levels.
inline ThinBuilder make_thin_sample() {
    ThinBuilder made;
    made.put_super(1);
    made.put_node(1, true, {{1, 2}, {2, 3}});
    made.put_node(2, true,
                  {{0, ThinBuilder::mapped(7)},
                   {1, ThinBuilder::mapped(8)},
                   {2, ThinBuilder::mapped(3)},
                   {500, ThinBuilder::mapped(4)}});
    made.put_node(3, false, {{0, 4}, {400, 5}});
    made.put_node(4, true, {{0, ThinBuilder::mapped(9)}, {1, ThinBuilder::mapped(8)}});
    made.put_node(5, true, {{500, ThinBuilder::mapped(4)}});
    return made;
}

inline constexpr std::uint64_t kThinVolume = 1000 * ThinBuilder::kChunk;

// Blocks of data, each filled with its number.
inline std::shared_ptr<MemoryDevice> make_thin_data() {
    auto data = std::make_shared<MemoryDevice>(16 * ThinBuilder::kChunk);
    for (std::uint64_t block = 0; block < 16; ++block)
        data->fill(block * ThinBuilder::kChunk, ThinBuilder::kChunk, static_cast<std::uint8_t>(block));
    return data;
}

} // namespace vm2oci::test
