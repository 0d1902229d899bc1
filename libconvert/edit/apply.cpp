#include "libconvert/edit/apply.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/base/fd.hpp"
#include "formats/block/overlay.hpp"
#include "libconvert/edit/appliance.hpp"
#include "libconvert/edit/space.hpp"
#include "libconvert/guest/file_system_drivers.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <set>
#include <utility>

namespace vm2oci {
namespace {

// A file of ours, read while it is written into the guest.
class HostFileContent final : public FileContent {
  public:
    HostFileContent(const std::filesystem::path& path, std::uint64_t size) : file_(open_read(path)), size_(size) {}

    void copy_to(ByteSink& out) const override {
        std::vector<std::byte> buffer(1024 * 1024);
        for (std::uint64_t offset = 0; offset < size_;) {
            const std::size_t step = static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), size_ - offset));
            const std::size_t got = read_at(file_.get(), offset, std::span(buffer).first(step));
            if (got == 0)
                return;
            out.write(std::span(buffer).first(got));
            offset += got;
        }
    }

  private:
    UniqueFd file_;
    std::uint64_t size_;
};

class TextContent final : public FileContent {
  public:
    explicit TextContent(std::string_view text) : text_(text) {}
    void copy_to(ByteSink& out) const override { out.write(as_bytes(text_)); }

  private:
    std::string_view text_;
};

// Changes to a volume, stored where its pieces lie on the disk.
class VolumeChanges final : public BlockChanges {
  public:
    VolumeChanges(OverlayDevice& overlay, const std::vector<VolumeSegment>& segments)
        : overlay_(overlay), segments_(segments) {}

    void write_at(std::uint64_t offset, std::span<const std::byte> bytes) override {
        for_each_piece(offset, bytes.size(), [&](std::uint64_t disk_offset, std::uint64_t length) {
            overlay_.write_at(disk_offset, bytes.first(static_cast<std::size_t>(length)));
            bytes = bytes.subspan(static_cast<std::size_t>(length));
        });
    }
    void discard(std::uint64_t offset, std::uint64_t length) override {
        for_each_piece(offset, length,
                       [&](std::uint64_t disk_offset, std::uint64_t piece) { overlay_.discard(disk_offset, piece); });
    }

  private:
    template <class Visit>
    void for_each_piece(std::uint64_t offset, std::uint64_t length, Visit visit) const {
        for (const VolumeSegment& segment : segments_) {
            if (length == 0)
                return;
            if (offset < segment.offset || offset - segment.offset >= segment.length)
                continue;
            const std::uint64_t within = offset - segment.offset;
            const std::uint64_t step = std::min(length, segment.length - within);
            visit(segment.disk_offset + within, step);
            offset += step;
            length -= step;
        }
        if (length != 0)
            fail(ErrorKind::corrupt, "a change of the guest lies beyond the end of its volume");
    }

    OverlayDevice& overlay_;
    std::vector<VolumeSegment> segments_; // in order, without gaps
};

bool lies_on(const std::string& path, const std::string& mount_point) {
    return mount_point == "/" || path == mount_point || path.starts_with(mount_point + "/");
}

// The volume of a mount that is written natively; null: it is none.
const Volume* native_volume(const OpenedGuest& opened, const GuestMount& mount) {
    const FileSystemDriver* driver = find_driver(mount.type);
    if (driver == nullptr || driver->edit == nullptr)
        return nullptr;
    for (const Volume& volume : opened.layout.volumes)
        if (volume.name == mount.volume && !volume.segments.empty())
            return &volume;
    return nullptr;
}

// Why the plan cannot be carried out natively; nullopt: it can.
std::optional<std::string> native_obstacle(const EditPlan& plan, const OpenedGuest& opened,
                                           const std::vector<GuestMount>& mounts) {
    std::set<std::size_t> seen;
    for (const Edit& edit : plan.edits) {
        const std::size_t index = mount_of(mounts, edit.path);
        if (!seen.insert(index).second)
            continue;
        const GuestMount& mount = mounts[index];
        const Volume* volume = native_volume(opened, mount);
        if (volume == nullptr)
            return fmt::format("{} is {} on {}, which is not written natively", escape_untrusted(mount.mount_point),
                               escape_untrusted(mount.type), escape_untrusted(mount.volume));
        if (const auto reason = find_driver(mount.type)->reason_not_to_edit(volume->device))
            return fmt::format("{}: {}", escape_untrusted(mount.volume), *reason);
    }
    return std::nullopt;
}

