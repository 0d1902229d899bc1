/* The guest program of the KVM probe: 64-bit supervisor code that does, once each, what every kernel does while it
 * starts, and says on port PROBE_PORT how far it came. It is copied to PROBE_CODE in the guest, so every address in it
 * is written as PROBE_CODE plus a distance from its beginning.
 *
 * The host has set long mode, page tables (identity, user access), GDT and an empty TSS. The IDT is built from the
 * table at the end: one stub per exception vector. */
#include "runner/probe/guest_layout.h"

#define ADDRESS(label) (PROBE_CODE + (label - vm2oci_probe_guest_begin))
#define REPORT(step) movb $step, %al; outb %al, $PROBE_PORT

    .section .rodata
    .balign 16
    .code64
    .globl vm2oci_probe_guest_begin
    .globl vm2oci_probe_guest_end
    .globl vm2oci_probe_guest_stubs

vm2oci_probe_guest_begin:
    movl $1, %r12d /* no exception is expected; 0: the next #UD or #PF is */
    REPORT(PROBE_STEP_ENTERED)

    /* CR3 and CR4: write back what was read, with global pages switched on and off. */
    movq %cr3, %rax
    movq %rax, %cr3
    movq %cr4, %rbx
    movq %rbx, %rax
    xorq $0x80, %rax
    movq %rax, %cr4
    movq %rbx, %cr4
    REPORT(PROBE_STEP_CONTROL_REGISTERS)

    /* MSR_KERNEL_GS_BASE keeps what was written and swapgs moves it into GS. */
    movl $0xc0000102, %ecx
    movl $0x12345678, %eax
    xorl %edx, %edx
    wrmsr
    xorl %eax, %eax
    rdmsr
    cmpl $0x12345678, %eax
    jne wrong
    swapgs
    movl $0xc0000101, %ecx
    rdmsr
    cmpl $0x12345678, %eax
    jne wrong
    swapgs
    REPORT(PROBE_STEP_MSR)

    movw $PROBE_TASK, %ax
    ltr %ax
    REPORT(PROBE_STEP_TASK_REGISTER)

    xorl %r12d, %r12d
    ud2
    cmpl $6, %r12d
    jne wrong
    REPORT(PROBE_STEP_INVALID_OPCODE)

    xorl %r12d, %r12d
    movq $PROBE_UNMAPPED, %rbx
    leaq after_page_fault(%rip), %r13
    movq (%rbx), %rax
after_page_fault:
    cmpl $14, %r12d
    jne wrong
    movq %cr2, %rax
    cmpq %rbx, %rax
    jne wrong
    REPORT(PROBE_STEP_PAGE_FAULT)

    /* To ring 3 by iretq and back by SYSCALL, then at once what only ring 0 may do: paravirtual hypervisors that run
     * guest kernels in ring 3 give themselves away here. */
    movl $0xc0000081, %ecx
    xorl %eax, %eax
    movl $(((PROBE_KERNEL_DATA | 3) << 16) | PROBE_KERNEL_CODE), %edx
    wrmsr
    movl $0xc0000082, %ecx
    movl $ADDRESS(syscall_entry), %eax
    xorl %edx, %edx
    wrmsr
    movl $0xc0000084, %ecx
    movl $0x200, %eax
    xorl %edx, %edx
    wrmsr
    pushq $(PROBE_USER_DATA | 3)
    pushq $PROBE_USER_STACK_TOP
    pushq $2
    pushq $(PROBE_USER_CODE | 3)
    pushq $ADDRESS(user_code)
    iretq

user_code:
    movl $0x600d, %edi
    pushq %rdi
    popq %rsi
    movw %cs, %r14w
    syscall
    ud2

syscall_entry:
    movq $PROBE_STACK_TOP, %rsp
    movw %r14w, %ax
    andw $3, %ax
    cmpw $3, %ax
    jne wrong
    cmpl $0x600d, %esi
    jne wrong
    movq %cr3, %rax
    movq %rax, %cr3
    movq %cr4, %rax
    movq %rax, %cr4
    movl $0xc0000082, %ecx
    rdmsr
    cmpl $ADDRESS(syscall_entry), %eax
    jne wrong
    REPORT(PROBE_STEP_RING3)

    movq $PROBE_OTHER_PML4, %rbx
    movq %rbx, %cr3
    movq %cr3, %rax
    cmpq %rbx, %rax
    jne wrong
    REPORT(PROBE_STEP_CR3_SWITCH)

    movl $PROBE_CR3_RELOADS, %ecx
    movq $PROBE_PML4, %rax
1:  movq %rax, %cr3
    movq %rbx, %cr3
    subl $2, %ecx
    jnz 1b
    REPORT(PROBE_STEP_CR3_RELOADS)

    /* The host times the distance between two reports and ends the guest when it knows enough. */
2:  movl $PROBE_RATE_TURNS, %ecx
3:  subl $1, %ecx
    jnz 3b
    REPORT(PROBE_STEP_RATE)
    jmp 2b

wrong:
    REPORT(PROBE_WRONG_RESULT)
    hlt

/* An exception arrives with its vector pushed above the processor's frame. #UD skips the two bytes of ud2, #PF goes
 * on at r13; everything else, and these two a second time, is reported and ends the guest. */
exception:
    testl %r12d, %r12d
    jnz unexpected
    cmpq $6, (%rsp)
    je invalid_opcode
    cmpq $14, (%rsp)
    je page_fault
unexpected:
    popq %rax
    addb $PROBE_FAULT, %al
    outb %al, $PROBE_PORT
    hlt
invalid_opcode:
    popq %r12
    addq $2, (%rsp)
    iretq
page_fault:
    popq %r12
    addq $8, %rsp
    movq %r13, (%rsp)
    iretq

    /* 32 stubs of 16 bytes. */
    .balign 16
vm2oci_probe_guest_stubs:
    .set vector, 0
    .rept 32
    .balign 16
    pushq $vector
    jmp exception
    .set vector, vector + 1
    .endr
vm2oci_probe_guest_end:

    .section .note.GNU-stack, "", @progbits
