#include "libconvert/bundle/kata.hpp"

#include "formats/base/checked.hpp"
#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/base/fd.hpp"
#include "formats/base/sha256.hpp"
#include "formats/base/size.hpp"
#include "formats/block/padded.hpp"
#include "formats/block/raw_writer.hpp"
#include "formats/tree/cpio_sink.hpp"
#include "libconvert/bundle/kata_layout.hpp"
#include "libconvert/bundle/kata_sandbox.hpp"
#include "libconvert/bundle/plan_root.hpp"
#include "libconvert/edit/plan_builder.hpp"
#include "libconvert/inspect/guest_info.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <zlib.h>

#include <algorithm>
#include <iterator>
#include <new>

namespace vm2oci {
namespace {

namespace fs = std::filesystem;

constexpr const char* kImageName = "kata-containers.img";
constexpr const char* kInitrdName = "kata-containers-initrd.img";
constexpr const char* kDropInName = "50-vm2oci.toml";
constexpr std::uint64_t kPartitionAlignment = 1 * MiB;

void plan_mount_point(PlanBuilder& plan, const SandboxFile& file) {
    const std::optional<FileStatus> there = plan.status(file.path, FinalLink::keep);
    if (there && there->type == FileType::regular)
        return;
    if (there)
        plan.remove(file.path, file.reason);
    plan.write(file.path, "", file.reason);
}

EditPlan plan_sandbox(const Guest& guest, const fs::path& agent) {
    PlanBuilder plan(guest);
    plan.begin("kata");
    const auto exists = [&](std::string_view path) { return plan.exists(path); };
    for (const SandboxFile& file : sandbox_files(sandbox_init_of(exists))) {
        FileAttributes attributes;
        attributes.permissions = file.permissions;
        switch (file.kind) {
        case SandboxFile::Kind::agent:
            plan.remove(file.path, file.reason); // a link, or one of busybox' names
            plan.write_host_file(file.path, agent, file_size(open_read(agent).get()), file.reason, attributes);
            break;
        case SandboxFile::Kind::file:
            plan.write(file.path, file.text, file.reason);
            break;
        case SandboxFile::Kind::link:
            plan.make_symlink(file.path, file.text, file.reason);
            break;
        case SandboxFile::Kind::folder:
            plan.make_folder(file.path, file.reason, attributes);
            break;
        case SandboxFile::Kind::mount_point:
            plan_mount_point(plan, file);
            break;
        }
    }
    return std::move(plan).finish();
}

ExportOptions left_out() {
    ExportOptions options;
    options.emptied = {"/proc", "/sys", "/dev", "/run", "/tmp", "/boot", "/efi"};
    options.excluded = {"/lost+found", "/vmlinuz", "/vmlinuz.old", "/initrd.img", "/initrd.img.old"};
    for (const char* library : {"/lib", "/usr/lib"})
        for (const char* folder : {"/modules", "/firmware"})
            options.excluded.push_back(std::string(library) + folder);
    return options;
}

// One member: the kernel takes an archive in several for several archives.
class GzipFile final : public ByteSink {
  public:
    explicit GzipFile(int fd) : fd_(fd), buffer_(256 * KiB) {
        constexpr int kGzipWindow = 15 + 16;
        constexpr int kMemoryLevel = 9;
        constexpr int kLevel = 4; // of Debian's files 3 % more than the best one, in an eighth of its time
        if (deflateInit2(&stream_, kLevel, Z_DEFLATED, kGzipWindow, kMemoryLevel, Z_DEFAULT_STRATEGY) != Z_OK)
            throw std::bad_alloc();
    }
    GzipFile(const GzipFile&) = delete;
    GzipFile& operator=(const GzipFile&) = delete;
    ~GzipFile() override { deflateEnd(&stream_); }

    void write(std::span<const std::byte> bytes) override {
        while (!bytes.empty()) {
            const auto step = static_cast<uInt>(std::min<std::size_t>(bytes.size(), 1 * GiB));
            stream_.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(bytes.data()));
            stream_.avail_in = step;
            while (stream_.avail_in != 0)
                run(Z_NO_FLUSH);
            bytes = bytes.subspan(step);
        }
    }
    void finish() {
        while (run(Z_FINISH) != Z_STREAM_END) {
        }
    }

