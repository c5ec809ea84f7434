package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"idefics2/checkpoint"
	"idefics2/hub"
	"idefics2/measure"
)

var doctorCmd = command{
	name: "doctor",
	args: "[-json]",
	help: "tell what this machine is, what would run on it and how fast; for bug reports",
	more: `Speeds are estimates from two seconds of measuring how fast the machine reads memory and
multiplies. What else it does meanwhile makes them smaller. idefics2 bench measures the stages themselves.`,
	examples: []example{
		{"what a bug report needs", "idefics2 doctor"},
		{"for a program", "idefics2 doctor -json"},
	},
	new: func(f *flags) runFunc {
		var asJSON bool
		f.group("Output", func() { f.BoolVar(&asJSON, "json", false, "print one JSON object") })
		return func(_ context.Context, std stdio, args []string) error {
			if len(args) > 0 {
				return misused("doctor takes no arguments", f.hint())
			}
			d := diagnose(std)
			if asJSON {
				return writeJSON(std.out, d)
			}
			w := &printer{w: std.out}
			d.print(w)
			return w.err
		}
	},
}

// diagnosis is what doctor says.
type diagnosis struct {
	Build    build    `json:"build"`
	Machine  machine  `json:"machine"`
	Released verdict  `json:"released"`
	Speed    *speed   `json:"speed,omitempty"` // absent where there is no memory to measure it
	Notes    []string `json:"notes"`
}

// speed is what the machine can do, and what can be expected of the released model.
type speed struct {
	Limits measure.Limits `json:"limits"`
	Expect []expectation  `json:"expect"`
}

type expectation struct {
	measure.Expectation
	Total int64 `json:"total"` // bytes of memory with all that Released.Plan has beside the weights
	Fits  bool  `json:"fits"`
}

// The time that doctor measures for, and the memory that must be left for that.
const (
	measuring      = 1200 * time.Millisecond
	leastToMeasure = 1 << 30
)

// verdict says whether the released model in bfloat16 would run.
type verdict struct {
	Parameters int64 `json:"parameters"`
	Plan       plan  `json:"plan"`
	Fits       bool  `json:"fits"`
}

func diagnose(std stdio) diagnosis {
	d := diagnosis{Build: readBuild(), Machine: examine(hub.DefaultDir(std.getenv), std.getenv), Notes: []string{}}
	config := checkpoint.Released()
	d.Released.Parameters = config.Parameters()
	pre := checkpoint.DefaultPreprocessor()
	pre.Split = true
	d.Released.Plan = planFor(config, pre, 2*config.Parameters(), use{Context: 2048, Images: 1, Batch: 1})
	m := d.Machine
	d.Released.Fits = m.Available >= d.Released.Plan.Total
	if m.Available == 0 || m.Available >= leastToMeasure {
		if limits, err := measure.Measure(0, measuring); err == nil {
			d.Speed = &speed{Limits: limits}
			for _, e := range measure.Expect(config, limits) {
				total := d.Released.Plan.Total - d.Released.Plan.Weights + e.Weights
				d.Speed.Expect = append(d.Speed.Expect, expectation{e, total, m.Available >= total})
			}
		}
	}
	note := func(when bool, format string, args ...any) {
		if when {
			d.Notes = append(d.Notes, fmt.Sprintf(format, args...))
		}
	}
	note(!d.Released.Fits && m.Available > 0, "the released model needs %s and %s are available: its weights would be read from the disk again and again",
		size(d.Released.Plan.Total), size(m.Available))
	note(m.Quota > 0 && m.Quota < float64(m.GOMAXPROCS), "the container has the time of %.1f cores, and %d threads would share it", m.Quota, m.GOMAXPROCS)
	note(m.GOMAXPROCS < m.Cores, "GOMAXPROCS lets the program use %d of %d cores", m.GOMAXPROCS, m.Cores)
	note(m.CacheFree > 0 && m.CacheFree < 2*d.Released.Parameters, "the disk of the cache has %s free, less than the released model's %s",
		size(m.CacheFree), size(2*d.Released.Parameters))
	for _, k := range m.Kernels {
		var idle []string
		for _, v := range k.Variants {
			if v.Present && !v.Used {
				idle = append(idle, v.Name)
			}
		}
		note(len(idle) > 0, "IDEFICS2_KERNELS keeps %s from using %s", k.Package, strings.Join(idle, ", "))
	}
	return d
}

func (d diagnosis) print(w *printer) {
	m := d.Machine
	w.printf("program    %s\n", d.Build)
	w.printf("processor  %s, %d cores, GOMAXPROCS %d", m.CPU, m.Cores, m.GOMAXPROCS)
	if m.Quota > 0 {
		w.printf(", limited to %.1f", m.Quota)
	}
	w.printf("\nfeatures   %s\n", orNone(m.Features))
	for i, k := range m.Kernels {
		label := "kernels"
		if i > 0 {
			label = ""
		}
		used := "portable Go"
		if len(k.Used) > 0 {
			used = strings.Join(k.Used, ", ")
		}
		w.printf("%-10s %s: %s\n", label, k.Package, used)
	}
	if len(m.Kernels) == 0 {
		w.printf("kernels    portable Go\n")
	}
	w.printf("memory     %s, %s available", size(m.Memory), size(m.Available))
	if m.Limit > 0 {
		w.printf(", limited to %s", size(m.Limit))
	}
	w.printf("\ncache      %s, %s free\n", m.Cache, size(m.CacheFree))
	fits := "fits"
	if !d.Released.Fits {
		fits = "does not fit"
	}
	w.printf("released   %s parameters in bf16: %s of weights, %s in all; %s\n", count(d.Released.Parameters),
		size(d.Released.Plan.Weights), size(d.Released.Plan.Total), fits)
	if s := d.Speed; s != nil {
		w.printf("speed      reads %.1f GB/s, %.0f GFLOP/s in bf16, %.0f Gop/s in int8, with %d threads\n", s.Limits.Read/1e9,
			s.Limits.Operations("bf16")/1e9, s.Limits.Operations("int8")/1e9, s.Limits.Threads)
		for i, e := range s.Expect {
			label, fits := "expect", "fits"
			if i > 0 {
				label = ""
			}
			if !e.Fits {
				fits = "does not fit"
			}
			w.printf("%-10s %s: about %s tokens/s, prompts %s tokens/s, a picture in %s; %s in all, %s\n", label, e.Type,
				brief(e.Decode), brief(e.Prefill), seconds(e.Image), size(e.Total), fits)
		}
	}
	for _, n := range d.Notes {
		w.printf("note       %s\n", n)
	}
}

func orNone(words []string) string {
	if len(words) == 0 {
		return "none that matter"
	}
	return strings.Join(words, " ")
}
