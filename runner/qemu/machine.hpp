// A QEMU process with everything that it talks to. Nothing that it uses has a name in the file system.
#pragma once

#include "formats/base/fd.hpp"
#include "formats/block/overlay.hpp"
#include "formats/nbd/server.hpp"
#include "runner/machine/machine.hpp"
#include "runner/machine/spec.hpp"
#include "runner/qemu/monitor.hpp"
#include "runner/qemu/notify.hpp"
#include "runner/qemu/process.hpp"

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci {

// Counts what is read of a disk. Thread-safe.
class CountingDevice;

class QemuMachine final : public Machine {
  public:
    // Starts the process; the machine is powered on when QEMU has answered. The disk is served read on demand; what the
    // guest writes goes to a scratch file in `scratch_folder` (empty: $TMPDIR, else /var/tmp). Error{external} when
    // QEMU or the firmware is not installed.
    QemuMachine(const VmSpec& spec, Accelerator accelerator, const std::string& binary,
                const std::filesystem::path& scratch_folder);
    ~QemuMachine() override;

    void wait(std::chrono::milliseconds limit, const Interest& interest) override;
    std::chrono::milliseconds clock() const override;
    ProcessorTimes processor_times() override;
    std::vector<MachineEvent> take_events() override;
    std::string read_serial() override;
    void write_serial(std::string& bytes) override;
    void write(GuestChannel channel, std::string& bytes) override;
    std::string read(GuestChannel channel) override;
    void ask_connections() override;
    std::optional<std::vector<std::uint16_t>> take_connections() override;
    std::vector<std::byte> take_screenshot(std::chrono::milliseconds limit) override;
    DiskUse disk_use() const override;
    std::optional<std::string> disk_error() const override;
    std::optional<MachineExit> exit() override;
    std::string version() const override { return version_; }
    std::vector<std::string> arguments() const override { return arguments_; }
    std::string take_messages() override;
    std::string notify_problem() const override { return notify_problem_; }

  private:
    void read_monitor();
    void handle(const MonitorMessage& message);
    void handle_event(const MonitorMessage& message);
    // Returns the id that the answer will carry.
    std::uint64_t send(std::string_view command, std::string_view arguments = {});
    int channel_fd(GuestChannel channel) const;

    std::vector<std::string> arguments_;
    std::vector<PortForward> forwards_;
    // One that the guest may write to: what it writes goes into an overlay, or to changes that somebody else keeps.
    struct ServedDisk {
        std::shared_ptr<CountingDevice> image;
        std::shared_ptr<OverlayDevice> overlay; // null: there are such changes
        std::unique_ptr<NbdServer> server;
    };
    static ServedDisk serve_changes(const FurtherDisk& disk);
    static ServedDisk serve(const std::shared_ptr<const BlockDevice>& disk,
                            const std::filesystem::path& scratch_folder);

    std::vector<ServedDisk> disks_; // the boot disk first
    std::unique_ptr<NbdServer> seed_server_;
    UniqueFd monitor_;
    UniqueFd serial_input_;
    UniqueFd serial_output_;
    UniqueFd agent_;
    UniqueFd own_agent_;
    std::optional<NotifyChannel> notify_;
    std::string notify_problem_;
    UniqueFd picture_;
    MonitorParser parser_;
    std::uint64_t next_id_ = 1;
    std::uint64_t continue_id_ = 0;
    std::uint64_t screenshot_id_ = 0;
    bool screenshot_answered_ = false;
    bool printing_ = false; // the guest, when its serial port was last read
    std::string version_;
    std::chrono::milliseconds waited_before_{0}; // for processors, before its start or power-on
    std::vector<MachineEvent> events_;
    std::optional<std::vector<std::uint16_t>> connections_;
    std::unique_ptr<ChildProcess> process_; // last: it dies first
};

} // namespace vm2oci
