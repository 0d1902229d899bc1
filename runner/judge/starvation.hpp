// Whether what went wrong in a machine did so for lack of time on its host.
//
// Much in a guest gives up after a while by its own clock: units of systemd, DHCP, the wait for a root device. A host
// that has no processor for the machine makes the clock run and nothing else.
#pragma once

#include "runner/judge/instant.hpp"
#include "runner/judge/rules.hpp"

#include <cstddef>
#include <map>
#include <string>
#include <string_view>

namespace vm2oci {

// Less than this part of a range is everyday: three processors' work on two of them does not stop a boot.
inline constexpr int kStarvedPercent = 25;
// What fails sooner has not waited for a time limit: the shortest that matter are half a minute.
inline constexpr Milliseconds kShortestLimit{25000};

// Rules whose lines can come of a time limit in the guest, on an image that is well.
bool may_lack_time(const Rule& rule);

// The host kept the machine waiting for a good part of the range.
bool is_starved(BootInstant from, BootInstant to);

// Remembers when units began to start, to tell what failed at once from what was given up.
class StartingUnits {
  public:
    void take_line(std::string_view line, BootInstant at);
    // When the unit that a "[FAILED]" line names began to start; `otherwise` where nobody said.
    BootInstant began(std::string_view failed_line, BootInstant otherwise) const;

  private:
    std::map<std::string, BootInstant, std::less<>> begun_; // by the name that systemd prints
};

} // namespace vm2oci
