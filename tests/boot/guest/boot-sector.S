# A boot sector that says over the serial port that it runs, on a line of its own, and waits: the smallest guest that
# comes up by way of firmware and a disk.
        .code16
        .globl _start
_start: cli
        cld
        xorw %ax, %ax
        movw %ax, %ds
        movw %ax, %ss
        movw $0x7c00, %sp
        movw $message, %si
        movw $0x3f8, %bx                # COM1
next:   lodsb
        testb %al, %al
        jz wait
        movb %al, %ah
        leaw 5(%bx), %dx                # line status
full:   inb %dx, %al
        testb $0x20, %al                # room for a byte
        jz full
        movb %ah, %al
        movw %bx, %dx
        outb %al, %dx
        jmp next
wait:   hlt
        jmp wait
message:
        .asciz "\r\nThe boot sector runs.\r\n"
        .org 510
        .word 0xaa55
