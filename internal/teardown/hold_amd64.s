//go:build linux

#include "textflag.h"

#define SYS_rt_sigprocmask 14
#define SYS_nanosleep 35
#define SYS_clone 56
#define SYS_exit 60
#define SYS_getppid 110
#define SYS_close_range 436

#define CLONE_VM 0x100
#define SIGCHLD 17
#define SIG_SETMASK 2

// func hold(parent int, stack uintptr) int
//
// All signals are blocked around the clone: the runtime's handlers must not run in the
// holder, which has no goroutine.
TEXT ·hold(SB), NOSPLIT, $32-24
	MOVQ $-1, AX
	MOVQ AX, all-8(SP)
	MOVQ $SIG_SETMASK, DI
	LEAQ all-8(SP), SI
	LEAQ old-16(SP), DX
	MOVQ $8, R10
	MOVQ $SYS_rt_sigprocmask, AX
	SYSCALL

	MOVQ parent+0(FP), R12
	MOVQ $(CLONE_VM|SIGCHLD), DI
	MOVQ stack+8(FP), SI
	XORL DX, DX
	XORL R10, R10
	XORL R8, R8
	MOVQ $SYS_clone, AX
	SYSCALL
	TESTQ AX, AX
	JZ holder
	MOVQ AX, ret+16(FP)

	MOVQ $SIG_SETMASK, DI
	LEAQ old-16(SP), SI
	XORL DX, DX
	MOVQ $8, R10
	MOVQ $SYS_rt_sigprocmask, AX
	SYSCALL
	RET

// From here on nothing may touch the frame: it belongs to the parent.
holder:
	XORL DI, DI
	MOVL $-1, SI
	XORL DX, DX
	MOVQ $SYS_close_range, AX
	SYSCALL
wait:
	LEAQ ·holderNap(SB), DI
	XORL SI, SI
	MOVQ $SYS_nanosleep, AX
	SYSCALL
	MOVQ $SYS_getppid, AX
	SYSCALL
	CMPQ AX, R12
	JEQ wait
	LEAQ ·holderNap(SB), DI // the parent's last threads let go of the memory
	XORL SI, SI
	MOVQ $SYS_nanosleep, AX
	SYSCALL
	XORL DI, DI
	MOVQ $SYS_exit, AX
	SYSCALL
	INT $3

// struct timespec: 10 ms
DATA ·holderNap+0(SB)/8, $0
DATA ·holderNap+8(SB)/8, $10000000
GLOBL ·holderNap(SB), RODATA|NOPTR, $16
