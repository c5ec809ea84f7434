package sections

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// lock takes the file for this process, by a byte beyond all that is written to it. The
// system gives it back when the process ends.
func lock(f *os.File) error {
	return windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY,
		0, 1, 0, &windows.Overlapped{OffsetHigh: 1 << 30})
}

func isFull(err error) bool {
	return errors.Is(err, windows.ERROR_DISK_FULL) || errors.Is(err, windows.ERROR_HANDLE_DISK_FULL)
}

// allocated returns the bytes that a file takes, which is its size where it has no holes.
func allocated(info os.FileInfo) int64 { return info.Size() }
