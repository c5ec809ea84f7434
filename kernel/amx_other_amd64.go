//go:build !noasm && !linux

package kernel

// permitTiles: how other systems permit AMX was never tried.
func permitTiles() bool { return false }
