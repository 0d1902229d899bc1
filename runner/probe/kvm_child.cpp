#include "runner/probe/kvm_child.hpp"

#include "formats/base/endian.hpp"
#include "runner/probe/guest_layout.h"
#include "runner/probe/observation.hpp"

#include <fcntl.h>
#include <linux/kvm.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>

extern "C" const std::byte vm2oci_probe_guest_begin[];
extern "C" const std::byte vm2oci_probe_guest_end[];
extern "C" const std::byte vm2oci_probe_guest_stubs[];

namespace vm2oci {
namespace {

constexpr std::uint64_t kPresentWritableUser = 0x7;
constexpr std::uint64_t kLargePage = 0x80;
constexpr std::uint32_t kCpuidEntries = 256; // what KVM_GET_SUPPORTED_CPUID needs at most today is about 100

// struct kvm_cpuid2 as C sees it. In C++ its flexible array costs four bytes, and the requests, which hold the size,
// come out wrong.
struct CpuidTable {
    std::uint32_t count;
    std::uint32_t padding;
    kvm_cpuid_entry2 entries[kCpuidEntries];
};
constexpr unsigned long kGetSupportedCpuid = _IOC(_IOC_READ | _IOC_WRITE, KVMIO, 0x05, 8);
constexpr unsigned long kSetCpuid2 = _IOC(_IOC_WRITE, KVMIO, 0x90, 8);

class Child {
  public:
    Child(int pipe_fd, std::uint64_t start_us) : pipe_fd_(pipe_fd), start_us_(start_us) {}

    void send(ChildMessageKind kind, std::uint32_t value, const char* operation = "", std::uint64_t ran_us = 0) {
        ChildMessage message{};
        message.kind = kind;
        message.value = value;
        message.at_us = monotonic_us() - start_us_;
        message.ran_us = ran_us;
        ::strncpy(message.operation, operation, sizeof message.operation - 1);
        // A reader that has gone away means that nobody wants the answer.
        if (::write(pipe_fd_, &message, sizeof message) != static_cast<ssize_t>(sizeof message))
            ::_exit(1);
    }

    [[noreturn]] void end(ChildMessageKind kind, std::uint32_t value, const char* operation = "") {
        send(kind, value, operation);
        ::_exit(0);
    }

    template <class Argument>
    int call(int fd, unsigned long request, Argument argument, const char* name) {
        const int result = ::ioctl(fd, request, argument);
        if (result < 0)
            end(ChildMessageKind::ioctl_failed, static_cast<std::uint32_t>(errno), name);
        return result;
    }

