// Are the forwarded ports of the guest open?
//
// A user-mode network accepts a connection to a forwarded port before the guest has been asked, so a connection proves
// nothing. The network itself knows which the guest has answered (Machine::take_connections()).
#pragma once

#include "formats/base/fd.hpp"
#include "runner/machine/spec.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
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

    // Connects anew and looks for answers, at most once a second. Returns true if the network is to be asked now.
    bool poll(Milliseconds now);
    // What the network said: the host's ports of connections that the guest has accepted.
    void take_connections(const std::vector<std::uint16_t>& host_ports, Milliseconds now);

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

} // namespace vm2oci
