//go:build unix

package mmap

import "golang.org/x/sys/unix"

// willNeed ignores the result: advice that is refused changes speed alone.
func willNeed(data []byte) { _ = unix.Madvise(data, unix.MADV_WILLNEED) }
