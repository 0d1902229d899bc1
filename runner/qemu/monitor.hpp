// QMP, QEMU's monitor protocol, without the socket: bytes in, messages out.
//
// QEMU may have been taken over by its guest, so what it says is untrusted: lines are bounded, and what is no message
// is an error, never a crash.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci {

inline constexpr std::size_t kMonitorLineLimit = 1024ull * 1024; // the longest answer to a command of ours is some KiB

enum class MonitorMessageKind { greeting, result, error, event };

struct MonitorMessage {
    MonitorMessageKind kind = MonitorMessageKind::event;
    std::string text;         // event: its name; error: its description; greeting: the version; result: if a string
    std::uint64_t id = 0;     // result and error: of the command
    std::string guest_reason; // SHUTDOWN and RESET: "guest-reset", "host-qmp-quit", …
    std::string port;         // VSERPORT_CHANGE: the port's id
    bool port_open = false;   // VSERPORT_CHANGE
};

class MonitorParser {
  public:
    // Adds the messages that are complete to the result. Error{external} for a line that is too long or no JSON.
    std::vector<MonitorMessage> feed(std::string_view bytes);

  private:
    std::string line_;
};

// One command as a line. `arguments` is a JSON object as text, or empty.
std::string monitor_command(std::string_view name, std::uint64_t id, std::string_view arguments = {});

} // namespace vm2oci
