package kernel

import "time"

// FMAPeak measures the most floating-point operations per second that one core can do in
// float32, a multiply-add counting as two, in the variant that is used: the limit that
// products are compared with. It takes some 20 ms; the best of many short bursts is
// what the core does when nothing disturbs it. In portable Go it returns 0, unknown.
func FMAPeak() float64 {
	best := 0.0
	for range 100 {
		start := time.Now()
		operations := peakBurst()
		if s := time.Since(start).Seconds(); s > 0 {
			best = max(best, operations/s)
		}
	}
	return best
}
