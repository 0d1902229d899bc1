// Machines of a batch that look alike: the same system with about as many packages. What an earlier image holds of the
// next one need not be compressed again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci {

// What a machine is, as far as others may be like it.
struct Likeness {
    std::string system; // product, version and architecture
    std::uint64_t packages = 0;
};

// From the document of `inspect`; nullopt: its guest could not be read, or is of no known system.
std::optional<Likeness> likeness_of(std::string_view inspection);

class LookAlikes {
  public:
    // An image has been made, and others may take from it: those of the same `kind` (shape and format of the disk).
    void made(std::string kind, const Likeness& likeness, std::string name, std::string image);

    struct Found {
        std::string name; // the machine's
        std::string image;
    };
    // The most alike, of several the one that was made last; nullopt: none is alike.
    std::optional<Found> nearest(std::string_view kind, const Likeness& likeness) const;

  private:
    struct Made {
        std::string kind;
        Likeness likeness;
        Found found;
    };
    std::vector<Made> made_;
};

} // namespace vm2oci
