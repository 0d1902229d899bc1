#include "formats/oci/stored_blob.hpp"

#include "formats/base/error.hpp"
#include "formats/base/size.hpp"
#include "formats/oci/json.hpp"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <vector>

namespace vm2oci {

FileRange::FileRange(std::shared_ptr<const UniqueFd> file, std::uint64_t offset, std::uint64_t length)
    : file_(std::move(file)), offset_(offset), length_(length) {}

void FileRange::read_at(std::uint64_t offset, std::span<std::byte> buffer) const {
    check_range(*this, offset, buffer.size());
    read_exactly_at(file_->get(), offset_ + offset, buffer);
}

Extent FileRange::extent_at(std::uint64_t offset) const {
    check_range(*this, offset, 1);
    return {length_ - offset, ExtentKind::data};
}

std::shared_ptr<const BlockDevice> duplicate_range(int fd, std::uint64_t offset, std::uint64_t length) {
    auto copy = std::make_shared<UniqueFd>(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
    if (!*copy)
        fail_errno("cannot duplicate a file descriptor", errno);
    return std::make_shared<FileRange>(std::move(copy), offset, length);
}

void TextBlob::read_at(std::uint64_t offset, std::span<std::byte> buffer) const {
    check_range(*this, offset, buffer.size());
    std::ranges::copy(as_bytes(*text_).subspan(offset, buffer.size()), buffer.begin());
}

Extent TextBlob::extent_at(std::uint64_t offset) const {
    check_range(*this, offset, 1);
    return {size() - offset, ExtentKind::data};
}

void check_blob_size(const BlockDevice& content, const Descriptor& blob) {
    if (content.size() != blob.size)
        fail(ErrorKind::corrupt, fmt::format("blob {} has {} bytes, and its descriptor says {}", blob.digest.text(),
                                             content.size(), blob.size));
}

bool is_whole_blob(const BlockDevice& content, const BlobIdentity& blob, const OperationContext& operation) {
    if (content.size() != blob.size)
        return false;
    constexpr std::uint64_t step = 1 * MiB;
    std::vector<std::byte> buffer(static_cast<std::size_t>(std::min(step, blob.size)));
    Sha256 hash;
    for (std::uint64_t offset = 0; offset < blob.size;) {
        operation.check_cancelled();
        const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), blob.size - offset));
        content.read_at(offset, std::span(buffer).first(count));
        hash.update(std::span<const std::byte>(buffer).first(count));
        offset += count;
    }
    return Digest(hash.finish()) == blob.digest;
}

std::string read_small_file(const BlockDevice& content, std::string_view what) {
    if (content.size() > kMaxManifestBytes)
        fail(ErrorKind::limit, fmt::format("{} has {}; at most {} are read", what, format_size(content.size()),
                                           format_size(kMaxManifestBytes)));
    std::string text(content.size(), '\0');
    content.read_at(0, std::as_writable_bytes(std::span(text)));
    return text;
}

std::string read_manifest_blob(const BlockDevice& content, const Descriptor& manifest) {
    check_blob_size(content, manifest);
    std::string text = read_small_file(content, manifest.digest.text());
    if (Digest::of(text) != manifest.digest)
        fail(ErrorKind::corrupt,
             fmt::format("the content of {} has another digest, {}", manifest.digest.text(), Digest::of(text).text()));
    return text;
}

} // namespace vm2oci
