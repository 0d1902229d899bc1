#include "runner/qemu/notify.hpp"

#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>

namespace vm2oci {
namespace {

constexpr std::size_t kMaxUnits = 64; // of one message; systemd names one
constexpr std::uint32_t kFirstFreeCid = 3;

} // namespace

NotifyMessage parse_notify_message(std::string_view text) {
    NotifyMessage message;
    text = text.substr(0, kNotifyMessageLimit);
    while (!text.empty()) {
        const std::size_t end = text.find('\n');
        const std::string_view line = text.substr(0, end);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
        const std::size_t equals = line.find('=');
        if (equals == std::string_view::npos)
            continue;
        const std::string_view name = line.substr(0, equals);
        const std::string_view value = line.substr(equals + 1);
        if (name == "READY")
            message.ready = message.ready || value == "1";
        else if (name == "STATUS")
            message.status = value;
        else if (name == "X_SYSTEMD_UNIT_ACTIVE" && message.active_units.size() < kMaxUnits)
            message.active_units.emplace_back(value);
    }
    return message;
}

std::vector<NotifyMessage> read_notify_messages(std::vector<UniqueFd>& connections) {
    std::vector<NotifyMessage> messages;
    std::array<char, kNotifyMessageLimit> buffer{};
    for (auto connection = connections.begin(); connection != connections.end();) {
        const ssize_t n = ::recv(connection->get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
        if (n > 0)
            messages.push_back(parse_notify_message({buffer.data(), static_cast<std::size_t>(n)}));
        const bool open = n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
        connection = open ? connection + 1 : connections.erase(connection);
    }
    return messages;
}

std::optional<NotifyChannel> NotifyChannel::open(std::string& problem, const char* device) {
    NotifyChannel channel;
    channel.vhost_ = UniqueFd(::open(device, O_RDWR | O_CLOEXEC));
    if (!channel.vhost_) {
        problem = std::string(device) + " cannot be opened: " + std::generic_category().message(errno);
        return std::nullopt;
    }
    // Guests have streams and sequenced packets; systemd tries the latter by itself.
    channel.listener_ = UniqueFd(::socket(AF_VSOCK, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_vm address{};
    address.svm_family = AF_VSOCK;
    address.svm_cid = VMADDR_CID_ANY;
    address.svm_port = VMADDR_PORT_ANY;
    socklen_t length = sizeof address;
    if (!channel.listener_ ||
        ::bind(channel.listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(channel.listener_.get(), static_cast<int>(kNotifyConnections)) != 0 ||
        ::getsockname(channel.listener_.get(), reinterpret_cast<sockaddr*>(&address), &length) != 0) {
        problem = "no vsock address can be listened on: " + std::generic_category().message(errno);
        return std::nullopt;
    }
    channel.port_ = address.svm_port;
    // The kernel gives out no number of its own; 31 random bits do not meet those of another machine.
    std::uint32_t random = 0;
    if (::getrandom(&random, sizeof random, 0) != static_cast<ssize_t>(sizeof random)) {
        problem = "no random number: " + std::generic_category().message(errno);
        return std::nullopt;
    }
    channel.guest_cid_ = kFirstFreeCid + (random >> 1);
    return channel;
}

std::vector<NotifyMessage> NotifyChannel::read() {
    while (connections_.size() < kNotifyConnections) {
        sockaddr_vm peer{};
        socklen_t length = sizeof peer;
        UniqueFd connection(
            ::accept4(listener_.get(), reinterpret_cast<sockaddr*>(&peer), &length, SOCK_CLOEXEC | SOCK_NONBLOCK));
        if (!connection)
            break;
        if (peer.svm_cid == guest_cid_)
            connections_.push_back(std::move(connection));
    }
    return read_notify_messages(connections_);
}

} // namespace vm2oci
