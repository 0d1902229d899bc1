// systemd's own word that the system is up, over vsock: no agent is needed in the guest.
//
// systemd 254 and newer sends sd_notify messages to the address that the credential vmm.notify_socket names
// (systemd(1), "System credentials"; the credential comes by SMBIOS type 11). The guest may send anything else.
#pragma once

#include "formats/base/fd.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci {

inline constexpr unsigned kFirstSystemdThatNotifies = 254;
inline constexpr std::size_t kNotifyMessageLimit = 64ull * 1024; // systemd's own limit is 4 KiB
inline constexpr std::size_t kNotifyConnections = 16;            // at once; systemd makes one for each message

// One message: lines of NAME=VALUE. Strings are the guest's.
struct NotifyMessage {
    bool ready = false;                    // READY=1: the last job of the boot is done
    std::string status;                    // STATUS=…
    std::vector<std::string> active_units; // X_SYSTEMD_UNIT_ACTIVE=…
};
NotifyMessage parse_notify_message(std::string_view text);

// What has arrived on sockets of sequenced packets, one message each; never blocks. Those that have ended are dropped.
std::vector<NotifyMessage> read_notify_messages(std::vector<UniqueFd>& connections);

class NotifyChannel {
  public:
    // nullopt when this machine cannot do it, and then `problem` says why, for people.
    static std::optional<NotifyChannel> open(std::string& problem, const char* device = "/dev/vhost-vsock");

    std::uint32_t guest_cid() const { return guest_cid_; }
    std::uint32_t port() const { return port_; }
    int vhost_fd() const { return vhost_.get(); } // for QEMU
    int listener_fd() const { return listener_.get(); }

    // What has arrived; never blocks. From other machines than ours nothing is taken.
    std::vector<NotifyMessage> read();

  private:
    UniqueFd vhost_;
    UniqueFd listener_;
    std::vector<UniqueFd> connections_;
    std::uint32_t guest_cid_ = 0;
    std::uint32_t port_ = 0;
};

} // namespace vm2oci
