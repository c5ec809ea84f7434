package mmap

import "testing"

func TestAnonymous(t *testing.T) {
	m, err := Anonymous(10_000)
	if err != nil {
		t.Fatal(err)
	}
	data := m.Data()
	if len(data) != 10_000 || data[0] != 0 || data[9_999] != 0 {
		t.Errorf("%d bytes, want 10000 zeros", len(data))
	}
	data[9_999] = 7
	for range 2 {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := Anonymous(0); err == nil {
		t.Error("memory of no bytes was given")
	}
}
