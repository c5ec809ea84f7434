package mmap

import "fmt"

// Memory is memory of its own, zero at first, that no file is behind. Unlike Go's it is
// given back the moment it is closed, and the garbage collector takes no part in it.
type Memory struct {
	data []byte
}

// Anonymous takes n bytes, at least one, from the system. They cost nothing until written.
func Anonymous(n int) (*Memory, error) {
	if n < 1 {
		return nil, fmt.Errorf("mmap: %d bytes of memory, want at least 1", n)
	}
	data, err := anonymous(n)
	if err != nil {
		return nil, fmt.Errorf("mmap: %d bytes of memory: %w", n, err)
	}
	return &Memory{data}, nil
}

// Data returns the bytes, to be read and written until Close.
func (m *Memory) Data() []byte { return m.data }

// Close gives the memory back. Closing twice is fine.
func (m *Memory) Close() error {
	if m.data == nil {
		return nil
	}
	data := m.data
	m.data = nil
	if err := release(data); err != nil {
		return fmt.Errorf("mmap: %w", err)
	}
	return nil
}
