//go:build !linux || !(amd64 || arm64)

package teardown

import "errors"

// Delegate is of use on Linux only: elsewhere it returns errors.ErrUnsupported.
func Delegate() (holder int, err error) { return 0, errors.ErrUnsupported }
