//go:build !linux

package mmap

import mapping "github.com/edsrzf/mmap-go"

func anonymous(n int) ([]byte, error) {
	return mapping.MapRegion(nil, n, mapping.RDWR, mapping.ANON, 0)
}

func release(data []byte) error {
	m := mapping.MMap(data)
	return m.Unmap()
}
