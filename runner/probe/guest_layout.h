/* Where the probe's guest finds things in its two megabytes, and the bytes it reports on port 0xe9.
 * Shared by the assembler (guest.S) and the host side: plain macros only. */
#ifndef VM2OCI_PROBE_GUEST_LAYOUT_H
#define VM2OCI_PROBE_GUEST_LAYOUT_H

#define PROBE_MEMORY_SIZE 0x200000
#define PROBE_PML4 0x1000
#define PROBE_PDPT 0x2000
#define PROBE_PD 0x3000
#define PROBE_OTHER_PML4 0x4000
#define PROBE_GDT 0x5000
#define PROBE_TSS 0x5800
#define PROBE_IDT 0x6000
#define PROBE_CODE 0x8000
#define PROBE_STACK_TOP 0x20000
#define PROBE_USER_STACK_TOP 0x30000
#define PROBE_UNMAPPED 0x40000000

#define PROBE_KERNEL_CODE 0x08
#define PROBE_KERNEL_DATA 0x10
#define PROBE_USER_DATA 0x18
#define PROBE_USER_CODE 0x20
#define PROBE_TASK 0x28

#define PROBE_PORT 0xe9

#define PROBE_STEP_ENTERED 0x10
#define PROBE_STEP_CONTROL_REGISTERS 0x12
#define PROBE_STEP_MSR 0x13
#define PROBE_STEP_TASK_REGISTER 0x14
#define PROBE_STEP_INVALID_OPCODE 0x15
#define PROBE_STEP_PAGE_FAULT 0x16
#define PROBE_STEP_RING3 0x17
#define PROBE_STEP_CR3_SWITCH 0x18
#define PROBE_STEP_CR3_RELOADS 0x19
#define PROBE_STEP_RATE 0x1a
#define PROBE_WRONG_RESULT 0xf0
/* 0x80 + vector: an exception that the program did not ask for. */
#define PROBE_FAULT 0x80

#define PROBE_CR3_RELOADS 300
/* 20000 turns of two instructions. */
#define PROBE_RATE_TURNS 20000

#endif
