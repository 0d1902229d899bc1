// A plugin of QEMU for kernel_start.py: one record for each block of guest code that is translated, which happens when
// it runs for the first time. A record is two numbers of 64 bits: the block's address, and the processor time that the
// emulator has used so far, in nanoseconds. Argument: out=FILE.
//
// Debian has no package with qemu-plugin.h, so what is used of it stands here (QEMU 7.2, include/qemu/qemu-plugin.h,
// version 1 of the interface).
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <ctime>

extern "C" {
using qemu_plugin_id_t = std::uint64_t;
struct qemu_plugin_tb;
using qemu_plugin_vcpu_tb_trans_cb_t = void (*)(qemu_plugin_id_t, qemu_plugin_tb*);
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, qemu_plugin_vcpu_tb_trans_cb_t callback);
std::uint64_t qemu_plugin_tb_vaddr(const qemu_plugin_tb* block);

extern const int qemu_plugin_version;
const int qemu_plugin_version = 1;
}

namespace {

std::FILE* records = nullptr; // closed by exit()

void on_translation(qemu_plugin_id_t /*id*/, qemu_plugin_tb* block) {
    timespec used{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    const std::array<std::uint64_t, 2> record = {qemu_plugin_tb_vaddr(block),
                                                 static_cast<std::uint64_t>(used.tv_sec) * 1'000'000'000 +
                                                     static_cast<std::uint64_t>(used.tv_nsec)};
    std::fwrite(record.data(), sizeof record, 1, records);
}

} // namespace

extern "C" int qemu_plugin_install(qemu_plugin_id_t id, const void* /*info*/, int count, char** arguments) {
    if (count != 1 || std::strncmp(arguments[0], "out=", 4) != 0)
        return 1;
    records = std::fopen(arguments[0] + 4, "wb");
    if (records == nullptr)
        return 1;
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
    return 0;
}
