package synth

import (
	"fmt"
	"image/png"
	"os"
	"testing"
	"time"
)

func TestDev(t *testing.T) {
	only := os.Getenv("CAT")
	seed := uint64(7)
	for _, c := range Categories() {
		if only != "" && only != c {
			continue
		}
		g, err := New(Options{Seed: seed, Categories: []string{c}})
		if err != nil {
			t.Fatal(err)
		}
		var all []*Example
		for i := range uint64(10) {
			g.Example(i + 1000)
		}
		start := time.Now()
		n := 60
		slow := time.Duration(0)
		for i := range uint64(n) {
			s := time.Now()
			e := g.Example(i)
			slow = max(slow, time.Since(s))
			all = append(all, e)
		}
		d := time.Since(start)
		fmt.Printf("%-10s %6.1f/s  slowest %v\n", c, float64(n)/d.Seconds(), slow)
		f, _ := os.Create("/tmp/synth/mine-" + c + ".png")
		png.Encode(f, Preview(all[:20], 5))
		f.Close()
	}
}
