// An ext4 journal that the last mount left unfinished, applied to what we read.
//
// The disk is not changed: the committed blocks of the journal are laid over the device in memory, by their places in
// the journal. Source of the format: the Linux kernel, fs/jbd2/recovery.c and include/linux/jbd2.h.
#pragma once

#include "formats/ext4/library.hpp"

#include <cstdint>
#include <memory>

namespace vm2oci {

// The usual journal has at most 1 GiB; with blocks of 4 KiB that is 256 Ki.
inline constexpr std::uint32_t kMaxJournalBlocks = 1024 * 1024;

// True if the superblock says that the journal must be replayed before anything is read.
bool needs_journal_replay(const Ext4Library& library);

// The device as it is after replay. Error{unsupported} for what only the kernel replays (an external journal, fast
// commits), Error{corrupt} for a journal whose checksums or structure are wrong.
std::shared_ptr<const BlockDevice> replay_journal(const std::shared_ptr<const BlockDevice>& device,
                                                  const Ext4Library& library);

} // namespace vm2oci
