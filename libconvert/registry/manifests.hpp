// Manifests, tags and referrers of one repository.
#pragma once

#include "formats/oci/descriptor.hpp"
#include "libconvert/registry/client.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci::registry {

inline constexpr std::size_t kMaxTags = 100'000;     // of one repository; beyond that a listing helps nobody
inline constexpr std::size_t kMaxReferrers = 10'000; // of one manifest; each is a signature or a report

struct FetchedManifest {
    Descriptor descriptor;
    std::string bytes;
};

// By tag or digest ("sha256:…"). nullopt: there is none. Error{corrupt} if what came is not what its digest, or the
// registry, says it is; Error{limit} above 4 MiB; Error{external} for what is no JSON.
std::optional<FetchedManifest> fetch_manifest(RegistryClient& client, std::string_view tag_or_digest);

// By tag or digest; repeated on faults, since storing the same again changes nothing. Error{external} if the registry
// stores another digest. A manifest with a subject is entered into the subject's fall-back index where the registry
// does not say that it has done so (distribution-spec, "Pushing Manifests with Subject").
void store_manifest(RegistryClient& client, std::string_view tag_or_digest, const std::string& bytes,
                    const Descriptor& descriptor);

// Sorted.
std::vector<std::string> list_tags(RegistryClient& client);

// The manifests whose subject is `subject`: signatures, bills of materials. From the registry's referrers API, else
// from the index under the tag that takes its place (distribution-spec, "Referrers Tag Schema"); empty if there is
// neither.
std::vector<Descriptor> list_referrers(RegistryClient& client, const Digest& subject);

} // namespace vm2oci::registry
