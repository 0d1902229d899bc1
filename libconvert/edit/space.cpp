#include "libconvert/edit/space.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/base/size.hpp"
#include "libconvert/edit/edited_mounts.hpp"

#include <fmt/format.h>

#include <map>

namespace vm2oci {
namespace {

constexpr std::uint64_t kSmallestBlock = 1024;          // no file takes less of any file system that has blocks
constexpr std::uint64_t kRemovedFilesLimit = 1'000'000; // of one folder; more count as endless room

struct SpaceAccount {
    std::uint64_t needed_bytes = 0;
    std::uint64_t freed_bytes = 0;
    std::uint64_t needed_inodes = 0;
    std::uint64_t freed_inodes = 0;
};

std::uint64_t in_blocks(std::uint64_t bytes) {
    return (bytes + kSmallestBlock - 1) / kSmallestBlock * kSmallestBlock;
}

// Everything below a path that goes away.
void count_removed(const Guest& guest, const std::string& path, SpaceAccount& account) {
    std::vector<std::string> pending = {path};
    for (std::uint64_t seen = 0; !pending.empty(); ++seen) {
        const std::string current = std::move(pending.back());
        pending.pop_back();
        const auto status = guest.status(current, FinalLink::keep);
        if (!status)
            continue;
        if (seen == kRemovedFilesLimit) {
            account.freed_bytes = account.freed_inodes = ~std::uint64_t{0} / 2;
            return;
        }
        account.freed_bytes += in_blocks(status->size) + kSmallestBlock;
        ++account.freed_inodes;
        if (status->type == FileType::directory)
            for (const std::string& name : guest.list(current).value_or(std::vector<std::string>()))
                pending.push_back(fmt::format("{}/{}", current, name));
    }
}

void count(const Edit& edit, const Guest& guest, SpaceAccount& account) {
    const auto present = guest.status(edit.path, FinalLink::keep);
    switch (edit.kind) {
    case EditKind::write_file:
        account.needed_bytes += in_blocks(edit.size);
        if (present && present->type == FileType::regular)
            account.freed_bytes += in_blocks(present->size) + kSmallestBlock;
        account.needed_inodes += present ? 0u : 1u;
        return;
    case EditKind::append_file:
        account.needed_bytes += edit.size;
        // The last block of the file may have room.
        account.freed_bytes += 64 * KiB;
        return;
    case EditKind::make_folder:
        account.needed_bytes += kSmallestBlock;
        ++account.needed_inodes;
        return;
    case EditKind::make_symlink:
        ++account.needed_inodes;
        return;
    case EditKind::remove:
        return count_removed(guest, edit.path, account);
    }
}

} // namespace

void check_space(const EditPlan& plan, const Guest& guest) {
    const std::vector<GuestMount> mounts = guest.mounts();
    std::map<std::size_t, SpaceAccount> accounts;
    for (const Edit& edit : plan.edits)
        count(edit, guest, accounts[mount_of(mounts, edit.path)]);
    for (const auto& [index, account] : accounts) {
        const GuestMount& mount = mounts[index];
        if (!mount.usage)
            continue;
        if (account.needed_bytes > mount.usage->free_bytes + account.freed_bytes)
            fail(ErrorKind::limit, fmt::format("the guest's file system on {} is too full: the changes need {} and {} "
                                               "are free; grow it, or remove something",
                                               quote_untrusted(mount.mount_point), format_size(account.needed_bytes),
                                               format_size(mount.usage->free_bytes)));
        if (mount.usage->total_inodes != 0 && account.needed_inodes > mount.usage->free_inodes + account.freed_inodes)
            fail(ErrorKind::limit,
                 fmt::format("the guest's file system on {} is too full: the changes need {} inodes "
                             "and {} are free; remove something",
                             quote_untrusted(mount.mount_point), account.needed_inodes, mount.usage->free_inodes));
    }
}

} // namespace vm2oci
