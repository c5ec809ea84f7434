//go:build !unix && !windows

package sections

import "os"

// lock does nothing where there are no locks: two processes must not write one target.
func lock(*os.File) error { return nil }

func isFull(error) bool { return false }

// allocated returns the bytes that a file takes, which is its size where it has no holes.
func allocated(info os.FileInfo) int64 { return info.Size() }
