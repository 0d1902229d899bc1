#include "formats/oci/null_store.hpp"

namespace vm2oci {
namespace {

class HashingWriter final : public BlobWriter {
  public:
    void write(std::span<const std::byte> bytes) override {
        hash_.update(bytes);
        size_ += bytes.size();
    }
    BlobIdentity commit() override { return {Digest(hash_.finish()), size_}; }

  private:
    Sha256 hash_;
    std::uint64_t size_ = 0;
};

} // namespace

std::unique_ptr<BlobWriter> NullDestination::begin_blob(const std::optional<Descriptor>& /*expected*/) {
    return std::make_unique<HashingWriter>();
}

Descriptor NullDestination::put_manifest(const std::string& bytes, const std::string& media_type) {
    return {.media_type = media_type, .digest = Digest::of(bytes), .size = bytes.size()};
}

} // namespace vm2oci
