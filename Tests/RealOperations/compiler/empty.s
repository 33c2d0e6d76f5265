# The one program that the stand-in compiler links for every kernel. It is never run. What ttnn's loader looks at is there:
# a first instruction at the script's entry, code, data, and a reference to each of them that leaves a relocation.

    .section .start, "ax", @progbits
    .globl _start
_start:
    lui a0, %hi(word)
    lw a0, %lo(word)(a0)
    call main
    ret

    .text
    .globl main
main:
    ret

    .data
word:
    .word 1
