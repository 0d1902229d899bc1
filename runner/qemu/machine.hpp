// A QEMU process with everything that it talks to. Nothing that it uses has a name in the file system.
#pragma once

#include "formats/base/fd.hpp"
#include "formats/block/overlay.hpp"
#include "formats/nbd/server.hpp"
#include "runner/qemu/arguments.hpp"
#include "runner/qemu/monitor.hpp"
#include "runner/qemu/notify.hpp"
#include "runner/qemu/process.hpp"
#include "runner/report/boot_report.hpp"
#include "runner/spec.hpp"

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci {

// Counts what is read of a disk. Thread-safe.
class CountingDevice;

class QemuMachine final {
  public:
    // Starts the process, with the machine stopped: send `cont` when the monitor has greeted. The disk is served read
    // on demand; what the guest writes goes to a scratch file in `scratch_folder` (empty: $TMPDIR, else /var/tmp).
    // Error{external} when QEMU or the firmware is not installed.
    QemuMachine(const VmSpec& spec, Accelerator accelerator, const std::string& binary,
                const std::filesystem::path& scratch_folder);
    ~QemuMachine();

    // None of these blocks.
    int monitor_fd() const { return monitor_.get(); }
    int serial_fd() const { return serial_.get(); }
    int agent_fd() const { return agent_.get(); }
    int own_agent_fd() const { return own_agent_.get(); }
    // -1: this machine has no such channel; notify_problem() says why when it was asked for.
    int notify_fd() const { return notify_ ? notify_->listener_fd() : -1; }
    const std::string& notify_problem() const { return notify_problem_; }
    std::vector<NotifyMessage> read_notices() { return notify_ ? notify_->read() : std::vector<NotifyMessage>(); }
    ChildProcess& process() { return *process_; }

    // What has arrived; empty when nothing has. Error{external} when QEMU breaks its protocol.
    std::vector<MonitorMessage> read_monitor();
    // Returns the id that the answer will carry.
    std::uint64_t send(std::string_view command, std::string_view arguments = {});

    // Asks for a picture of the screen; when the answer has come, screenshot() has it as PNG. Once for each machine.
    std::uint64_t request_screenshot();
    std::vector<std::byte> screenshot() const;

    const std::vector<std::string>& arguments() const { return arguments_; }
    DiskUse disk_use() const;
    std::optional<std::string> disk_error() const;

  private:
    std::vector<std::string> arguments_;
    std::shared_ptr<CountingDevice> image_;
    std::shared_ptr<OverlayDevice> overlay_;
    std::unique_ptr<NbdServer> disk_server_;
    std::unique_ptr<NbdServer> seed_server_;
    UniqueFd monitor_;
    UniqueFd serial_;
    UniqueFd agent_;
    UniqueFd own_agent_;
    std::optional<NotifyChannel> notify_;
    std::string notify_problem_;
    UniqueFd picture_;
    MonitorParser parser_;
    std::uint64_t next_id_ = 1;
    std::unique_ptr<ChildProcess> process_; // last: it dies first
};

} // namespace vm2oci
