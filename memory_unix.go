//go:build unix

package idefics2

import (
	"runtime"
	"syscall"
)

// PeakMemory returns the largest resident memory that the process had, in bytes, the
// mapped weights that it touched included.
func PeakMemory() uint64 {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	if runtime.GOOS == "darwin" || runtime.GOOS == "ios" {
		return uint64(u.Maxrss) // bytes there, kilobytes elsewhere
	}
	return uint64(u.Maxrss) << 10
}
