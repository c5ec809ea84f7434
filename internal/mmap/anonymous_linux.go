package mmap

import "golang.org/x/sys/unix"

// anonymous maps private memory and asks for pages of 2 MB, which a mapping of shared memory does
// not get: reading gigabytes through pages of 4 KB costs address translations. The advice may
// be refused; that changes speed alone.
func anonymous(n int) ([]byte, error) {
	data, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err == nil {
		_ = unix.Madvise(data, unix.MADV_HUGEPAGE)
	}
	return data, err
}

func release(data []byte) error { return unix.Munmap(data) }
