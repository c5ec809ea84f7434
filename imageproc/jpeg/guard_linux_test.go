package jpeg

import (
	"math/rand/v2"
	"syscall"
	"testing"
)

// fenced copies s to right before, or right behind, memory that may not be touched:
// reading or writing one byte too far is a fault.
func fenced(t *testing.T, s []byte, behind bool) []byte {
	page := syscall.Getpagesize()
	size := (len(s) + page - 1) / page * page
	m, err := syscall.Mmap(-1, 0, size+page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Munmap(m) })
	fence, out := m[size:], m[size-len(s):size:size]
	if behind {
		fence, out = m[:page], m[page:page+len(s):page+len(s)]
	}
	if err := syscall.Mprotect(fence, syscall.PROT_NONE); err != nil {
		t.Fatal(err)
	}
	copy(out, s)
	return out
}

func TestNothingIsTouchedPastTheEnds(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(13, 14))
		for _, n := range []int{3, 31, 32, 33, 34, 35, 64, 65, 66, 67, 97, 98, 130} {
			for _, behind := range []bool{false, true} {
				s := func(size int) []byte { return fenced(t, samples(r, size), behind) }
				upsampleH2V1(s(2*n), s(n))
				upsampleH1V2(s(n), s(n), s(n), 1)
				upsampleH2V2(s(2*n), s(n), s(n))
				ycbcrToRGB(s(3*n), s(n), s(n), s(n))
				b := block{1: 5, 63: 9}
				idct(s(7*n+8), n, &b, 1<<63)
			}
		}
	})
}
