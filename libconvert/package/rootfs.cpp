#include "libconvert/package/rootfs.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "libconvert/package/guest_labels.hpp"
#include "libconvert/package/package_files.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <functional>
#include <string_view>

namespace vm2oci {
namespace {

constexpr const char* kDefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

// What installing packages makes in the places that are theirs: byte code, caches, indices, their database. Machines
// that were cloned from each other have the same.
bool is_beside_packages(std::string_view path) {
    const auto is_below = [&](std::string_view folder) { return path.starts_with(folder); };
    if (is_below("usr/local/"))
        return false;
    return std::ranges::any_of(std::array<std::string_view, 8>{"usr/", "boot/", "lib/apk/", "var/cache/",
                                                               "var/lib/apt/", "var/lib/dpkg/", "var/lib/rpm/",
                                                               "var/lib/pacman/"},
                               is_below);
}

// Passes one class of entries on. Hard links stay with the first of their paths, so that they lie in one layer.
class LayerFilter final : public TreeSink {
  public:
    enum class Keep { packaged, beside_packages, own };

    LayerFilter(TreeSink& out, const PackageFiles& files, Keep keep) : out_(out), files_(files), keep_(keep) {}

    void add(const Entry& entry, const FileContent* content) override {
        if (entry.status.type == FileType::directory) {
            if (keep_ == Keep::own)
                out_.add(entry, nullptr);
            else
                remember_folder(entry);
            return;
        }
        const std::string& path = entry.hard_link_to.value_or(entry.path);
        const Keep kind = files_.contains(path)      ? Keep::packaged
                          : is_beside_packages(path) ? Keep::beside_packages
                                                     : Keep::own;
        if (kind != keep_)
            return;
        for (const Entry& folder : pending_)
            out_.add(folder, nullptr);
        pending_.clear();
        out_.add(entry, content);
    }

  private:
    // Folders stand in lower layers only to hold files: their own times differ between machines, and come with the
    // uppermost layer.
    void remember_folder(const Entry& entry) {
        const auto holds = [&](const Entry& folder) {
            return folder.path.empty() || (entry.path.size() > folder.path.size() &&
                                           entry.path.compare(0, folder.path.size(), folder.path) == 0 &&
                                           entry.path[folder.path.size()] == '/');
        };
        while (!pending_.empty() && !holds(pending_.back()))
            pending_.pop_back();
        Entry plain;
        plain.path = entry.path;
        plain.status.type = FileType::directory;
        plain.status.permissions = 0755;
        pending_.push_back(std::move(plain));
    }

    TreeSink& out_;
    const PackageFiles& files_;
    Keep keep_;
    std::vector<Entry> pending_; // folders that hold nothing yet, outermost first
};

ExportOptions export_options(const OpenedGuest& opened, KernelFiles kernel_files) {
    ExportOptions options;
    options.emptied = {"/proc", "/sys", "/dev", "/run", "/tmp"};
    for (const GuestMount& mount : opened.guest->mounts())
        options.excluded.push_back((mount.mount_point == "/" ? "" : mount.mount_point) + "/lost+found");
    for (const FstabEntry& entry : opened.fstab)
        if (entry.type == "swap" && entry.device.substr(0, 1) == "/" && entry.device.substr(0, 5) != "/dev/")
            options.excluded.push_back(normalise_path(entry.device));
    if (kernel_files == KernelFiles::leave_out) {
        options.emptied.push_back("/boot");
        options.emptied.push_back("/efi");
        for (const char* library : {"/lib", "/usr/lib"})
            for (const char* folder : {"/modules", "/firmware"})
                options.excluded.push_back(std::string(library) + folder);
        // Debian's links to the newest kernel lead nowhere then.
        for (const char* link : {"/vmlinuz", "/vmlinuz.old", "/initrd.img", "/initrd.img.old"})
            options.excluded.emplace_back(link);
    }
    return options;
}

std::string search_path(const Guest& guest) {
    for (const char* file : {"/etc/environment", "/etc/login.defs"}) {
        const std::string text = try_read_text(guest, file).value_or("");
        const std::string_view key = std::string_view(file) == "/etc/environment" ? "PATH=" : "ENV_SUPATH";
        std::size_t at = 0;
        while (at < text.size()) {
            const std::size_t end = std::min(text.find('\n', at), text.size());
            std::string line = text.substr(at, end - at);
            at = end + 1;
            if (line.compare(0, key.size(), key) != 0)
                continue;
            const std::size_t slash = line.find('/');
            if (slash == std::string::npos)
                continue;
            line = line.substr(slash);
            line.erase(line.find_last_not_of("\"' \t\r") + 1);
            if (escape_untrusted(line, 4096) == line)
                return line;
        }
    }
    return kDefaultPath;
}

class AddedContent final : public FileContent {
  public:
    explicit AddedContent(const std::string& content) : content_(content) {}
    void copy_to(ByteSink& out) const override { out.write(as_bytes(content_)); }

