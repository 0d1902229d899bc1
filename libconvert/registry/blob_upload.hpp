// One blob on its way into a repository: the upload protocol of the distribution specification as a state machine that
// knows what the registry has and what must be sent again.
#pragma once

#include "formats/oci/descriptor.hpp"
#include "libconvert/registry/client.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace vm2oci::registry {

// The bytes of a blob, of which the oldest may be gone. Used by the thread that uploads, while another may add to it.
class UploadContent {
  public:
    virtual ~UploadContent() = default;
    // Before an upload goes back to `offset`: from now on nothing at or behind it is dropped, until more than that has
    // arrived. False: some of it is gone already.
    virtual bool keep_from(std::uint64_t offset) const = 0;
    // All of `buffer`. UploadLost for bytes that are gone.
    virtual void read_at(std::uint64_t offset, std::span<std::byte> buffer) const = 0;
};

// The registry no longer has the upload, and what was sent is no longer at hand: only making the blob again helps.
class UploadLost final : public Error {
  public:
    using Error::Error;
};

// The registry takes a blob in one request only, and the size of this one is not known yet, or its beginning is gone.
class ChunksRefused final : public Error {
  public:
    using Error::Error;
};

inline constexpr std::uint64_t kChunkSize = 8 * MiB;             // object stores behind registries want at least 5 MiB
inline constexpr std::uint64_t kSmallestChunk = 256 * KiB;       // below that, a bound on requests is not what is wrong
inline constexpr std::uint64_t kLargestSingleRequest = 64 * MiB; // more goes in chunks, so that a drop costs one chunk
inline constexpr unsigned kMaxRestarts = 32;                     // of one blob, from its first byte

// "0-1048575" or "bytes=0-1048575" -> 1048576; nullopt if absent or unreadable. "0-0", which registries answer for an
// empty upload, is 0.
std::optional<std::uint64_t> acknowledged_bytes(const HttpHeaders& headers);

// Whether the repository has the blob. Error{external} if the registry answers with another size or digest.
bool blob_exists(RegistryClient& client, const Descriptor& blob);

class BlobUpload {
  public:
    // `on_progress` is called with the bytes of the blob that have been sent; ascends but for what is sent again.
    BlobUpload(RegistryClient& client, std::function<void(std::uint64_t)> on_progress);
    BlobUpload(const BlobUpload&) = delete;
    BlobUpload& operator=(const BlobUpload&) = delete;
    // Cancels what was begun and not finished.
    ~BlobUpload();

    // Asks the registry to take the blob from another of its repositories. True: done. False: not done; an upload may
    // have been begun instead.
    bool mount(const Digest& digest, const std::string& from_repository);

    // The size of chunks that send() is best called with. Known after the upload has begun.
    std::uint64_t chunk_size();

    // Returns when the registry has the bytes up to `end`, which is at least what it had. Chunks; resumes; starts over
    // where the registry has lost the upload and `content` begins at 0, else UploadLost. ChunksRefused.
    void send(const UploadContent& content, std::uint64_t end);

    // Sends what the registry does not have yet of the `blob.size` bytes, in one request where nothing was sent so
    // far and it is not much, or where the registry refuses chunks, and closes the upload; the last chunk goes with
    // the request that closes it. Error{external} if the registry says it stored something else.
    void finish(const UploadContent& content, const BlobIdentity& blob);

  private:
    void begin();
    void take_location(const HttpResponse& response, const Url& asked);
    Answer call(HttpMethod method, const Url& url, const HttpBody* body, HttpHeaders headers = {});
    const Url& location() const; // of the upload that is open
    // After a fault: learns what the registry has. False: it has lost the upload.
    bool synchronise();
    void recover(const UploadContent& content, std::string_view what_happened);
    void restart(const UploadContent& content, std::string_view what_happened);
    void shrink_chunks(const HttpResponse& response, std::uint64_t refused);
    [[noreturn]] void refuse_chunks(std::string_view what_it_does);
    // Whether the answer to the last request may mean that this one may not carry a chunk; asked once.
    bool may_be_about_the_body(const HttpResponse& response, std::uint64_t sent);
    // A refusal by an answer; false: it is the second at this step, and sending the same again will not help.
    bool may_repeat_step();
    void send_chunk(const UploadContent& content, std::uint64_t length);
    void judge_chunk(const HttpResponse& response, const Url& asked, const UploadContent& content,
                     std::uint64_t length);
    void send_all_but_last(const UploadContent& content, std::uint64_t size);
    // True: closed. False: something has to be sent first.
    bool close(const UploadContent& content, const BlobIdentity& blob);

    RegistryClient& client_;
    std::function<void(std::uint64_t)> on_progress_;
    std::optional<Url> location_;    // an upload is open
    std::uint64_t acknowledged_ = 0; // bytes that the registry has
    std::uint64_t acknowledged_at_fault_ = 0;
    std::uint64_t sent_until_ = 0; // more than that no registry can have
    unsigned faults_ = 0;          // since acknowledged_ grew
    unsigned digest_refusals_ = 0;
    unsigned restarts_ = 0;
    unsigned location_lost_at_close_ = 0;
    std::uint64_t chunk_limit_; // at first what the run has learnt
    std::uint64_t chunk_minimum_ = 0;
    std::optional<std::uint64_t> refused_at_; // the step that was refused last
    bool body_refused_at_close_ = false;
    enum class Closing { in_one_request, after_chunks, last_chunk_with_it };
    Closing closing_ = Closing::in_one_request;
};

} // namespace vm2oci::registry
