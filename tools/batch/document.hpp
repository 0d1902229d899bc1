// The document of `batch`, and of each of its items, written and read back.
#pragma once

#include "tools/batch/item.hpp"

#include <nlohmann/json_fwd.hpp>

#include <string>
#include <string_view>

namespace vm2oci {

nlohmann::ordered_json item_to_json(const ItemResult& item);
nlohmann::ordered_json batch_to_json(const BatchResult& result);

// Documents with their version.
std::string item_result_text(const ItemResult& item);
std::string batch_result_text(const BatchResult& result);

// The results in a text, which may be logs of several shares, one behind the other: whatever else stands there is
// passed over, also a result that is cut off.
std::vector<BatchResult> find_batch_results(std::string_view text);

// Error{corrupt}: it is none.
ItemResult parse_item_result(std::string_view text);
BatchResult parse_batch_result(std::string_view text);

// What a conversion printed, successful or not, as far as a batch wants it: digest, sizes, what the boot test said, and
// the message of an error. What is no such document changes nothing.
void read_conversion(std::string_view document, ItemResult& into);

// The results of the shares of one list as one, in the list's order. An item that several have is the best of them; one
// that none has failed, as nobody knows what became of it. Error{conflict}: they are of different lists.
BatchResult gather(const std::vector<BatchResult>& shares);

} // namespace vm2oci
