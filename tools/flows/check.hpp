// Whether an image would work in what it is for.
#pragma once

#include "libconvert/check/consumers.hpp"
#include "libconvert/check/image_facts.hpp"
#include "tools/flows/boot_source.hpp"
#include "tools/flows/open_source.hpp"

#include <string>
#include <vector>

namespace vm2oci {

struct CheckRequest {
    ImageReference image;
    std::vector<const Consumer*> consumers;   // empty: all that the image is for
    std::string architecture;                 // which image of an index; "": the only one
    ContentCheck check = ContentCheck::parts; // of remote layers; local ones are read whole
    registry::RegistryOptions registry;
};

struct ConsumerVerdict {
    const Consumer* consumer;
    std::vector<Problem> problems;

    bool works() const; // no problem is an error
};

// A layer of a remote image that can only be decoded from its beginning: of that member only the beginning was
// seen, and nothing of what lies behind it.
struct PartlyListedLayer {
    Digest layer;
    std::string last_listed; // path, untrusted
};

struct CheckResult {
    std::vector<ConsumerVerdict> verdicts;
    std::vector<PartlyListedLayer> partly_listed;
    ContentTrust trust = ContentTrust::verified;

    bool all_work() const;
};

CheckResult check_image(const CheckRequest& request, const OperationContext& operation);

} // namespace vm2oci
