//go:build unix

package filelock

import (
	"os"

	"golang.org/x/sys/unix"
)

// busy is what Try returns of a file that another has.
var busy error = unix.EWOULDBLOCK

// Try takes the file for this process, or fails at once.
func Try(f *os.File) error { return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) }

func tryFirst(f *os.File) error { return Try(f) }
