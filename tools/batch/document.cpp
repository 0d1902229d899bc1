#include "tools/batch/document.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "tools/documents/document.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <map>
#include <optional>

namespace vm2oci {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kMostMachines = 4ull * 1024 * 1024; // more than a list of the largest size can name

Json parse(std::string_view text) {
    Json json = Json::parse(text, nullptr, false);
    if (json.is_discarded() || !json.is_object())
        fail(ErrorKind::corrupt, "what a batch remembers is no JSON document");
    return json;
}

template <class Value>
Value member(const Json& json, const char* name) {
    const auto found = json.find(name);
    if (found == json.end())
        fail(ErrorKind::corrupt, fmt::format("what a batch remembers lacks {}", name));
    try {
        return found->get<Value>();
    } catch (const Json::exception&) {
        fail(ErrorKind::corrupt, fmt::format("what a batch remembers has another {}", name));
    }
}

// Of members that are there only if there is something to say.
std::string text_member(const Json& json, const char* name) {
    return json.contains(name) ? member<std::string>(json, name) : "";
}

std::uint64_t size_in(const Json& json, const char* name) {
    const auto found = json.find(name);
    return found != json.end() && found->is_number_unsigned() ? found->get<std::uint64_t>() : 0;
}

ItemResult item_from(const Json& json) {
    ItemResult item;
    item.number = member<std::size_t>(json, "number");
    item.name = member<std::string>(json, "name");
    item.source = member<std::string>(json, "source");
    item.destination = member<std::string>(json, "destination");
    item.state = parse_item_state(member<std::string>(json, "state"));
    item.exit_code = member<int>(json, "exit_code");
    item.digest = text_member(json, "digest");
    item.message = text_member(json, "message");
    item.seconds = member<double>(json, "seconds");
    item.processor_seconds = member<double>(json, "processor_seconds");
    item.virtual_size = member<std::uint64_t>(json, "virtual_size");
    item.allocated_size = member<std::uint64_t>(json, "allocated_size");
    item.stored_size = member<std::uint64_t>(json, "stored_size");
    item.booted = text_member(json, "booted");
    item.frames = member<std::uint64_t>(json, "frames");
    item.reused_frames = member<std::uint64_t>(json, "reused_frames");
    return item;
}

// The sizes of layers lie under "layer" or "layers", those of disks under "disk", "disks" or "root".
void add_sizes(const Json& json, ItemResult& into) {
    for (const char* name : {"layer", "layers"})
        if (const auto found = json.find(name); found != json.end())
            for (const Json& layer : found->is_array() ? *found : Json::array({*found}))
                if (layer.is_object()) {
                    into.stored_size += size_in(layer, "size");
                    into.frames += size_in(layer, "frames");
                    into.reused_frames += size_in(layer, "reused_frames");
                }
    for (const char* name : {"disk", "disks", "root"})
        if (const auto found = json.find(name); found != json.end())
            for (const Json& disk : found->is_array() ? *found : Json::array({*found}))
                if (disk.is_object()) {
                    into.virtual_size += size_in(disk, "virtual_size");
                    into.allocated_size += size_in(disk, "allocated_size");
                }
}

} // namespace

Json item_to_json(const ItemResult& item) {
    Json json = {{"number", item.number},
                 {"name", item.name},
                 {"source", item.source},
                 {"destination", item.destination},
                 {"state", to_string(item.state)},
                 {"exit_code", item.exit_code},
                 {"seconds", item.seconds},
                 {"processor_seconds", item.processor_seconds},
                 {"virtual_size", item.virtual_size},
                 {"allocated_size", item.allocated_size},
                 {"stored_size", item.stored_size},
                 {"frames", item.frames},
                 {"reused_frames", item.reused_frames}};
    for (const auto& [name, text] :
         {std::pair("digest", &item.digest), {"message", &item.message}, {"booted", &item.booted}})
        if (!text->empty())
            json[name] = *text;
    return json;
}

Json batch_to_json(const BatchResult& result) {
    Json items = Json::array();
    for (const ItemResult& item : result.items)
        items.push_back(item_to_json(item));
    Json counts = Json::object();
    for (const ItemState state : {ItemState::done, ItemState::unchanged, ItemState::failed, ItemState::refused,
                                  ItemState::rejected, ItemState::left_out})
        counts[std::string(to_string(state))] = result.count(state);
    return {{"list", result.list},           {"share", {{"index", result.share.index}, {"of", result.share.of}}},
            {"list_size", result.list_size}, {"seconds", result.seconds},
            {"counts", std::move(counts)},   {"machines", std::move(items)}};
}

std::string item_result_text(const ItemResult& item) {
    return document_text(item_to_json(item));
}

