// nbd_export DISK COMMAND…: runs COMMAND with a connection to our NBD server for DISK as its descriptor 3, and ends as
// it ends.
#include "formats/base/error.hpp"
#include "formats/block/open_disk.hpp"
#include "formats/nbd/server.hpp"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>

int main(int count, char** arguments) {
    using namespace vm2oci;
    if (count < 3) {
        std::fputs("usage: nbd_export DISK COMMAND…\n", stderr);
        return 2;
    }
    try {
        DiskSource source;
        source.path = arguments[1];
        NbdServer server(NbdExport{open_disk(source).device, {}, {}});
        const UniqueFd connection = server.connect();
        const pid_t child = ::fork();
        if (child == 0) {
            if (::dup2(connection.get(), 3) == 3 && ::fcntl(3, F_SETFD, 0) == 0)
                ::execvp(arguments[2], arguments + 2);
            ::_exit(127);
        }
        int status = 0;
        if (child < 0 || ::waitpid(child, &status, 0) != child)
            return 1;
        return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
    } catch (const Error& error) {
        std::fprintf(stderr, "nbd_export: %s\n", error.what());
        return 1;
    }
}
