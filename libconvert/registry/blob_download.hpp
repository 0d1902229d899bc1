// One blob on its way out of a repository.
#pragma once

#include "formats/oci/descriptor.hpp"
#include "libconvert/registry/client.hpp"

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>

namespace vm2oci::registry {

inline constexpr unsigned kMaxResumptions = 100; // of one blob: an hour on a link that drops twice a minute

// A "Content-Range: bytes 5-9/100" of a 206; nullopt for anything else.
struct ContentRange {
    std::uint64_t first;
    std::uint64_t last;
    std::optional<std::uint64_t> total;
};
std::optional<ContentRange> parse_content_range(std::string_view text);

// Writes the blob to `out` in order. After a drop it goes on where it was, by a range or, where the registry ignores
// ranges, by skipping what it had. Error{corrupt} when size or digest are not the descriptor's.
void download_blob(RegistryClient& client, const Descriptor& blob, ByteSink& out, const OperationContext& operation);

enum class RangeAnswer { filled, ignored };

// Fetches ranges of one blob. Thread-safe.
class RangeFetcher {
  public:
    RangeFetcher(RegistryClient& client, Descriptor blob) : client_(client), blob_(std::move(blob)) {}

    // Fills `buffer` from `offset`; resumes after drops. `ignored`: the registry sends the whole blob for every range.
    RangeAnswer fetch(std::uint64_t offset, std::span<std::byte> buffer);

  private:
    Url address();
    void remember(const Url& answered_from);
    void forget();

    RegistryClient& client_;
    const Descriptor blob_;
    std::mutex mutex_;
    std::optional<Url> elsewhere_; // where the registry's redirect led; it ends at some time
};

} // namespace vm2oci::registry
