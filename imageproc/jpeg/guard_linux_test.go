package jpeg

import (
	"math/rand/v2"
	"testing"

	"idefics2/internal/guard"
)

func TestNothingIsTouchedPastTheEnds(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(13, 14))
		for _, n := range []int{3, 31, 32, 33, 34, 35, 64, 65, 66, 67, 97, 98, 130} {
			for _, place := range []func(testing.TB, []byte) []byte{guard.Copy[byte], guard.CopyBehind[byte]} {
				s := func(size int) []byte { return place(t, samples(r, size)) }
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