  private:
    int pipe_fd_;
    std::uint64_t start_us_;
};

void store_descriptor(std::byte* table, unsigned selector, std::uint64_t value) {
    store_le<std::uint64_t>(table + selector, value);
}

void build_page_tables(std::byte* memory) {
    for (const std::uint64_t root : {std::uint64_t{PROBE_PML4}, std::uint64_t{PROBE_OTHER_PML4}})
        store_le<std::uint64_t>(memory + root, PROBE_PDPT | kPresentWritableUser);
    store_le<std::uint64_t>(memory + PROBE_PDPT, PROBE_PD | kPresentWritableUser);
    store_le<std::uint64_t>(memory + PROBE_PD, kPresentWritableUser | kLargePage);
}

void build_descriptors(std::byte* memory) {
    std::byte* gdt = memory + PROBE_GDT;
    store_descriptor(gdt, PROBE_KERNEL_CODE, 0x00af9b000000ffff);
    store_descriptor(gdt, PROBE_KERNEL_DATA, 0x00cf93000000ffff);
    store_descriptor(gdt, PROBE_USER_DATA, 0x00cff3000000ffff);
    store_descriptor(gdt, PROBE_USER_CODE, 0x00affb000000ffff);
    // A 64-bit TSS, available: base in three parts, limit 0x67.
    constexpr std::uint64_t base = PROBE_TSS;
    store_descriptor(gdt, PROBE_TASK, 0x0000890000000067 | (base & 0xffffff) << 16 | (base >> 24) << 56);
    store_descriptor(gdt, PROBE_TASK + 8, 0);
    store_le<std::uint64_t>(memory + PROBE_TSS + 4, PROBE_STACK_TOP); // RSP0
    store_le<std::uint16_t>(memory + PROBE_TSS + 102, 104);           // no I/O bitmap

    const auto stubs = PROBE_CODE + static_cast<std::uint64_t>(vm2oci_probe_guest_stubs - vm2oci_probe_guest_begin);
    for (unsigned vector = 0; vector < 32; ++vector) {
        const std::uint64_t handler = stubs + std::uint64_t{vector} * 16;
        std::byte* gate = memory + PROBE_IDT + std::size_t{vector} * 16;
        store_le<std::uint64_t>(gate, (handler & 0xffff) | std::uint64_t{PROBE_KERNEL_CODE} << 16 |
                                          std::uint64_t{0x8e00} << 32 | (handler >> 16 & 0xffff) << 48);
        store_le<std::uint64_t>(gate + 8, handler >> 32);
    }
}

kvm_segment flat_segment(unsigned selector) {
    const bool code = selector == PROBE_KERNEL_CODE;
    kvm_segment result{};
    result.limit = 0xffffffff;
    result.selector = static_cast<std::uint16_t>(selector);
    result.type = code ? 0xb : 0x3;
    result.present = 1;
    result.s = 1;
    result.g = 1;
    result.l = code ? 1 : 0;
    result.db = code ? 0 : 1;
    return result;
}

void enter_long_mode(Child& child, int vcpu) {
    kvm_sregs sregs{};
    child.call(vcpu, KVM_GET_SREGS, &sregs, "KVM_GET_SREGS");
    sregs.cs = flat_segment(PROBE_KERNEL_CODE);
    sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = flat_segment(PROBE_KERNEL_DATA);
    sregs.gdt.base = PROBE_GDT;
    sregs.gdt.limit = PROBE_TASK + 15;
    sregs.idt.base = PROBE_IDT;
    sregs.idt.limit = 32 * 16 - 1;
    sregs.cr0 = 0x80050033; // PG, AM, WP, NE, ET, MP, PE: as Linux has it
    sregs.cr3 = PROBE_PML4;
    sregs.cr4 = 0x6a0;  // PAE, PGE, OSFXSR, OSXMMEXCPT
    sregs.efer = 0xd01; // NXE, LMA, LME, SCE
    child.call(vcpu, KVM_SET_SREGS, &sregs, "KVM_SET_SREGS");
    kvm_regs regs{};
    regs.rip = PROBE_CODE;
    regs.rsp = PROBE_STACK_TOP;
    regs.rflags = 2;
    child.call(vcpu, KVM_SET_REGS, &regs, "KVM_SET_REGS");
}

// Reports each byte until the guest has answered the question.
[[noreturn]] void run_guest(Child& child, int vcpu, const kvm_run& run) {
    unsigned intervals = 0;
    std::uint64_t last_us = monotonic_us();
    for (;;) {
        if (::ioctl(vcpu, KVM_RUN, 0) < 0) {
            if (errno == EINTR || errno == EAGAIN)
                continue;
            child.end(ChildMessageKind::ioctl_failed, static_cast<std::uint32_t>(errno), "KVM_RUN");
        }
        if (run.exit_reason != KVM_EXIT_IO || run.io.port != PROBE_PORT || run.io.size != 1)
            child.end(ChildMessageKind::guest_stopped, run.exit_reason);
        const std::uint64_t ran_us = monotonic_us() - last_us;
        const auto step = static_cast<std::uint8_t>(reinterpret_cast<const char*>(&run)[run.io.data_offset]);
        child.send(ChildMessageKind::step, step, "", ran_us);
        if (step == PROBE_STEP_RATE) {
            const auto limit = static_cast<std::uint64_t>(kProbeRateInterval.count());
            if (ran_us < limit || ++intervals == kProbeRateAttempts)
                child.end(ChildMessageKind::rate_known, 0);
        }
        last_us = monotonic_us();
    }
}

} // namespace

std::uint64_t monotonic_us() {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1000000 + static_cast<std::uint64_t>(now.tv_nsec) / 1000;
}

void run_probe_child(const char* device, int pipe_fd, std::uint64_t start_us) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    Child child(pipe_fd, start_us);
    const int kvm = ::open(device, O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (kvm < 0)
        child.end(ChildMessageKind::cannot_open, static_cast<std::uint32_t>(errno));
    const int version = child.call(kvm, KVM_GET_API_VERSION, 0UL, "KVM_GET_API_VERSION");
    if (version != KVM_API_VERSION)
        child.end(ChildMessageKind::ioctl_failed, ENOTSUP, "KVM_GET_API_VERSION");
    const int machine = child.call(kvm, KVM_CREATE_VM, 0UL, "KVM_CREATE_VM");

    void* mapped =
        ::mmap(nullptr, PROBE_MEMORY_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapped == MAP_FAILED)
        child.end(ChildMessageKind::ioctl_failed, static_cast<std::uint32_t>(errno), "mmap");
    auto* memory = static_cast<std::byte*>(mapped);
    build_page_tables(memory);
    build_descriptors(memory);
    std::memcpy(memory + PROBE_CODE, vm2oci_probe_guest_begin,
                static_cast<std::size_t>(vm2oci_probe_guest_end - vm2oci_probe_guest_begin));

    kvm_userspace_memory_region region{};
    region.memory_size = PROBE_MEMORY_SIZE;
    region.userspace_addr = reinterpret_cast<std::uint64_t>(memory);
    // Intel processors without unrestricted guest need three pages of their own below 4 GiB.
    if (::ioctl(kvm, KVM_CHECK_EXTENSION, KVM_CAP_SET_TSS_ADDR) > 0)
        child.call(machine, KVM_SET_TSS_ADDR, 0xfffbd000UL, "KVM_SET_TSS_ADDR");
    child.call(machine, KVM_SET_USER_MEMORY_REGION, &region, "KVM_SET_USER_MEMORY_REGION");
    const int vcpu = child.call(machine, KVM_CREATE_VCPU, 0UL, "KVM_CREATE_VCPU");

    static CpuidTable cpuid;
    cpuid.count = kCpuidEntries;
    child.call(kvm, kGetSupportedCpuid, &cpuid, "KVM_GET_SUPPORTED_CPUID");
    child.call(vcpu, kSetCpuid2, &cpuid, "KVM_SET_CPUID2");
    const int run_size = child.call(kvm, KVM_GET_VCPU_MMAP_SIZE, 0UL, "KVM_GET_VCPU_MMAP_SIZE");
    void* run = ::mmap(nullptr, static_cast<std::size_t>(run_size), PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
    if (run == MAP_FAILED)
        child.end(ChildMessageKind::ioctl_failed, static_cast<std::uint32_t>(errno), "mmap of the processor");
    enter_long_mode(child, vcpu);
    run_guest(child, vcpu, *static_cast<const kvm_run*>(run));
}

} // namespace vm2oci
