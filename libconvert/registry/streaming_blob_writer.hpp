// A blob of unknown size and digest, uploaded while it is being written: no blob on disk, a bounded window of it in
// memory.
#pragma once

#include "formats/oci/store.hpp"
#include "libconvert/registry/blob_upload.hpp"

#include <condition_variable>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

namespace vm2oci::registry {

// Of chunks on their way: what has gathered while the registry was busy goes in one request. Chunks that have arrived
// are kept as long as there is room: a drop is answered from them, and a blob that fits is sent again from its
// beginning by registries that cannot resume.
inline constexpr std::uint64_t kWindowSize = 24 * MiB;

class StreamingBlobWriter final : public BlobWriter {
  public:
    // `expected`, if it is known, is compared at commit().
    StreamingBlobWriter(std::shared_ptr<RegistryClient> client, std::optional<Descriptor> expected);
    // Uncommitted: stops the upload and cancels it at the registry.
    ~StreamingBlobWriter() override;

    // Blocks while the window is full of what has not arrived. Rethrows what the upload threw.
    void write(std::span<const std::byte> bytes) override;
    BlobIdentity commit() override;

  private:
    class Window;

    void hand_over();
    void upload_chunks();
    void stop() noexcept;

    std::shared_ptr<RegistryClient> client_;
    std::optional<Descriptor> expected_;
    Sha256 hash_;
    std::uint64_t written_ = 0;
    std::vector<std::byte> filling_;
    std::uint64_t chunk_size_ = kChunkSize;
    std::unique_ptr<Window> window_;
    std::unique_ptr<BlobUpload> upload_; // of the uploading thread while that runs
    std::thread uploader_;
};

// What is known to be there already: hashed, counted and forgotten.
class PresentBlobWriter final : public BlobWriter {
  public:
    explicit PresentBlobWriter(Descriptor expected) : expected_(std::move(expected)) {}
    void write(std::span<const std::byte> bytes) override;
    // Error{corrupt} if what was written is not what was expected.
    BlobIdentity commit() override;

  private:
    Descriptor expected_;
    Sha256 hash_;
    std::uint64_t written_ = 0;
};

} // namespace vm2oci::registry