void apply_edit(const Edit& edit, const std::string& path, FileSystemEditor& editor) {
    switch (edit.kind) {
    case EditKind::write_file:
        if (edit.host_file)
            return editor.write_file(path, edit.size, HostFileContent(*edit.host_file, edit.size), edit.attributes);
        return editor.write_file(path, edit.content.size(), TextContent(edit.content), edit.attributes);
    case EditKind::append_file:
        return editor.append_file(path, edit.content);
    case EditKind::make_folder:
        return editor.make_folder(path, edit.attributes);
    case EditKind::make_symlink:
        return editor.make_symlink(path, edit.link_target, edit.attributes.selinux_label);
    case EditKind::remove:
        return editor.remove(path);
    }
}

void apply_natively(const EditPlan& plan, const OpenedGuest& opened, const std::vector<GuestMount>& mounts,
                    OverlayDevice& overlay, const ApplyOptions& options, const OperationContext& operation) {
    struct Opened {
        std::unique_ptr<VolumeChanges> changes;
        std::unique_ptr<FileSystemEditor> editor;
    };
    std::map<std::size_t, Opened> editors;
    for (const Edit& edit : plan.edits) {
        operation.check_cancelled();
        const std::size_t index = mount_of(mounts, edit.path);
        Opened& target = editors[index];
        if (!target.editor) {
            const Volume& volume = *native_volume(opened, mounts[index]);
            target.changes = std::make_unique<VolumeChanges>(overlay, volume.segments);
            // The volume was opened through the overlay, and shows what is written to it.
            target.editor = find_driver(mounts[index].type)->edit(volume.device, *target.changes, options.time);
        }
        const std::string& mount_point = mounts[index].mount_point;
        with_context(fmt::format("changing {} in the guest", quote_untrusted(edit.path)), [&] {
            apply_edit(edit, edit.path.substr(mount_point == "/" ? 1 : mount_point.size() + 1), *target.editor);
        });
    }
    for (auto& [index, target] : editors)
        target.editor->finish();
}

std::shared_ptr<const ApplianceSession> start_session(const std::shared_ptr<OverlayDevice>& overlay,
                                                      const GuestAccess& access, const OperationContext& operation) {
    auto session =
        std::make_shared<const ApplianceSession>(ApplianceDisks{overlay, overlay, access.disk_sizes}, operation);
    session->open_encrypted(access.keys);
    return session;
}

} // namespace

std::size_t mount_of(const std::vector<GuestMount>& mounts, const std::string& path) {
    std::optional<std::size_t> best;
    for (std::size_t i = 0; i < mounts.size(); ++i)
        if (lies_on(path, mounts[i].mount_point) &&
            (!best || mounts[i].mount_point.size() > mounts[*best].mount_point.size()))
            best = i;
    if (!best)
        fail(ErrorKind::unsupported, fmt::format("{} lies on no file system of the guest", quote_untrusted(path)));
    return *best;
}

std::string apply_edits(const EditPlan& plan, OpenedGuest& opened, const std::shared_ptr<OverlayDevice>& overlay,
                        const ApplyOptions& options, const OperationContext& operation) {
    if (plan.edits.empty())
        return "none";
    check_space(plan, *opened.guest);
    const std::vector<GuestMount> mounts = opened.guest->mounts();
    if (options.access.backend != GuestBackend::libguestfs) {
        const auto obstacle = native_obstacle(plan, opened, mounts);
        if (!obstacle) {
            apply_natively(plan, opened, mounts, *overlay, options, operation);
            opened.appliance.reset(); // it does not see what was written behind its back
            return "native";
        }
        if (options.access.backend == GuestBackend::native)
            fail(ErrorKind::unsupported, *obstacle);
        operation.progress->note(*obstacle);
    }
    std::vector<ApplianceMount> devices = appliance_mounts(opened, mounts);
    if (opened.backend == "native")
        for (std::size_t i = 0; i < mounts.size(); ++i)
            if (!mounts[i].subvolume.empty()) // libguestfs' name of it
                devices[i].device = "btrfsvol:" + devices[i].device + "/" + mounts[i].subvolume;
    opened.guest.reset();
    std::shared_ptr<const ApplianceSession> session = std::exchange(opened.appliance, nullptr);
    if (!session || !session->may_write())
        session = start_session(overlay, options.access, operation);
    operation.progress->note(fmt::format("libguestfs' appliance makes {} changes", plan.edits.size()));
    const auto editor = open_appliance_editor(session, devices, options.time, operation);
    for (const Edit& edit : plan.edits) {
        operation.check_cancelled();
        with_context(fmt::format("changing {} in the guest", quote_untrusted(edit.path)),
                     [&] { apply_edit(edit, edit.path.substr(1), *editor); });
    }
    editor->finish();
    opened.appliance = std::move(session);
    return "libguestfs";
}

} // namespace vm2oci
