#include "formats/tree/cpio.hpp"

#include "formats/base/error.hpp"
#include "formats/base/fd.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace vm2oci {
namespace {

constexpr std::string_view kNewcMagic = "070701";
constexpr std::string_view kNewcMagicWithChecksum = "070702";
constexpr std::string_view kTrailer = "TRAILER!!!";
constexpr std::size_t kHeaderSize = 110; // magic and 13 numbers of 8 hexadecimal digits
constexpr std::size_t kNameLimit = 4096; // PATH_MAX: the kernel skips members with longer names
constexpr std::size_t kReserveLimit = 64ull * 1024;

} // namespace

std::string_view cpio_padding(std::uint64_t size) {
    constexpr std::string_view kZeros("\0\0\0\0", kCpioAlignment);
    return kZeros.substr(0, static_cast<std::size_t>((kCpioAlignment - size % kCpioAlignment) % kCpioAlignment));
}

void CpioWriter::add(std::string_view path, std::uint32_t mode, std::string_view content) {
    if (content.size() > UINT32_MAX)
        fail(ErrorKind::limit, "a cpio archive cannot hold a file of 4 GiB or more");
    const std::uint32_t inode = mode == 0 ? 0 : next_inode_++;
    const unsigned links = (mode & S_IFMT) == S_IFDIR ? 2 : 1;
    std::string header =
        fmt::format("{}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}", kNewcMagic,
                    inode, mode, 0, 0, links, 0, content.size(), 0, 0, 0, 0, path.size() + 1, 0);
    header += path;
    header += '\0';
    header += cpio_padding(header.size());
    out_.write(as_bytes(header));
    out_.write(as_bytes(content));
    out_.write(as_bytes(cpio_padding(content.size())));
}

void CpioWriter::add_folder(std::string_view path, std::uint32_t permissions) {
    add(path, S_IFDIR | permissions, {});
}

void CpioWriter::add_file(std::string_view path, std::uint32_t permissions, std::string_view content) {
    add(path, S_IFREG | permissions, content);
}

void CpioWriter::add_symlink(std::string_view path, std::string_view target) {
    add(path, S_IFLNK | 0777, target);
}

void CpioWriter::finish() {
    add(kTrailer, 0, {});
}

std::string CpioReader::take(std::size_t count, std::string_view what) {
    std::string bytes;
    bytes.reserve(std::min(count, kReserveLimit)); // the count is what an untrusted header says
    while (bytes.size() < count) {
        const std::span<const std::byte> ready = ready_bytes(what);
        const std::size_t step = std::min(ready.size(), count - bytes.size());
        bytes.append(reinterpret_cast<const char*>(ready.data()), step);
        stream_.consume(step);
    }
    position_ += count;
    return bytes;
}

std::span<const std::byte> CpioReader::ready_bytes(std::string_view what) {
    const std::span<const std::byte> ready = stream_.available();
    if (ready.empty())
        fail(ErrorKind::corrupt, fmt::format("the cpio archive ends inside {}", what));
    return ready;
}

void CpioReader::skip(std::uint64_t count) {
    position_ += count;
    while (count > 0) {
        const std::size_t step =
            static_cast<std::size_t>(std::min<std::uint64_t>(ready_bytes("a member").size(), count));
        stream_.consume(step);
        count -= step;
    }
}

void CpioReader::skip_padding() {
    skip(cpio_padding(position_).size());
}

std::optional<CpioMember> CpioReader::next() {
    if (inside_) {
        skip(pending_);
        skip_padding();
    }
    inside_ = false;
    const std::string header = take(kHeaderSize, "a header");
    if (!header.starts_with(kNewcMagic) && !header.starts_with(kNewcMagicWithChecksum))
        fail(ErrorKind::corrupt, "this is no cpio archive of the kind that the kernel reads");
    const auto field = [&](std::size_t index) {
        const char* begin = header.data() + kNewcMagic.size() + index * 8;
        std::uint32_t value = 0;
        const auto [end, error] = std::from_chars(begin, begin + 8, value, 16);
        if (error != std::errc() || end != begin + 8)
            fail(ErrorKind::corrupt, "a header of the cpio archive is broken");
        return value;
    };
    CpioMember member;
    member.mode = field(1);
    member.size = field(6);
    const std::uint32_t name_size = field(11);
    if (name_size == 0 || name_size > kNameLimit)
        fail(ErrorKind::corrupt, "a name in the cpio archive has an impossible length");
    std::string name = take(name_size, "a name");
    skip_padding();
    name.resize(std::min(name.find('\0'), name.size()));
    if (name == kTrailer)
        return std::nullopt;
    while (name.starts_with("./") || name.starts_with("/"))
        name.erase(0, name.find('/') + 1);
    member.path = std::move(name);
    pending_ = member.size;
    inside_ = true;
    return member;
}

std::string CpioReader::content() {
    std::string bytes = take(std::exchange(pending_, 0), "a member");
    return bytes;
}

} // namespace vm2oci
