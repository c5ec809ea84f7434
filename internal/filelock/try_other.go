//go:build !unix && !windows

package filelock

import "os"

var busy error // Try never fails

// Try does nothing where there are no locks: two processes must not write one target.
func Try(*os.File) error { return nil }

func tryFirst(*os.File) error { return nil }
