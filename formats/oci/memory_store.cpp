#include "formats/oci/memory_store.hpp"

#include "formats/base/error.hpp"
#include "formats/base/fd.hpp"
#include "formats/oci/layout_index.hpp"
#include "formats/oci/stored_blob.hpp"

#include <algorithm>

namespace vm2oci {
namespace {

class MemoryBlobWriter final : public BlobWriter {
  public:
    explicit MemoryBlobWriter(std::shared_ptr<MemoryStore> store) : store_(std::move(store)) {}

    void write(std::span<const std::byte> bytes) override { content_ += as_text(bytes); }
    BlobIdentity commit() override {
        BlobIdentity blob{Digest::of(content_), content_.size()};
        store_->put_blob(blob.digest, std::move(content_));
        return blob;
    }

  private:
    std::shared_ptr<MemoryStore> store_;
    std::string content_;
};

} // namespace

void MemoryStore::put_blob(const Digest& digest, std::string content) {
    const std::lock_guard lock(mutex_);
    blobs_.try_emplace(digest, std::make_shared<const std::string>(std::move(content)));
}

std::shared_ptr<const std::string> MemoryStore::find_blob(const Digest& digest) const {
    const std::lock_guard lock(mutex_);
    const auto found = blobs_.find(digest);
    return found == blobs_.end() ? nullptr : found->second;
}

void MemoryStore::set_tag(const std::optional<std::string>& tag, const Descriptor& top) {
    const std::lock_guard lock(mutex_);
    index_ = layout_index_with(index_.empty() ? empty_layout_index() : index_, top, tag);
}

Descriptor MemoryStore::find_tag(const std::optional<std::string>& tag) const {
    const std::lock_guard lock(mutex_);
    return find_in_layout_index(index_.empty() ? empty_layout_index() : index_, tag, "the store");
}

MemoryDestination::MemoryDestination(std::shared_ptr<MemoryStore> store, std::optional<std::string> tag)
    : store_(std::move(store)), tag_(std::move(tag)) {}

bool MemoryDestination::has_blob(const Descriptor& blob) {
    return store_->find_blob(blob.digest) != nullptr;
}

std::unique_ptr<BlobWriter> MemoryDestination::begin_blob(const std::optional<Descriptor>& /*expected*/) {
    return std::make_unique<MemoryBlobWriter>(store_);
}

Descriptor MemoryDestination::put_manifest(const std::string& bytes, const std::string& media_type) {
    const Digest digest = Digest::of(bytes);
    store_->put_blob(digest, bytes);
    return {.media_type = media_type, .digest = digest, .size = bytes.size()};
}

std::shared_ptr<const BlockDevice> MemoryDestination::open_written(const Descriptor& blob) {
    std::shared_ptr<const std::string> content = store_->find_blob(blob.digest);
    return content == nullptr ? nullptr : std::make_shared<TextBlob>(std::move(content));
}

void MemoryDestination::publish(const Descriptor& top) {
    store_->set_tag(tag_, top);
}

MemorySource::MemorySource(std::shared_ptr<MemoryStore> store, std::optional<std::string> tag)
    : store_(std::move(store)), tag_(std::move(tag)) {}

Descriptor MemorySource::resolve() {
    return store_->find_tag(tag_);
}

std::string MemorySource::read_manifest(const Descriptor& manifest) {
    return read_manifest_blob(*open_blob(manifest), manifest);
}

std::shared_ptr<const BlockDevice> MemorySource::open_blob(const Descriptor& blob) {
    std::shared_ptr<const std::string> content = store_->find_blob(blob.digest);
    if (content == nullptr)
        fail(ErrorKind::not_found, "the store has no blob " + blob.digest.text());
    return std::make_shared<TextBlob>(std::move(content));
}

} // namespace vm2oci