  private:
    const std::string& content_;
};

void add_files(const std::vector<AddedFile>& files, std::int64_t time, TreeSink& tar) {
    std::string folder;
    for (const AddedFile& file : files) {
        Entry entry;
        entry.status.modified.seconds = time;
        if (std::string above = file.path.substr(0, file.path.find('/')); above != folder) {
            entry.path = folder = std::move(above);
            entry.status.type = FileType::directory;
            entry.status.permissions = 0755;
            tar.add(entry, nullptr);
        }
        entry.path = file.path;
        entry.status.type = FileType::regular;
        entry.status.permissions = 0644;
        entry.status.size = file.content.size();
        const AddedContent content(file.content);
        tar.add(entry, &content);
    }
}

ImageContents describe(const OpenedGuest& opened, const GuestInfo& info) {
    const Guest& guest = *opened.guest;
    ImageContents contents;
    contents.title = "root file system"; // of an unknown one
    contents.created_by = "vm2oci convert --as rootfs";
    add_guest_labels({info.os, info.init, {}, {}}, contents);
    contents.environment = {"PATH=" + search_path(guest)};
    if (exists(guest, "/sbin/init")) {
        contents.entrypoint = {"/sbin/init"};
        if (info.init == "systemd") {
            contents.stop_signal = "SIGRTMIN+3"; // systemd(1): halt
            contents.environment.emplace_back("container=oci");
        }
    } else {
        contents.command = {"/bin/sh"};
    }
    return contents;
}

void append_remarks(const TarReport& report, const OpenedGuest& opened, std::vector<std::string>& remarks) {
    const auto say = [&](const ReportedPaths& paths, const char* what) {
        if (paths.count != 0)
            remarks.push_back(
                fmt::format("{} {}, such as {}", paths.count, what, quote_untrusted(paths.first.front())));
    };
    say(report.sockets, "sockets were left out");
    say(report.devices, "device nodes were left out");
    say(report.sparse, "files with large holes are stored as sparse members");
    say(report.set_id, "files run with another user's or group's rights");
    for (const MissingMount& missing : opened.missing)
        remarks.push_back(fmt::format("what the guest mounts on {} from {} is not in the image: {}",
                                      quote_untrusted(missing.mount_point), quote_untrusted(missing.device),
                                      escape_untrusted(missing.reason)));
    for (const std::string& remark : opened.remarks)
        remarks.push_back(escape_untrusted(remark));
}

void merge(ReportedPaths& into, const ReportedPaths& from) {
    into.count += from.count;
    for (const std::string& path : from.first)
        if (into.first.size() < kReportedPaths)
            into.first.push_back(path);
}

} // namespace

RootfsImage write_rootfs(const OpenedGuest& opened, const GuestInfo& info, const RootfsOptions& options,
                         ImageDestination& destination, const OperationContext& operation) {
    if (!opened.guest)
        fail(
            ErrorKind::unsupported,
            fmt::format("there is no guest to package: {}{}", escape_untrusted(opened.reason),
                        opened.remarks.empty() ? std::string() : " (" + escape_untrusted(opened.remarks.front()) + ")"),
            opened.reason_hint);
    for (const MissingMount& missing : opened.missing)
        if (missing.need == MountNeed::required)
            fail(ErrorKind::unsupported,
                 fmt::format("{} of the guest, on {}, cannot be read: {}", quote_untrusted(missing.mount_point),
                             quote_untrusted(missing.device), escape_untrusted(missing.reason)),
                 hint_for(missing.remedy));
    ImageContents contents = describe(opened, info);
    const ExportOptions exported = export_options(opened, options.kernel_files);
    // What podman finds of a file's chunks in a zstd:chunked layer is its whole content.
    const TarPolicy policy{DeviceNodes::leave_out, WhiteoutNames::refuse,
                           options.layer.form == LayerForm::chunked ? LargeHoles::refuse : LargeHoles::leave_out};

    RootfsImage image;
    const auto write_layer = [&](const std::function<void(TreeSink&)>& fill) {
        LayerWriter layer(destination, options.layer, operation);
        TarSink tar(layer, policy, &layer);
        fill(tar);
        const TarReport report = tar.finish();
        image.report.entries += report.entries;
        merge(image.report.sockets, report.sockets);
        merge(image.report.devices, report.devices);
        merge(image.report.sparse, report.sparse);
        merge(image.report.set_id, report.set_id);
        image.layers.push_back(layer.finish());
    };
    operation.progress->begin("package", 0);
    if (options.layers == RootfsLayers::split) {
        const PackageFiles files = read_package_files(*opened.guest);
        using Keep = LayerFilter::Keep;
        for (const Keep keep : {Keep::packaged, Keep::beside_packages, Keep::own})
            write_layer([&](TreeSink& tar) {
                LayerFilter filter(tar, files, keep);
                opened.guest->export_tree(exported, filter, operation);
            });
    } else {
        write_layer([&](TreeSink& tar) { opened.guest->export_tree(exported, tar, operation); });
    }
    if (!options.added.empty())
        write_layer([&](TreeSink& tar) { add_files(options.added, options.image.created, tar); });
    operation.progress->end();

    contents.layers = image.layers;
    ImageOptions users = options.image;
    if (users.architecture.empty())
        users.architecture = info.os.architecture;
    if (users.architecture.empty())
        fail(ErrorKind::unsupported, "the guest's architecture is not known", HintKind::architecture);
    append_remarks(image.report, opened, image.remarks);
    image.manifest = assemble_image(users, contents, destination);
    return image;
}

} // namespace vm2oci
