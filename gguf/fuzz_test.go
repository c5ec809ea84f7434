package gguf

import (
	"bytes"
	"testing"
)

// No bytes panic, and what is accepted is consistent and can be written again.
func FuzzGGUF(f *testing.F) {
	f.Add(readFile(f, "spec.gguf"))
	f.Add(readFile(f, "blocks.gguf"))
	f.Add(head(2, 1, 1).str(alignmentKey).u32(uint32(Uint32)).u32(1).info("x", 24, 3, 2).raw(0, 0, 0, 1, 2).data)
	f.Add(head(3, 0, 1).str("k").u32(uint32(Array)).u32(uint32(Array)).u64(2).u32(uint32(Uint8)).u64(1).raw(1).u32(uint32(String)).u64(0).data)
	f.Add(head(3, 2, 0).info("x", F32, 0, 9).info("y", F32, 32, 1).pad().raw(make([]byte, 64)...).data)
	f.Add(head(3, 1<<60, 1<<60).data)
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Parse(data)
		if err != nil {
			return
		}
		total := 0
		for _, name := range file.Names() {
			info, ok := file.Tensor(name)
			size, err := info.Type.size(info.Shape)
			if !ok || err != nil || uint64(len(info.Data)) != size {
				t.Fatalf("%q: %v %v in %d bytes", name, info.Type, info.Shape, len(info.Data))
			}
			total += len(info.Data)
		}
		if total > len(data) {
			t.Fatalf("tensors of %d bytes in a file of %d", total, len(data))
		}
		for _, key := range file.Keys() {
			v, _ := file.Value(key)
			if texts, ok := v.Texts(); ok && len(texts) != v.Len() {
				t.Fatalf("%q: %d texts of %d", key, len(texts), v.Len())
			}
			v.Ints()
			v.Floats()
			_ = v.String()
		}
		checkAgain(t, file)
	})
}

// checkAgain writes a file that was read, reads it, and compares. Names of the full 64
// bytes, and gaps between tensors, are read but not written.
func checkAgain(t *testing.T, f *File) {
	var pairs []Pair
	for _, key := range f.Keys() {
		v, _ := f.Value(key)
		pairs = append(pairs, Pair{key, v})
	}
	var entries []Entry
	for _, name := range f.Names() {
		if len(name) == maxName {
			return
		}
		info, _ := f.Tensor(name)
		entries = append(entries, Entry{name, info.Type, info.Shape})
	}
	l, err := Layout(pairs, entries)
	if err != nil {
		t.Fatalf("read, but not written: %v", err)
	}
	if f.Alignment() > 1<<16 {
		return // a file of mostly padding
	}
	file := append(l.Header, make([]byte, l.Size-int64(len(l.Header)))...)
	for _, name := range f.Names() {
		info, _ := f.Tensor(name)
		copy(file[l.Places[name].Offset:], info.Data)
	}
	again, err := Parse(file)
	if err != nil {
		t.Fatalf("written, but not read: %v", err)
	}
	for _, name := range f.Names() {
		a, _ := f.Tensor(name)
		b, _ := again.Tensor(name)
		if !bytes.Equal(a.Data, b.Data) {
			t.Fatalf("%q changed", name)
		}
	}
}
