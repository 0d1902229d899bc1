// A batch as values: machines to convert, what each takes, and what became of it.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace vm2oci {

// What a conversion takes while it runs.
struct BatchCost {
    unsigned processors = 1;
    std::uint64_t memory = 0; // bytes
};

struct BatchItem {
    std::size_t number = 0;         // in the whole list, from 1
    std::string name;               // "web01"
    std::string source;             // as written
    std::string destination;        // as written
    std::vector<std::string> words; // of the conversion besides these two; whoever runs it knows what they mean
    // Files that it reads, by which a change is seen; none: what it reads cannot be seen, and it is converted each
    // time.
    std::optional<std::vector<std::filesystem::path>> inputs;
    BatchCost cost;
    // What only one item at a time may write: an archive, which is written anew for each image. Empty: nothing.
    std::string exclusive;
    bool is_image = true; // the destination has a digest
    // What images its own may share frames with, by format and compression; "": none.
    std::string frame_kind{};
};

enum class ItemState {
    waiting,
    running,
    done,
    unchanged, // an earlier run made it, and nothing that it reads has changed
    failed,    // by what is around it: it may go well another time
    refused,   // the machine, or what was asked for
    rejected,  // it was made, did not come up, and was not published
    left_out,  // an earlier one failed
};
// "done", "left-out" …
std::string_view to_string(ItemState state);
// Error{corrupt} for no such word.
ItemState parse_item_state(std::string_view word);
inline bool is_good(ItemState state) {
    return state == ItemState::done || state == ItemState::unchanged;
}

struct ItemResult {
    std::size_t number = 0;
    std::string name;
    std::string source;
    std::string destination;
    ItemState state = ItemState::waiting;
    int exit_code = 0;   // of the conversion; 128 and the signal's number if one ended it
    std::string digest;  // of the image; "" for others
    std::string message; // why not, and what to do; one line, escaped
    double seconds = 0;
    double processor_seconds = 0;
    std::uint64_t virtual_size = 0;   // of the machine's disk; 0: not known
    std::uint64_t allocated_size = 0; // what of it has data
    std::uint64_t stored_size = 0;    // of the image's layers, compressed
    std::string booted;               // what the boot test said; "": there was none
    std::uint64_t frames = 0;         // of the image's layer
    std::uint64_t reused_frames = 0;  // taken from the image of a machine that looks alike
};

struct BatchShare {
    std::size_t index = 0; // from 0
    std::size_t of = 1;
};

struct BatchResult {
    std::string list; // its name
    BatchShare share;
    std::size_t list_size = 0; // machines of the whole list, all shares
    double seconds = 0;
    std::vector<ItemResult> items; // in the list's order

    std::size_t count(ItemState state) const;
    bool all_good() const;
};

// Of a batch: 0 if all is well, else the least final one of its items: 1 before 4, 3 and 2, as another run may do.
int exit_code_of(const BatchResult& result);

// For people: "12.3 s", "4:05 min", "1:01 h".
std::string format_duration(double seconds);

} // namespace vm2oci
