// A machine that runs, as the boot loop sees it, whatever runs it.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace vm2oci {

// Channels between an agent in the guest and us, beside the serial port.
enum class GuestChannel {
    agent,     // qemu-guest-agent's
    own_agent, // vm2oci's
};

enum class MachineEventKind {
    powered_on, // the first one; before it nothing of the guest has run
    reset,      // by the guest; as are the next two
    shutdown,
    panicked,
    channel_opened, // by a program in the guest
    channel_closed,
    notified_ready, // the guest's service manager told that the system is up
};

struct MachineEvent {
    MachineEventKind kind = MachineEventKind::powered_on;
    GuestChannel channel = GuestChannel::agent; // of channel_opened and channel_closed
};

// Since power-on; before it, since the start of what runs the machine. Dear to ask for.
struct ProcessorTimes {
    std::chrono::milliseconds used{0};   // by all processors of the machine
    std::chrono::milliseconds waited{0}; // for a processor of the host, in all threads: may be more than has passed
};

struct DiskUse {
    std::uint64_t size = 0;
    std::uint64_t touched =
        0; // bytes of data that the machine read at least once, in blocks of 64 KiB; holes cost nothing
    std::uint64_t read = 0;    // all bytes that it read of the image
    std::uint64_t written = 0; // went to the scratch file
};

// How what runs the machine ended by itself.
struct MachineExit {
    std::string description; // "exit code 1", "killed by signal 11 (Segmentation fault)"
    bool crashed = false;    // it went wrong itself: neither ended nor was killed
};

// Called from one thread. Only wait() and take_screenshot() block. All throw Error{external} when what runs the machine
// does not do as it should. Bytes and strings may be in the guest's hands.
class Machine {
  public:
    // What else wait() is to wake up for.
    struct Interest {
        bool agent_output = false; // there is something to write to the channel
        bool own_agent_output = false;
        int descriptor = -1; // becomes readable; -1: none
    };

    virtual ~Machine() = default;

    // Until something has arrived, or that long. Returns at once when the machine has ended.
    virtual void wait(std::chrono::milliseconds limit, const Interest& interest) = 0;
    // A clock that only goes forward, from any moment before power-on.
    virtual std::chrono::milliseconds clock() const = 0;
    virtual ProcessorTimes processor_times() = 0;

    // What has happened, in order. Take these first, then all of the serial port, then judge both: an event then stands
    // behind all that the guest had printed before it.
    virtual std::vector<MachineEvent> take_events() = 0;
    // What the guest printed, some KiB at most; empty: nothing more.
    virtual std::string read_serial() = 0;
    // Both take what fits now off the front of `bytes`; all of it where nobody will ever read it.
    virtual void write_serial(std::string& bytes) = 0;
    virtual void write(GuestChannel channel, std::string& bytes) = 0;
    virtual std::string read(GuestChannel channel) = 0;

    // The host's ports that lead into connections which the guest has accepted are asked for, and are there some time
    // later; nullopt: no answer yet.
    virtual void ask_connections() = 0;
    virtual std::optional<std::vector<std::uint16_t>> take_connections() = 0;

    // PNG; empty: none could be taken in time. Once for each machine.
    virtual std::vector<std::byte> take_screenshot(std::chrono::milliseconds limit) = 0;

    virtual DiskUse disk_use() const = 0;
    // The first error that the disk gave the machine.
    virtual std::optional<std::string> disk_error() const = 0;
    // nullopt: it runs.
    virtual std::optional<MachineExit> exit() = 0;

    // What runs it: its version ("" before power-on), how it was started, and what it said itself since the last call.
    virtual std::string version() const = 0;
    virtual std::vector<std::string> arguments() const = 0;
    virtual std::string take_messages() = 0;
    // Why there will be no MachineEventKind::notified_ready although it was asked for; empty: there may be.
    virtual std::string notify_problem() const = 0;
};

} // namespace vm2oci
