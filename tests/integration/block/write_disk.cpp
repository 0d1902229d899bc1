// write_disk FORMAT raw:SOURCE|qcow2:SOURCE DESTINATION THREADS [SIZE]
// Writes a disk as qcow2, qcow2-zlib, qcow2-zstd, raw or raw-stream, through the block room alone: what the tests hand
// to qemu-img.
#include "formats/base/error.hpp"
#include "formats/base/fd.hpp"
#include "formats/base/size.hpp"
#include "formats/block/copy.hpp"
#include "formats/block/open_disk.hpp"
#include "formats/block/padded.hpp"
#include "formats/block/qcow2/compressed_writer.hpp"
#include "formats/block/raw_writer.hpp"

#include <fcntl.h>

#include <cstdio>
#include <cstdlib>
#include <string_view>

using namespace vm2oci;

namespace {

class FileSink final : public ByteSink {
  public:
    explicit FileSink(int fd) : fd_(fd) {}
    void write(std::span<const std::byte> bytes) override { write_exactly(fd_, bytes); }

  private:
    int fd_;
};

void run(std::span<char*> arguments) {
    const std::string_view format = arguments[0];
    const std::string_view reference = arguments[1];
    DiskSource source;
    source.path = reference.substr(reference.find(':') + 1);
    source.format = reference.starts_with("raw:") ? DiskFormat::raw : DiskFormat::qcow2;
    const auto disk = open_disk(source).device;
    const UniqueFd out(::open(arguments[2], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
    OperationContext context;
    context.threads = static_cast<unsigned>(std::atoi(arguments[3]));
    std::optional<std::uint64_t> size;
    if (arguments.size() > 4)
        size = parse_size(arguments[4]);

    FileSink sink(out.get());
    if (format == "raw") {
        write_raw_file(*raw_image(disk, size), out.get(), context);
        return;
    }
    if (format == "raw-stream") {
        copy_bytes(*raw_image(disk, size), sink, context);
        return;
    }
    const CanonicalQcow2 image(disk, map_allocation(*disk, context), size);
    if (format == "qcow2")
        copy_bytes(image, sink, context);
    else if (format == "qcow2-zlib")
        write_compressed_qcow2(image, qcow2::CompressionType::zlib, out.get(), context);
    else if (format == "qcow2-zstd")
        write_compressed_qcow2(image, qcow2::CompressionType::zstd, out.get(), context);
    else
        fail(ErrorKind::usage, "no such format");
}

} // namespace

int main(int argc, char** argv) {
    if (argc < 5) {
        std::fputs("usage: write_disk FORMAT raw:SOURCE|qcow2:SOURCE DESTINATION THREADS [SIZE]\n", stderr);
        return 2;
    }
    try {
        run(std::span(argv, static_cast<std::size_t>(argc)).subspan(1));
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "write_disk: %s\n", error.what());
        return 1;
    }
}
