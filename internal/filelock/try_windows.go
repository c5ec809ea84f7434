package filelock

import (
	"os"

	"golang.org/x/sys/windows"
)

// busy is what Try returns of a file that another has.
var busy error = windows.ERROR_LOCK_VIOLATION

// Try takes the file for this process, by a byte beyond all that is written to it, or fails at once.
func Try(f *os.File) error { return lockByte(f, &windows.Overlapped{OffsetHigh: 1 << 30}) }

// tryFirst is Try by the first byte, which is what Python's filelock locks.
func tryFirst(f *os.File) error { return lockByte(f, new(windows.Overlapped)) }

func lockByte(f *os.File, at *windows.Overlapped) error {
	return windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, at)
}
