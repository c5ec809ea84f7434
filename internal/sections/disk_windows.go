package sections

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

func isFull(err error) bool {
	return errors.Is(err, windows.ERROR_DISK_FULL) || errors.Is(err, windows.ERROR_HANDLE_DISK_FULL)
}

// allocated returns the bytes that a file takes, which is its size where it has no holes.
func allocated(info os.FileInfo) int64 { return info.Size() }
