// export_tar [--guest] IMAGE: the one file system in IMAGE as a tar on stdout, through the code under test.
// With --guest the whole guest of a disk.
#include "formats/base/error.hpp"
#include "formats/base/fd.hpp"
#include "formats/block/open_disk.hpp"
#include "formats/partition/signature.hpp"
#include "formats/tree/tar_sink.hpp"
#include "libconvert/guest/file_system_drivers.hpp"
#include "libconvert/guest/mounted_guest.hpp"
#include "libconvert/guest/open_guest.hpp"

#include <unistd.h>

#include <cstdio>
#include <string_view>
#include <vector>

using namespace vm2oci;

namespace {

class StandardOutput final : public ByteSink {
  public:
    void write(std::span<const std::byte> bytes) override {
        if (buffer_.size() + bytes.size() > kCapacity)
            flush();
        if (bytes.size() > kCapacity)
            write_exactly(STDOUT_FILENO, bytes);
        else
            buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
    }
    void flush() {
        write_exactly(STDOUT_FILENO, buffer_);
        buffer_.clear();
    }

  private:
    static constexpr std::size_t kCapacity = 1 << 20;
    std::vector<std::byte> buffer_;
};

void run(std::string_view mode, const char* path) {
    DiskSource source;
    source.path = path;
    const OpenedDisk disk = open_disk(source);
    StandardOutput out;
    TarSink sink(out, {DeviceNodes::keep, WhiteoutNames::keep});
    if (mode == "--guest") {
        const OpenedGuest opened = open_guest(disk.device, GuestBackend::native, {});
        if (!opened.guest)
            fail(ErrorKind::not_found, opened.reason);
        opened.guest->export_tree({}, sink, {});
    } else {
        const FileSystemDriver* reader = find_reader(probe_signature(*disk.device));
        if (reader == nullptr)
            fail(ErrorKind::not_found, "there is no file system that is read in this process");
        const MountedGuest guest(
            {{{"/", "whole disk", std::string(reader->name), "", "", std::nullopt}, reader->open(disk.device)}});
        guest.export_tree({}, sink, {});
    }
    sink.finish();
    out.flush();
}

} // namespace

int main(int argc, char** argv) {
    if (argc != 2 && argc != 3)
        return 2;
    try {
        run(argc == 3 ? argv[1] : "", argv[argc - 1]);
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "export_tar: %s\n", error.what());
        return 3;
    }
}
