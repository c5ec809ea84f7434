//go:build !noasm

package kernel

import "syscall"

// permitTiles asks Linux for the use of AMX in this process; threads that begin later have it too
// (docs.kernel.org/arch/x86/xstate.html). A refusal means no AMX.
func permitTiles() bool {
	const requestPermission, tileData = 0x1023, 18 // ARCH_REQ_XCOMP_PERM
	_, _, err := syscall.RawSyscall(syscall.SYS_ARCH_PRCTL, requestPermission, tileData, 0)
	return err == 0
}