  private:
    int run(int flush) {
        stream_.next_out = reinterpret_cast<Bytef*>(buffer_.data());
        stream_.avail_out = static_cast<uInt>(buffer_.size());
        const int result = deflate(&stream_, flush);
        if (result == Z_STREAM_ERROR)
            fail(ErrorKind::external, "zlib cannot compress the initrd");
        write_exactly(fd_, std::span(buffer_).first(buffer_.size() - stream_.avail_out));
        return result;
    }

    int fd_;
    z_stream stream_{};
    std::vector<std::byte> buffer_;
};

void write_initrd(const KataTree& tree, int fd, const OperationContext& operation) {
    GzipFile gzip(fd);
    CpioSink archive(gzip);
    operation.progress->begin("initrd", 0);
    tree.export_tree(archive, operation);
    archive.add_symlink("init", "/sbin/init"); // the last one of a name counts
    archive.finish();
    gzip.finish();
    operation.progress->end();
}

std::string drop_in(const fs::path& folder, BundleRootKind root, const std::optional<VerityRoot>& verity) {
    const auto quoted = [&](const char* name) { return nlohmann::json((folder / name).string()).dump(); };
    return fmt::format(
        "# Put this into /etc/kata-containers/config.d/ (for another hypervisor than QEMU: under its own\n"
        "# section). Instead of `image`, `initrd` may be taken; never both.\n"
        "[hypervisor.qemu]\n"
        "image = {}\n"
        "rootfs_type = \"{}\"\n"
        "{}"
        "initrd = \"\"\n"
        "# initrd = {}\n",
        quoted(kImageName), root == BundleRootKind::erofs ? "erofs" : "ext4",
        verity ? fmt::format("# The image proves itself by this; the initrd has nothing that does.\n"
                             "kernel_verity_params = \"{}\"\n",
                             kata_verity_parameters(*verity))
               : "",
        quoted(kInitrdName));
}

std::uint32_t disk_id(const std::string& uuid) {
    const Sha256Sum sum = sha256(as_bytes("vm2oci kata " + uuid));
    return load_le<std::uint32_t>(sum.data());
}

std::uint64_t used_bytes(const Guest& guest) {
    std::uint64_t used = 0;
    for (const GuestMount& mount : guest.mounts())
        if (mount.usage && mount.usage->total_bytes > mount.usage->free_bytes)
            used += mount.usage->total_bytes - mount.usage->free_bytes;
    return used;
}

class GuestTree final : public KataTree {
  public:
    explicit GuestTree(const Guest& guest) : guest_(guest) {}

    RootFiles make_root(const KataOptions& options, const OperationContext& operation) const override {
        if (options.root == BundleRootKind::erofs)
            return make_erofs_root(guest_, left_out(), options.time, operation);
        if (options.size)
            return make_ext4_root(guest_, left_out(), kata_root_size(*options.size), options.time, operation);
        // As much as the files took and a tenth more, for an ext4's own tables.
        return make_fitting_ext4_root(guest_, left_out(), kata_root_size(used_bytes(guest_) * 11 / 10 + 32 * MiB),
                                      options.time, operation);
    }
    void export_tree(TreeSink& sink, const OperationContext& operation) const override {
        guest_.export_tree(left_out(), sink, operation);
    }

