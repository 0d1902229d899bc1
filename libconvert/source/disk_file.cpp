#include "libconvert/source/disk_file.hpp"

#include "formats/base/checked.hpp"
#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/base/fd.hpp"
#include "formats/base/size.hpp"
#include "formats/block/detect.hpp"
#include "formats/block/open_file.hpp"
#include "libconvert/source/archive_refusal.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <utility>

namespace vm2oci {
namespace {

// The beginning of what is packed.
class UnpackedHead final : public BlockDevice {
  public:
    explicit UnpackedHead(std::vector<std::byte> bytes) : bytes_(std::move(bytes)) {}
    std::uint64_t size() const override { return bytes_.size(); }
    void read_at(std::uint64_t offset, std::span<std::byte> buffer) const override {
        check_range(*this, offset, buffer.size());
        std::ranges::copy(std::span(bytes_).subspan(static_cast<std::size_t>(offset), buffer.size()), buffer.begin());
    }
    Extent extent_at(std::uint64_t offset) const override { return {bytes_.size() - offset, ExtentKind::data}; }

  private:
    std::vector<std::byte> bytes_;
};

// Compressed data look like anything by chance at one place of two bytes only: a boot sector's signature.
void refuse_two_things(const BlockDevice& stored, FileCompression compression) {
    const Detection detection = detect(stored);
    for (const FormatMatch& match : detection.matches)
        if (!match.name.starts_with(to_string(compression)))
            fail(ErrorKind::unsafe,
                 fmt::format("the file looks like {}-compressed data and like {} at once; say raw:PATH if it really is "
                             "a raw disk, or unpack it first",
                             to_string(compression), match.name));
    for (const std::string_view sign : detection.raw_signs)
        if (sign != "a boot sector or MBR")
            fail(ErrorKind::unsafe,
                 fmt::format("the file looks like {}-compressed data and bears {} at once; say raw:PATH if it really "
                             "is a raw disk, or unpack it first",
                             to_string(compression), sign));
}

// Unpacking all of it would only tell the same later.
void refuse_packed_archive(const BlockDevice& stored, FileCompression compression) {
    constexpr std::size_t magic_at = 257;
    constexpr std::string_view magic = "ustar";
    constexpr std::size_t head_bytes = 256 * KiB; // descriptions stand in front of disks
    std::vector<std::byte> head = first_content(stored, compression, head_bytes);
    if (head.size() >= magic_at + magic.size() && as_text(head).substr(magic_at).starts_with(magic))
        refuse_tar(UnpackedHead(std::move(head)), to_string(compression));
}

std::size_t read_standard_input(std::span<std::byte> buffer, const OperationContext& operation) {
    constexpr int tick_ms = 200; // how soon Ctrl-C is heard
    for (;;) {
        operation.check_cancelled();
        pollfd waiting{STDIN_FILENO, POLLIN, 0};
        if (::poll(&waiting, 1, tick_ms) == 0)
            continue;
        const ssize_t got = ::read(STDIN_FILENO, buffer.data(), buffer.size());
        if (got >= 0)
            return static_cast<std::size_t>(got);
        if (errno != EINTR && errno != EAGAIN)
            fail_errno("cannot read standard input", errno);
    }
}

// Null: it is a stream, or somebody has read from it.
std::shared_ptr<const BlockDevice> standard_input_in_place(const DiskPolicy& policy) {
    struct stat status {};
    if (::fstat(STDIN_FILENO, &status) != 0)
        fail_errno("cannot read standard input", errno);
    const bool is_file = S_ISREG(status.st_mode) || S_ISBLK(status.st_mode);
    if (!is_file || ::lseek(STDIN_FILENO, 0, SEEK_CUR) != 0)
        return nullptr;
    UniqueFd copy(::dup(STDIN_FILENO));
    if (!copy)
        fail_errno("cannot read standard input", errno);
    return adopt_disk_file(std::move(copy), "standard input", policy);
}

std::optional<FilePacking> packing_of(const UnpackedContent& file) {
    if (!file.compression)
        return std::nullopt;
    return FilePacking{*file.compression, file.stored_size, file.method};
}

DiskFile open_standard_input(const DiskSource& source, const OperationContext& operation) {
    if (auto file = standard_input_in_place(source.policy))
        return unpack_disk_file(std::move(file), source, operation);
    if (::isatty(STDIN_FILENO) == 1)
        fail(ErrorKind::usage, "standard input is a terminal; - reads a disk from a pipe or a file");
    const std::uint64_t largest = largest_container(source.policy.max_virtual_size);
    const ReadSome read = [&](std::span<std::byte> buffer) { return read_standard_input(buffer, operation); };
    UnpackedContent file = source.format == DiskFormat::raw
                               ? spool_plain_stream(read, largest, "standard input", operation)
                               : spool_stream(read, largest, "standard input", operation);
    return {file.content, packing_of(file)};
}

} // namespace

DiskFile unpack_disk_file(std::shared_ptr<const BlockDevice> stored, const DiskSource& source,
                          const OperationContext& operation) {
    const std::optional<FileCompression> compression =
        source.format == DiskFormat::raw ? std::nullopt : detect_file_compression(*stored);
    if (!compression)
        return {std::move(stored), std::nullopt};
    refuse_two_things(*stored, *compression);
    refuse_packed_archive(*stored, *compression);
    UnpackedContent file = open_compressed_file(stored, *compression, largest_container(source.policy.max_virtual_size),
                                                escape_untrusted(source.path.filename().string()), operation);
    return {file.content, packing_of(file)};
}

DiskFile open_packed_file(const DiskSource& source, const OperationContext& operation) {
    if (source.path == kStandardInput)
        return with_context("standard input", [&] { return open_standard_input(source, operation); });
    std::shared_ptr<const BlockDevice> file = open_disk_file(source.path, source.policy);
    return with_context(escape_untrusted(source.path.string()),
                        [&] { return unpack_disk_file(std::move(file), source, operation); });
}

std::uint64_t largest_container(std::uint64_t virtual_size) {
    // A sixteenth is far more than qcow2 with the smallest clusters takes.
    constexpr std::uint64_t fixed = 16 * MiB;
    const std::uint64_t extra = virtual_size / 16 + fixed;
    return extra > std::numeric_limits<std::uint64_t>::max() - virtual_size ? virtual_size : virtual_size + extra;
}

std::string describe(const FilePacking& packing) {
    return fmt::format("{}, {} packed, read {}", to_string(packing.compression), format_size(packing.stored_size),
                       to_string(packing.method));
}

} // namespace vm2oci
