// What a batch remembers between its runs, so that one that was killed at any moment goes on where it was.
//
// A folder with one folder for each item:
//   key         what was converted: programs, words, and the files' sizes and times; durable before work begins
//   digest      the image's; there before the image's reference is
//   document    what the conversion printed
//   log         what it said
//   inspection  what its source was seen to be, if others may look alike
//   result.json what became of it
// An image is made when `digest` is there and the destination has an image of that digest. Whatever else is missing was
// not finished.
#pragma once

#include "formats/base/fd.hpp"
#include "tools/batch/item.hpp"

#include <filesystem>
#include <optional>
#include <string>

namespace vm2oci {

// By which a change of the item is seen; nullopt: it cannot be, and the item is always converted. `program`: the
// version of what converts.
std::optional<std::string> batch_key(const BatchItem& item, const std::string& program);

struct ItemFiles {
    std::filesystem::path digest;
    std::filesystem::path document;
    std::filesystem::path log;
    std::filesystem::path inspection;
};

class BatchState {
  public:
    // Makes the folder. Error{io}.
    explicit BatchState(std::filesystem::path folder);

    // What an earlier run made of the same item with the same key, without asking the destination: its digest, if it
    // is an image that was complete; nullopt: nothing.
    std::optional<ItemResult> made_before(const BatchItem& item, const std::string& key) const;

    // Nobody else works on the item as long as the descriptor is open, and what an earlier run left of it is gone.
    // Error{conflict}: another batch does.
    UniqueFd begin(const BatchItem& item, const std::optional<std::string>& key);
    ItemFiles files(const BatchItem& item) const;
    void end(const BatchItem& item, const ItemResult& result);

  private:
    std::filesystem::path folder_of(const BatchItem& item) const;

    std::filesystem::path folder_;
};

} // namespace vm2oci
