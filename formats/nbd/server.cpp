#include "formats/nbd/server.hpp"

#include "formats/base/error.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <exception>
#include <list>
#include <mutex>
#include <thread>

namespace vm2oci {
namespace {

class SocketChannel final : public NbdChannel {
  public:
    explicit SocketChannel(int fd) : fd_(fd) {}

    bool read(std::span<std::byte> buffer) override {
        while (!buffer.empty()) {
            const ssize_t n = ::recv(fd_, buffer.data(), buffer.size(), 0);
            if (n < 0 && errno == EINTR)
                continue;
            if (n <= 0)
                return false;
            buffer = buffer.subspan(static_cast<std::size_t>(n));
        }
        return true;
    }

    bool write(std::span<const std::byte> bytes) override {
        while (!bytes.empty()) {
            const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (n < 0 && errno == EINTR)
                continue;
            if (n <= 0)
                return false;
            bytes = bytes.subspan(static_cast<std::size_t>(n));
        }
        return true;
    }

  private:
    int fd_;
};

} // namespace

struct NbdServer::State {
    struct Connection {
        UniqueFd socket;
        std::thread thread;
        bool finished = false;
    };

    NbdExport exported;
    std::filesystem::path path;
    UniqueFd listener;
    UniqueFd wake;
    std::thread acceptor;

    mutable std::mutex mutex; // guards what follows
    std::list<Connection> connections;
    std::optional<std::string> first_error;

    void record(const std::string& what) {
        const std::lock_guard lock(mutex);
        if (!first_error)
            first_error = what;
    }

    void add(UniqueFd socket) {
        const std::lock_guard lock(mutex);
        for (auto it = connections.begin(); it != connections.end();) {
            if (!it->finished) {
                ++it;
                continue;
            }
            it->thread.join();
            it = connections.erase(it);
        }
        if (connections.size() >= kNbdMaxConnections)
            return;
        Connection& connection = connections.emplace_back();
        connection.socket = std::move(socket);
        connection.thread = std::thread([this, &connection] { serve(connection); });
    }

    void serve(Connection& connection) {
        try {
            SocketChannel channel(connection.socket.get());
            serve_nbd(channel, exported);
        } catch (const std::exception& error) {
            record(error.what());
        }
        const std::lock_guard lock(mutex);
        ::shutdown(connection.socket.get(), SHUT_RDWR);
        connection.finished = true;
    }

    void accept_all() {
        for (;;) {
            pollfd entries[2] = {{listener.get(), POLLIN, 0}, {wake.get(), POLLIN, 0}};
            if (::poll(entries, 2, -1) < 0 && errno != EINTR)
                return;
            if (entries[1].revents != 0)
                return;
            if (entries[0].revents == 0)
                continue;
            UniqueFd socket(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
            if (socket)
                add(std::move(socket));
        }
    }

    void stop() {
        if (acceptor.joinable()) {
            const std::uint64_t one = 1;
            write_exactly(wake.get(), std::as_bytes(std::span(&one, 1)));
            acceptor.join();
            ::unlink(path.c_str());
        }
        {
            const std::lock_guard lock(mutex);
            for (const Connection& connection : connections)
                ::shutdown(connection.socket.get(), SHUT_RDWR);
        }
        // No thread adds connections any more, so the list stands still.
        for (Connection& connection : connections)
            connection.thread.join();
        connections.clear();
    }
};

NbdServer::NbdServer(NbdExport exported) : state_(std::make_unique<State>()) {
    state_->exported = std::move(exported);
    state_->exported.on_error = [state = state_.get(),
                                 next = std::move(state_->exported.on_error)](const std::string& what) {
        state->record(what);
        if (next)
            next(what);
    };
}

NbdServer::~NbdServer() {
    state_->stop();
}

void NbdServer::listen(const std::filesystem::path& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string name = path.string();
    if (name.size() >= sizeof address.sun_path)
        fail(ErrorKind::usage, "the socket's path " + name + " is too long", HintKind::scratch_folder);
    std::memcpy(address.sun_path, name.c_str(), name.size() + 1);
    UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!listener)
        fail_errno("cannot make a socket", errno);
    // On Linux the mode of the unbound socket becomes the mode of the file.
    ::fchmod(listener.get(), 0600);
    if (::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
        fail_errno("cannot listen on " + name, errno);
    state_->path = path;
    if (::listen(listener.get(), 16) != 0)
        fail_errno("cannot listen on " + name, errno);
    state_->wake = UniqueFd(::eventfd(0, EFD_CLOEXEC));
    if (!state_->wake)
        fail_errno("cannot make an eventfd", errno);
    state_->listener = std::move(listener);
    state_->acceptor = std::thread([state = state_.get()] { state->accept_all(); });
}

UniqueFd NbdServer::connect() {
    int ends[2] = {-1, -1};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        fail_errno("cannot make a socket", errno);
    UniqueFd client(ends[0]);
    state_->add(UniqueFd(ends[1]));
    return client;
}

std::optional<std::string> NbdServer::first_error() const {
    const std::lock_guard lock(state_->mutex);
    return state_->first_error;
}

} // namespace vm2oci
