#include "libconvert/container/container_kata.hpp"

#include "formats/base/error.hpp"
#include "formats/base/fd.hpp"
#include "formats/base/size.hpp"
#include "formats/block/file_device.hpp"
#include "formats/block/joined.hpp"
#include "formats/tree/tar.hpp"
#include "libconvert/bundle/kata_layout.hpp"
#include "libconvert/bundle/kata_sandbox.hpp"
#include "libconvert/container/container_guest.hpp"
#include "libconvert/container/root_of_container.hpp"

#include <algorithm>
#include <utility>

namespace vm2oci {
namespace {

constexpr std::uint64_t kRoom = 16 * MiB; // a sandbox's root is not written to; ext4 has tables of its own

class BytesDevice final : public BlockDevice {
  public:
    explicit BytesDevice(std::string bytes) : bytes_(std::move(bytes)) {}
    std::uint64_t size() const override { return bytes_.size(); }
    void read_at(std::uint64_t offset, std::span<std::byte> buffer) const override {
        check_range(*this, offset, buffer.size());
        const auto from = as_bytes(bytes_).subspan(static_cast<std::size_t>(offset), buffer.size());
        std::copy(from.begin(), from.end(), buffer.begin());
    }
    Extent extent_at(std::uint64_t offset) const override {
        check_range(*this, offset, 1);
        return {size() - offset, ExtentKind::data};
    }

  private:
    std::string bytes_;
};

// The tar of what a sandbox needs, over a tree.
class SandboxLayer {
  public:
    SandboxLayer(const ContainerTree& tree, const KataOptions& options) : tree_(tree), options_(options) {}

    void add(const SandboxFile& file) {
        Entry entry;
        entry.path = file.path.substr(1);
        entry.status.permissions = file.permissions;
        entry.status.modified.seconds = options_.time;
        switch (file.kind) {
        case SandboxFile::Kind::agent: {
            UniqueFd agent = open_read(options_.agent);
            entry.status.size = file_size(agent.get());
            text_ += tar_header(entry);
            flush();
            pieces_.push_back(std::make_shared<FileDevice>(std::move(agent), options_.agent));
            text_.append(tar_padding(entry.status.size), '\0');
            return;
        }
        case SandboxFile::Kind::folder:
            if (tree_.find(file.path))
                return;
            entry.status.type = FileType::directory;
            break;
        case SandboxFile::Kind::link:
            entry.status.type = FileType::symlink;
            entry.link_target = file.text;
            break;
        case SandboxFile::Kind::mount_point:
            if (is_regular(file.path))
                return;
            break;
        case SandboxFile::Kind::file:
            entry.status.size = file.text.size();
            break;
        }
        text_ += tar_header(entry);
        if (file.kind == SandboxFile::Kind::file)
            text_ += file.text + std::string(tar_padding(file.text.size()), '\0');
    }

    std::shared_ptr<const BlockDevice> finish() && {
        text_.append(kTarEndSize, '\0');
        flush();
        return std::make_shared<JoinedDevice>(pieces_);
    }

  private:
    // By itself, and not by a link.
    bool is_regular(const std::string& path) const {
        const std::optional<ContainerFile> file = tree_.find(path, LastLink::keep);
        return file && file->status.type == FileType::regular;
    }
    void flush() { pieces_.push_back(std::make_shared<BytesDevice>(std::exchange(text_, {}))); }

    const ContainerTree& tree_;
    const KataOptions& options_;
    std::string text_;
    std::vector<std::shared_ptr<const BlockDevice>> pieces_;
};

class ImageTree final : public KataTree {
  public:
    ImageTree(std::shared_ptr<const ContainerFiles> files, Digest image)
        : files_(std::move(files)), image_(std::move(image)) {}

    RootFiles make_root(const KataOptions& options, const OperationContext& operation) const override {
        ContainerRootOptions root;
        root.kind = options.root;
        root.time = options.time;
        root.image = image_;
        root.room = kRoom;
        if (options.size)
            root.size = kata_root_size(*options.size);
        return make_container_root(*files_, root, operation);
    }
    void export_tree(TreeSink& sink, const OperationContext&) const override { files_->export_tree(sink); }

  private:
    std::shared_ptr<const ContainerFiles> files_;
    Digest image_;
};

} // namespace

PreparedKata prepare_container_kata(ImageSource& source, const ImageContent& image, const KataOptions& options,
                                    const OperationContext& operation) {
    const auto files = std::make_shared<ContainerFiles>(source, image, operation);
    const auto exists = [&](std::string_view path) { return files->tree().find(path).has_value(); };
    refuse_unfit_agent(options.agent, image.config->platform.architecture, exists);
    SandboxLayer layer(files->tree(), options);
    for (const SandboxFile& file : sandbox_files(sandbox_init_of(exists)))
        layer.add(file);
    files->add_layer(std::move(layer).finish());
    PreparedKata prepared;
    prepared.uuid = image.manifest.digest.text();
    prepared.guest = guest_of_container(files);
    prepared.tree = std::make_shared<ImageTree>(files, image.manifest.digest);
    return prepared;
}

} // namespace vm2oci
