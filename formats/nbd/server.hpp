// An NBD server on unix sockets: how another program (QEMU, libguestfs, qemu-img) gets to read a BlockDevice of ours.
//
// Only unix sockets, never a port: whoever may connect is decided by the socket's folder, or by who holds the
// descriptor.
#pragma once

#include "formats/base/fd.hpp"
#include "formats/nbd/session.hpp"

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

namespace vm2oci {

inline constexpr unsigned kNbdMaxConnections = 32; // one thread each; QEMU and libguestfs use one or two

class NbdServer final {
  public:
    explicit NbdServer(NbdExport exported);
    ~NbdServer(); // ends all connections, joins the threads, removes the socket

    NbdServer(const NbdServer&) = delete;
    NbdServer& operator=(const NbdServer&) = delete;

    // Serves on a new socket file at `path`, made with mode 0600. At most 107 bytes long, as the kernel wants it. Call
    // at most once.
    void listen(const std::filesystem::path& path);

    // A connected socket for one client, to be inherited by a child process. Nothing appears in the file system.
    UniqueFd connect();

    // The first error that a read or write met, if any: the client only saw "I/O error".
    std::optional<std::string> first_error() const;

  private:
    struct State;
    std::unique_ptr<State> state_;
};

} // namespace vm2oci