std::string batch_result_text(const BatchResult& result) {
    return document_text(batch_to_json(result));
}

ItemResult parse_item_result(std::string_view text) {
    return item_from(parse(text));
}

BatchResult parse_batch_result(std::string_view text) {
    const Json json = parse(text);
    BatchResult result;
    result.list = member<std::string>(json, "list");
    const auto share = member<Json>(json, "share");
    result.share = {member<std::size_t>(share, "index"), member<std::size_t>(share, "of")};
    result.list_size = member<std::size_t>(json, "list_size");
    result.seconds = member<double>(json, "seconds");
    for (const Json& item : member<Json>(json, "machines")) {
        result.items.push_back(item_from(item));
        if (result.items.back().number == 0 || result.items.back().number > result.list_size)
            fail(ErrorKind::corrupt, "what a batch remembers has a machine that its list has not");
    }
    if (result.share.of == 0 || result.share.index >= result.share.of || result.list_size > kMostMachines)
        fail(ErrorKind::corrupt, "what a batch remembers is of no share of a list");
    return result;
}

std::vector<BatchResult> find_batch_results(std::string_view text) {
    // Documents are printed with their first and last brackets on lines of their own, and everything else indented.
    std::vector<BatchResult> results;
    std::optional<std::size_t> begin;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = std::min(text.find('\n', at), text.size());
        std::string_view line = text.substr(at, end - at);
        if (line.ends_with('\r'))
            line.remove_suffix(1);
        if (line == "{")
            begin = at;
        else if (line == "}" && begin) {
            try {
                results.push_back(parse_batch_result(text.substr(*begin, end - *begin)));
            } catch (const Error&) {
                // A document of something else.
            }
            begin.reset();
        }
        at = end + 1;
    }
    return results;
}

void read_conversion(std::string_view document, ItemResult& into) {
    const Json json = Json::parse(document, nullptr, false);
    if (json.is_discarded() || !json.is_object())
        return;
    if (const auto digest = json.find("digest"); digest != json.end() && digest->is_string())
        into.digest = digest->get<std::string>();
    add_sizes(json, into);
    const auto boot = json.find("boot");
    if (boot != json.end() && boot->is_object())
        if (const auto verdict = boot->find("verdict"); verdict != boot->end() && verdict->is_object())
            if (const auto outcome = verdict->find("outcome"); outcome != verdict->end() && outcome->is_string())
                into.booted = escape_untrusted(outcome->get<std::string>());
    const auto error = json.find("error");
    if (error != json.end() && error->is_object() && into.message.empty())
        if (const auto message = error->find("message"); message != error->end() && message->is_string())
            into.message = message->get<std::string>();
}

namespace {

// Of the same list, by what shares tell of it.
void require_one_list(const BatchResult& first, const BatchResult& other) {
    if (other.list != first.list)
        fail(ErrorKind::conflict, fmt::format("results of {} and of {} are no shares of one list",
                                              quote_untrusted(first.list), quote_untrusted(other.list)));
    if (other.list_size != first.list_size)
        fail(ErrorKind::conflict, fmt::format("results of a list of {} machines and of one of {} are no shares of one "
                                              "list: it has changed in between",
                                              first.list_size, other.list_size));
}

ItemResult lost_item(std::size_t number, std::optional<std::size_t> shares) {
    ItemResult item;
    item.number = number;
    item.name = fmt::format("machine-{}", number);
    item.state = ItemState::failed;
    item.exit_code = 1;
    item.message = "no result tells of it: its share did not end, or its result is not among these";
    if (shares)
        item.message += fmt::format("; run the share with index {} of {} again", (number - 1) % *shares, *shares);
    return item;
}

} // namespace

BatchResult gather(const std::vector<BatchResult>& shares) {
    const auto rank = [](const ItemResult& item) {
        return is_good(item.state) ? 0 : item.state == ItemState::left_out ? 2 : 1;
    };
    BatchResult all;
    std::map<std::size_t, ItemResult> items;
    std::optional<std::size_t> divided;
    for (const BatchResult& share : shares) {
        require_one_list(shares.front(), share);
        if (&share == &shares.front())
            divided = share.share.of;
        else if (divided != share.share.of)
            divided.reset();
        all.list = share.list;
        all.list_size = share.list_size;
        all.seconds = std::max(all.seconds, share.seconds);
        for (const ItemResult& item : share.items) {
            const auto [place, is_new] = items.emplace(item.number, item);
            if (!is_new && rank(item) < rank(place->second))
                place->second = item;
        }
    }
    for (std::size_t number = 1; number <= all.list_size; ++number) {
        const auto found = items.find(number);
        all.items.push_back(found == items.end() ? lost_item(number, divided) : std::move(found->second));
    }
    return all;
}

} // namespace vm2oci
