package kernel

import (
	"syscall"
	"testing"
	"unsafe"
)

// fence returns a function that places copies of slices right before memory that may not
// be touched, as the last tensor of a mapped file lies: reading one byte too far is a fault.
func fence(t *testing.T) func(n int) []byte {
	page := syscall.Getpagesize()
	return func(n int) []byte {
		size := (n + page - 1) / page * page
		m, err := syscall.Mmap(-1, 0, size+page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { syscall.Munmap(m) })
		if err := syscall.Mprotect(m[size:], syscall.PROT_NONE); err != nil {
			t.Fatal(err)
		}
		return m[size-n : size : size]
	}
}

func fenced[T float32 | uint16 | byte](place func(int) []byte, s []T) []T {
	if len(s) == 0 {
		return s
	}
	b := place(len(s) * int(unsafe.Sizeof(s[0])))
	out := unsafe.Slice((*T)(unsafe.Pointer(&b[0])), len(s))
	copy(out, s)
	return out
}

func TestNothingIsReadPastTheEnd(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		tm := team(t, 1)
		r := source(16)
		for _, in := range []int{1, 3, 7, 8, 9, 16, 31, 40, 1023, 1032} {
			place := fence(t)
			const most, out = 8, 23
			for _, typ := range stored {
				w, _ := store(typ, normal(r, out*in), out, in)
				w.F32, w.BF16, w.F16 = fenced(place, w.F32), fenced(place, w.BF16), fenced(place, w.F16)
				for _, rows := range []int{1, 2, 3, most} {
					tm.MatMul(fenced(place, make([]float32, rows*out)), fenced(place, normal(r, rows*in)), rows, w, fenced(place, normal(r, out)))
				}
			}
			for _, typ := range quantizedTypes {
				in := 32 * (1 + in%9)
				w, _ := storeBlocks(typ, normal(r, out*in), out, in)
				w.Q8_0, w.Q4_0 = fenced(place, w.Q8_0), fenced(place, w.Q4_0)
				for _, rows := range []int{1, 3, most} {
					tm.MatMul(fenced(place, make([]float32, rows*out)), fenced(place, normal(r, rows*in)), rows, w, nil)
				}
			}
			x := func() []float32 { return fenced(place, normal(r, 2*in)) }
			gain := fenced(place, normal(r, in))
			for _, a := range []Activation{GELUTanh, GELU, SiLU, ReLU} {
				tm.Activate(x(), x(), a)
				tm.ActivateMul(x(), x(), x(), a)
			}
			tm.Add(x(), x())
			tm.LayerNorm(x(), x(), 2, gain, gain, 1e-6)
			tm.RMSNorm(x(), x(), 2, gain, 1e-6)
			tm.Rope(x(), 1, in, 2, []int32{5}, fenced(place, []float32{1}))
			LogSoftmax(x(), x())
			Dot(x(), x())
			Exp(x(), x())
			tm.Attend([]Head{{Q: x(), Out: x(), QStride: in, N: 2, K: [][]float32{x()}, V: [][]float32{x()}, KVStride: in, PageLen: 2, Keys: 2}}, in, 1)
			tm.Attend([]Head{{Q: x(), Out: x(), QStride: 1, N: 2 * in, K: [][]float32{x()}, V: [][]float32{x()}, KVStride: 1, PageLen: 2 * in, Keys: 2 * in}}, 1, 1)
		}
	})
}
