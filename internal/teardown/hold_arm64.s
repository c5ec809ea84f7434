//go:build linux

#include "textflag.h"

#define SYS_exit 93
#define SYS_nanosleep 101
#define SYS_rt_sigprocmask 135
#define SYS_getppid 173
#define SYS_clone 220
#define SYS_close_range 436

#define CLONE_VM 0x100
#define SIGCHLD 17
#define SIG_SETMASK 2

// func hold(parent int, stack uintptr) int
//
// All signals are blocked around the clone: the runtime's handlers must not run in the
// holder, which has no goroutine.
TEXT ·hold(SB), NOSPLIT, $32-24
	MOVD $-1, R9
	MOVD R9, all-8(SP)
	MOVD $SIG_SETMASK, R0
	MOVD $all-8(SP), R1
	MOVD $old-16(SP), R2
	MOVD $8, R3
	MOVD $SYS_rt_sigprocmask, R8
	SVC

	MOVD parent+0(FP), R19
	MOVD $(CLONE_VM|SIGCHLD), R0
	MOVD stack+8(FP), R1
	MOVD $0, R2
	MOVD $0, R3
	MOVD $0, R4
	MOVD $SYS_clone, R8
	SVC
	CBZ R0, holder
	MOVD R0, ret+16(FP)

	MOVD $SIG_SETMASK, R0
	MOVD $old-16(SP), R1
	MOVD $0, R2
	MOVD $8, R3
	MOVD $SYS_rt_sigprocmask, R8
	SVC
	RET

// From here on nothing may touch the frame: it belongs to the parent.
holder:
	MOVD $0, R0
	MOVD $0xffffffff, R1
	MOVD $0, R2
	MOVD $SYS_close_range, R8
	SVC
wait:
	MOVD $·holderNap(SB), R0
	MOVD $0, R1
	MOVD $SYS_nanosleep, R8
	SVC
	MOVD $SYS_getppid, R8
	SVC
	CMP R0, R19
	BEQ wait
	MOVD $·holderNap(SB), R0 // the parent's last threads let go of the memory
	MOVD $0, R1
	MOVD $SYS_nanosleep, R8
	SVC
	MOVD $0, R0
	MOVD $SYS_exit, R8
	SVC
	BRK

// struct timespec: 10 ms
DATA ·holderNap+0(SB)/8, $0
DATA ·holderNap+8(SB)/8, $10000000
GLOBL ·holderNap(SB), RODATA|NOPTR, $16
