// What the stores in files share: a range of a file as a blob, and the checks on what was read.
#pragma once

#include "formats/base/fd.hpp"
#include "formats/base/progress.hpp"
#include "formats/block/block_device.hpp"
#include "formats/oci/descriptor.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace vm2oci {

// Bytes `offset` to `offset + length` of a file; all of it is data.
class FileRange final : public BlockDevice {
  public:
    FileRange(std::shared_ptr<const UniqueFd> file, std::uint64_t offset, std::uint64_t length);

    std::uint64_t size() const override { return length_; }
    void read_at(std::uint64_t offset, std::span<std::byte> buffer) const override;
    Extent extent_at(std::uint64_t offset) const override;

  private:
    std::shared_ptr<const UniqueFd> file_;
    std::uint64_t offset_;
    std::uint64_t length_;
};

// A range of a file that somebody else keeps open, readable as long as the result lives.
std::shared_ptr<const BlockDevice> duplicate_range(int fd, std::uint64_t offset, std::uint64_t length);

// A text in memory as a blob.
class TextBlob final : public BlockDevice {
  public:
    explicit TextBlob(std::shared_ptr<const std::string> text) : text_(std::move(text)) {}

    std::uint64_t size() const override { return text_->size(); }
    void read_at(std::uint64_t offset, std::span<std::byte> buffer) const override;
    Extent extent_at(std::uint64_t offset) const override;

  private:
    std::shared_ptr<const std::string> text_;
};

// The whole of a file that must be small. Error{limit} above kMaxManifestBytes; `what` names it.
std::string read_small_file(const BlockDevice& content, std::string_view what);

// The whole blob as text. Error{limit} above kMaxManifestBytes, Error{corrupt} if size or digest differ.
std::string read_manifest_blob(const BlockDevice& content, const Descriptor& manifest);

// Whether all of `content` is the blob: size and digest. Reads it to its end.
bool is_whole_blob(const BlockDevice& content, const BlobIdentity& blob, const OperationContext& operation);

// Error{corrupt} unless the blob has the size that its descriptor says.
void check_blob_size(const BlockDevice& content, const Descriptor& blob);

} // namespace vm2oci
