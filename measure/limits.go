package measure

import (
	"fmt"
	"time"

	"idefics2/internal/mmap"
	"idefics2/internal/variant"
	"idefics2/kernel"
)

// Limits are what the machine can do at best.
type Limits struct {
	Threads  int           `json:"threads"`
	Variants []string      `json:"variants"`       // of kernels that are used; none: portable Go
	Read     float64       `json:"read_bandwidth"` // bytes a second that all threads read from memory
	Peaks    []kernel.Peak `json:"peaks"`
}

// Operations returns how many operations a second the best variant does with factors of a
// type: f32, bf16 or int8. One that has no arithmetic for a type counts with its float32.
func (l Limits) Operations(typ string) float64 {
	best := 0.0
	for _, p := range l.Peaks {
		if p.Type == typ || p.Type == "f32" {
			best = max(best, p.Rate)
		}
	}
	return best
}

// merge keeps the better of two measurements.
func (l *Limits) merge(o Limits) {
	l.Read = max(l.Read, o.Read)
	if l.Peaks == nil {
		l.Peaks = o.Peaks
		return
	}
	for i := range l.Peaks {
		l.Peaks[i].Rate = max(l.Peaks[i].Rate, o.Peaks[i].Rate)
	}
}

// gauge measures limits again and again: on a machine with neighbours the best of all is
// the nearest to the truth.
type gauge struct {
	team   *kernel.Team
	memory *mmap.Memory
	best   Limits
}

// gaugeBytes is several times the caches of most machines.
const gaugeBytes = 256 << 20

func newGauge(team *kernel.Team) (*gauge, error) {
	memory, err := mmap.Anonymous(gaugeBytes)
	if err != nil {
		return nil, fmt.Errorf("measure: %w", err)
	}
	g := &gauge{team: team, memory: memory, best: Limits{Threads: team.Workers(), Variants: variant.Active("kernel")}}
	if g.best.Variants == nil {
		g.best.Variants = []string{}
	}
	data := memory.Data()
	r := &random{}
	pool, err := r.pool(poolType)
	if err != nil {
		return nil, err
	}
	for len(data) > 0 {
		data = data[copy(data, pool):]
	}
	return g, nil
}

func (g *gauge) close() { _ = g.memory.Close() }

// look measures for about the given times, each of the peaks for one.
func (g *gauge) look(read, peak time.Duration) {
	g.best.merge(Limits{Read: g.team.ReadRate(g.memory.Data(), read), Peaks: g.team.Peaks(peak)})
}

// Measure measures the limits of the machine alone, in about the given time.
func Measure(threads int, within time.Duration) (Limits, error) {
	team := kernel.NewTeam(threads)
	defer team.Close()
	g, err := newGauge(team)
	if err != nil {
		return Limits{}, err
	}
	defer g.close()
	for end := time.Now().Add(within); ; {
		g.look(within/8, within/64)
		if !time.Now().Before(end) {
			return g.best, nil
		}
	}
}
