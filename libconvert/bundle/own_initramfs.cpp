#include "libconvert/bundle/own_initramfs.hpp"

#include "formats/base/fd.hpp"
#include "formats/tree/cpio.hpp"
#include "libconvert/bundle/kernel.hpp"

#include <span>

namespace vm2oci {
namespace {

struct ArchiveText final : ByteSink {
    void write(std::span<const std::byte> bytes) override { text += as_text(bytes); }
    std::string text;
};

} // namespace

std::string make_own_initramfs(const std::filesystem::path& own_init, const std::optional<InitFile>& beside) {
    const std::string program = read_initramfs_file(own_init);
    ArchiveText archive;
    CpioWriter writer(archive);
    for (const char* folder : {"dev", "proc", "root", "run", "sys"})
        writer.add_folder(folder, 0755);
    writer.add_file("init", 0755, program);
    if (beside)
        writer.add_file(beside->name, 0644, beside->content);
    writer.finish();
    return std::move(archive.text);
}

std::string with_init_file(std::string initramfs, const InitFile& beside) {
    ArchiveText archive;
    archive.text = std::move(initramfs);
    archive.text += cpio_padding(archive.text.size());
    CpioWriter writer(archive);
    writer.add_file(beside.name, 0644, beside.content);
    writer.finish();
    return std::move(archive.text);
}

} // namespace vm2oci
