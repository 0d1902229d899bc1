// Are the forwarded ports of the guest open?
//
// QEMU's user network accepts a connection to a forwarded port before the guest has been asked, so a connection proves
// nothing. QEMU's own table of connections knows which the guest has answered.
#pragma once

#include "formats/base/fd.hpp"
#include "runner/spec.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace vm2oci {

class PortWatch {
  public:
    using Milliseconds = std::chrono::milliseconds;

    explicit PortWatch(const std::vector<PortForward>& forwards);

    bool empty() const { return ports_.empty(); }
    bool all_open() const;
    // When the port was found open; none: not yet.
    std::optional<Milliseconds> opened_at(std::size_t index) const { return ports_[index].opened; }
    std::size_t size() const { return ports_.size(); }
    const PortForward& forward(std::size_t index) const { return ports_[index].forward; }

    // Connects anew and looks for answers, at most once a second. Returns true if the network's table would help now.
    bool poll(Milliseconds now);
    // The answer to the monitor's "info usernet".
    void take_table(std::string_view table, Milliseconds now);

  private:
    struct Port {
        PortForward forward;
        UniqueFd connection;
        Milliseconds connected{0};
        std::optional<Milliseconds> opened;
    };

    static void try_connect(Port& port, Milliseconds now);

    std::vector<Port> ports_;
    Milliseconds next_poll_{0};
};

// True if `table` has an established connection that came in by the host's port.
bool usernet_established(std::string_view table, std::uint16_t host_port);

} // namespace vm2oci
