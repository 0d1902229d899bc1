// Images in memory: for tests, and for library users who keep small images to themselves.
#pragma once

#include "formats/oci/store.hpp"

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace vm2oci {

// Blobs by digest and what the tags name. Thread-safe.
class MemoryStore {
  public:
    void put_blob(const Digest& digest, std::string content);
    // Null: there is none.
    std::shared_ptr<const std::string> find_blob(const Digest& digest) const;
    void set_tag(const std::optional<std::string>& tag, const Descriptor& top);
    // As find_in_layout_index().
    Descriptor find_tag(const std::optional<std::string>& tag) const;

  private:
    mutable std::mutex mutex_;
    std::map<Digest, std::shared_ptr<const std::string>> blobs_;
    std::string index_; // as index.json; "": empty
};

class MemoryDestination final : public ImageDestination {
  public:
    explicit MemoryDestination(std::shared_ptr<MemoryStore> store, std::optional<std::string> tag = std::nullopt);

    DestinationTraits traits() const override { return {}; }
    bool has_blob(const Descriptor& blob) override;
    std::unique_ptr<BlobWriter> begin_blob(const std::optional<Descriptor>& expected) override;
    Descriptor put_manifest(const std::string& bytes, const std::string& media_type) override;
    std::shared_ptr<const BlockDevice> open_written(const Descriptor& blob) override;
    void publish(const Descriptor& top) override;

  private:
    std::shared_ptr<MemoryStore> store_;
    std::optional<std::string> tag_;
};

class MemorySource final : public ImageSource {
  public:
    explicit MemorySource(std::shared_ptr<MemoryStore> store, std::optional<std::string> tag = std::nullopt);

    Descriptor resolve() override;
    std::string read_manifest(const Descriptor& manifest) override;
    std::shared_ptr<const BlockDevice> open_blob(const Descriptor& blob) override;

  private:
    std::shared_ptr<MemoryStore> store_;
    std::optional<std::string> tag_;
};

} // namespace vm2oci