  private:
    const Guest& guest_;
};

// The image's partitions: the root's, and behind it that of its hash tree. Together they fill the image.
std::vector<std::shared_ptr<const BlockDevice>> make_partitions(const PreparedKata& prepared,
                                                                const KataOptions& options, KataReport& report,
                                                                const OperationContext& operation) {
    const RootFiles files = prepared.tree->make_root(options, operation);
    if (files.attributes_left_out != 0)
        report.remarks.push_back(fmt::format(
            "{} extended attributes that the new file system does not store were left out", files.attributes_left_out));
    if (options.proof == RootProof::none)
        return {std::make_shared<PaddedDevice>(files.device, kata_root_size(files.device->size()))};
    const ProvenPartitions proven = prove_partition(files.device, prepared.uuid, operation);
    report.verity = proven.verity;
    const std::uint64_t tree_at = align_up(proven.root->size(), kPartitionAlignment);
    const std::uint64_t room = kata_root_size(tree_at + proven.tree->size());
    return {std::make_shared<PaddedDevice>(proven.root, tree_at),
            std::make_shared<PaddedDevice>(proven.tree, room - tree_at)};
}

} // namespace

PreparedKata prepare_kata(const std::shared_ptr<const BlockDevice>& disk, const KataOptions& options,
                          const OperationContext& operation) {
    PreparedKata prepared;
    const OpenedGuest opened = open_guest(disk, options.access, operation);
    const RootDisk root = make_root_disk(opened, {std::nullopt, options.time}, operation);
    prepared.uuid = root.uuid;
    prepared.remarks = root.remarks;
    if (root.attributes_left_out != 0)
        prepared.remarks.push_back(
            fmt::format("{} extended attributes that ext4 does not store were left out", root.attributes_left_out));
    GuestAccess access = options.access.to_lone_root();
    access.changes = root.device; // one appliance, if any, serves all of it
    OpenedGuest lone = open_guest(root.device, access, operation);
    if (!lone.guest)
        fail(ErrorKind::unsupported,
             "the guest's root file system cannot be read by itself: " + escape_untrusted(lone.reason),
             lone.reason_hint);
    const ApplyOptions apply{access, options.time};
    if (!options.edits.empty()) {
        prepared.edits = edit_guest(lone, root.device, options.edits, apply, EditMode::apply, operation);
        access.appliance = lone.appliance;
        lone = open_guest(root.device, access, operation);
    }
    refuse_unfit_agent(options.agent, inspect_os(lone).architecture,
                       [&](std::string_view path) { return exists(*lone.guest, path); });
    EditPlan plan = plan_lone_root(*lone.guest, opened.layout, root, BundleRootKind::erofs);
    for (Edit& edit : plan_sandbox(*lone.guest, options.agent).edits)
        plan.edits.push_back(std::move(edit));
    const std::string backend = apply_edits(plan, lone, root.device, apply, operation);
    if (prepared.edits.backend == "none")
        prepared.edits.backend = backend;
    std::move(plan.edits.begin(), plan.edits.end(), std::back_inserter(prepared.edits.plan.edits));
    access.appliance = lone.appliance;
    if (options.mode == EditMode::apply)
        prepared.guest = open_guest(root.device, access, operation);
    if (prepared.guest.guest)
        prepared.tree = std::make_shared<GuestTree>(*prepared.guest.guest);
    return prepared;
}

KataReport write_kata(const PreparedKata& prepared, const KataOptions& options, const fs::path& folder,
                      Outputs& outputs, const OperationContext& operation) {
    KataReport report;
    report.remarks = prepared.remarks;
    outputs.add_folder(folder);
    const fs::path absolute = fs::canonical(folder);
    const OutputFile& image_file = outputs.add_file(absolute / kImageName);
    const OutputFile& initrd_file = outputs.add_file(absolute / kInitrdName);
    Outputs::Document& configuration = outputs.add_document(absolute / kDropInName);
    const KataImage image(make_partitions(prepared, options, report, operation), disk_id(prepared.uuid));
    operation.progress->begin("write", image.size());
    write_raw_file(image, image_file.fd(), operation);
    operation.progress->end();
    write_initrd(*prepared.tree, initrd_file.fd(), operation);
    report.drop_in = drop_in(absolute, options.root, report.verity);
    configuration.content = report.drop_in;
    report.files = {{kImageName, file_size(image_file.fd()), "the guest image"},
                    {kInitrdName, file_size(initrd_file.fd()), "the same as an initrd"},
                    {kDropInName, report.drop_in.size(), "what makes Kata use them"}};
    operation.check_cancelled();
    return report;
}

} // namespace vm2oci
