package kernel

import (
	"encoding/binary"
	"math/rand/v2"
	"time"

	"idefics2/internal/half"
)

// Peak is what a team can do at best in one kind of arithmetic: the limit that products are
// compared with. It is measured on random values from a normal distribution, in the
// first-level cache, with nothing but the instructions that a product needs: processors
// slow down where many bits change, and on zeros they look faster than they are.
type Peak struct {
	Variant string  `json:"variant"`    // see package variant; "generic" is portable Go
	Type    string  `json:"type"`       // of the factors: f32, bf16 or int8
	Rate    float64 `json:"operations"` // a second on all threads, a multiply-add counting as two
}

// burst is some tens of microseconds of work on one thread.
type burst struct {
	variant, typ string
	operations   float64
	run          func(*operands)
}

// operands are the values that bursts multiply.
type operands struct {
	x [peakSteps * 6]float32
	w [peakSteps * 16]float32
	q [peakSteps * 32]byte // of 7 bits, so that sums of two products fit 16
	p [peakSteps * 256]byte
	b [peakSteps * 128]uint16 // bfloat16
}

// The length of a burst: steps over K, and how often they are repeated.
const (
	peakSteps = 64
	peakTimes = 256
)

func newOperands() *operands {
	r := rand.New(rand.NewPCG(1, 2))
	o := new(operands)
	for _, s := range [][]float32{o.x[:], o.w[:]} {
		for i := range s {
			s[i] = float32(r.NormFloat64())
		}
	}
	for i := range o.b {
		o.b[i] = half.F32ToBF16(float32(r.NormFloat64()))
	}
	for _, s := range [][]byte{o.q[:], o.p[:]} {
		for i := range s {
			s[i] = byte(int8(min(max(r.NormFloat64()*32, -127), 127)))
		}
	}
	for i := range o.q {
		o.q[i] &= 127
	}
	return o
}

// Peaks measures the variants that are used and portable Go, each in its kinds of arithmetic,
// in many short bursts of which the best counts: it is what the processor does when
// nothing disturbs it. It spends about the given time on each. Where a variant has no
// arithmetic for bfloat16, products widen it to float32, and that is its limit.
func (t *Team) Peaks(each time.Duration) (peaks []Peak) {
	data := newOperands()
	for _, b := range append(bursts(peakTimes), genericBursts...) {
		work := &burstTask{burst: b, data: data}
		n := 8 * t.Workers()
		best := 0.0
		for end := time.Now().Add(each); ; {
			start := time.Now()
			t.pool.Run(n, work)
			now := time.Now()
			best = max(best, float64(n)*b.operations/now.Sub(start).Seconds())
			if !now.Before(end) || t.abandoned.Load() {
				break
			}
		}
		peaks = append(peaks, Peak{b.variant, b.typ, best})
		if b.typ == "f32" {
			peaks = append(peaks, Peak{b.variant, "bf16", best})
		}
	}
	return peaks
}

type burstTask struct {
	burst
	data *operands
}

func (b *burstTask) Do(_, _ int) { b.run(b.data) }

// genericBursts are those of portable Go.
var genericBursts = []burst{
	{variant: "generic", typ: "f32", operations: 2 * peakSteps * 16 * peakTimes / 8, run: peakF32Generic},
	{variant: "generic", typ: "int8", operations: 2 * peakSteps * 32 * peakTimes / 8, run: peakInt8Generic},
}

func peakF32Generic(o *operands) {
	const n = peakSteps * 16 / 4
	var y [4]float32
	x := o.x[:n]
	for range peakTimes / 8 {
		dot1x4(y[:], x, o.w[:n], o.w[n:2*n], o.w[2*n:3*n], o.w[3*n:])
	}
}

func peakInt8Generic(o *operands) {
	sum := int32(0)
	for range peakTimes / 8 {
		w := o.p[:len(o.q)]
		for i, q := range o.q {
			sum += int32(int8(q)) * int32(int8(w[i]))
		}
	}
	use(uint64(sum))
}

// use keeps the compiler from leaving out what made v.
//
//go:noinline
func use(v uint64) { _ = v }

// ReadRate measures how many bytes a second all threads together read from memory, the best
// of many short bursts within about the given time. Data should be several times the size
// of the caches, and have been written.
func (t *Team) ReadRate(data []byte, within time.Duration) float64 {
	// Short bursts miss a neighbour's disturbance, but must be long beside a join.
	const longest = 64 << 20
	length := min(len(data), longest)
	best, at := 0.0, 0
	for end := time.Now().Add(within); len(data) > 0; {
		work := &readTask{data: data[at : at+length]}
		start := time.Now()
		t.pool.Run(pieces(length, readPiece), work)
		now := time.Now()
		best = max(best, float64(length)/now.Sub(start).Seconds())
		if at += length; at+length > len(data) {
			at = 0
		}
		if !now.Before(end) || t.abandoned.Load() {
			break
		}
	}
	return best
}

// readPiece is the bytes that a thread reads in one go.
const readPiece = 1 << 20

type readTask struct{ data []byte }

func (r *readTask) Do(i, _ int) { read(r.data[i*readPiece : min(len(r.data), (i+1)*readPiece)]) }

// readGeneric adds up data.
func readGeneric(data []byte) {
	var a, b, c, d uint64
	for len(data) >= 32 {
		a += binary.LittleEndian.Uint64(data)
		b += binary.LittleEndian.Uint64(data[8:])
		c += binary.LittleEndian.Uint64(data[16:])
		d += binary.LittleEndian.Uint64(data[24:])
		data = data[32:]
	}
	for _, v := range data {
		a += uint64(v)
	}
	use(a + b + c + d)
}
