package guard

import (
	"syscall"
	"testing"
	"unsafe"
)

// Copy copies s to right before memory that may not be touched.
func Copy[T any](t testing.TB, s []T) []T { return place(t, s, false) }

// CopyBehind copies s to right behind memory that may not be touched.
func CopyBehind[T any](t testing.TB, s []T) []T { return place(t, s, true) }

func place[T any](t testing.TB, s []T, behind bool) []T {
	t.Helper()
	if len(s) == 0 {
		return s
	}
	n := len(s) * int(unsafe.Sizeof(s[0]))
	page := syscall.Getpagesize()
	size := (n + page - 1) / page * page
	m, err := syscall.Mmap(-1, 0, size+page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Munmap(m) })
	fence, at := m[size:], size-n
	if behind {
		fence, at = m[:page], page
	}
	if err := syscall.Mprotect(fence, syscall.PROT_NONE); err != nil {
		t.Fatal(err)
	}
	out := unsafe.Slice((*T)(unsafe.Pointer(&m[at])), len(s))
	copy(out, s)
	return out
}
