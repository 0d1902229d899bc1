// What takes the place of vm2oci's program in its appliance, and does not do as it should. Its last line, behind the
// program's own bytes, says how: lying_appliance.sh appends it.
#include <dirent.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

namespace {

// Files of the kernel say of themselves that they are as large as a page.
std::string read_from(const std::string& path, off_t offset, int from) {
    const int file = ::open(path.c_str(), O_RDONLY);
    char bytes[256];
    ::lseek(file, offset, from);
    const ssize_t got = ::read(file, bytes, sizeof bytes);
    ::close(file);
    return {bytes, static_cast<std::size_t>(got > 0 ? got : 0)};
}

int open_port() {
    for (int attempt = 0; attempt < 200; ++attempt, ::usleep(50'000))
        if (DIR* folder = ::opendir("/sys/class/virtio-ports")) {
            while (const dirent* entry = ::readdir(folder))
                if (const std::string folder_of_port = std::string("/sys/class/virtio-ports/") + entry->d_name;
                    read_from(folder_of_port + "/name", 0, SEEK_SET).starts_with("org.vm2oci."))
                    return ::open((std::string("/dev/") + entry->d_name).c_str(), O_WRONLY);
            ::closedir(folder);
        }
    return -1;
}

void say(int port, const std::string& text) {
    (void)!::write(port, text.data(), text.size());
}

// All that there is of every disk that can be written.
void overwrite_disks() {
    const std::string noise(1 << 20, 'x');
    for (const char* disk : {"/dev/vda", "/dev/vdb", "/dev/vdc"})
        if (const int file = ::open(disk, O_WRONLY); file >= 0) {
            while (::write(file, noise.data(), noise.size()) > 0) {
            }
            ::fsync(file);
            ::close(file);
        }
}

} // namespace

int main() {
    ::mkdir("/sys", 0755);
    ::mkdir("/dev", 0755);
    ::mount("sysfs", "/sys", "sysfs", 0, nullptr);
    ::mount("devtmpfs", "/dev", "devtmpfs", 0, nullptr);
    std::string how = read_from("/init", -100, SEEK_END);
    how.pop_back();
    how.erase(0, how.rfind('\n') + 1);
    const int port = open_port();
    if (how == "done")
        say(port, "done\n");
    else if (how == "overwrites")
        overwrite_disks(), say(port, "step 0\ndone\n");
    else if (how == "nonsense")
        say(port, "\x1b[2J{\"type\":\"hello\"}\n");
    else if (how == "floods")
        for (const std::string noise(1 << 16, 'x');;)
            say(port, noise);
    else if (how == "fails")
        say(port, "failed 4000000000 corrupt \x1b[2Jnonsense\n");
    else if (how == "counts")
        for (;;)
            say(port, "step 0\n");
    else if (how == "panics")
        return 1; // of process 1
    else if (how == "hangs")
        for (;;)
            ::pause();
    ::sleep(1); // until the port's queue is read
    ::reboot(RB_POWER_OFF);
}
