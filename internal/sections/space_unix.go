//go:build linux || darwin

package sections

import "golang.org/x/sys/unix"

// FreeSpace returns the bytes that may be written in dir, and false where that is not known.
func FreeSpace(dir string) (uint64, bool) {
	var s unix.Statfs_t
	if unix.Statfs(dir, &s) != nil {
		return 0, false
	}
	return s.Bavail * uint64(s.Bsize), true
}
