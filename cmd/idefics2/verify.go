package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"

	"idefics2"
	"idefics2/internal/terminal"
)

var verifyCmd = command{
	name: "verify",
	args: "[-model M] [GOLDEN]…",
	help: "check on this machine that the model computes what the reference computes",
	more: `GOLDEN is a folder of recordings (requests.json, expect.json, stages.safetensors, images), or one that
holds such folders; without it, the recordings inside this program are used. The model is the
recording's own, its folder "checkpoint", unless -model names another. The largest difference
of each kind of stage is printed, beside what is allowed.`,
	examples: []example{
		{"that this program is right on this processor", "idefics2 verify"},
		{"recordings of another model", "idefics2 verify recordings/mid"},
		{"every comparison, for a program", "idefics2 verify -json recordings"},
	},
	files: true,
	new: func(f *flags) runFunc {
		var verbose, asJSON bool
		m := newModelFlags(f)
		f.group("Output", func() {
			f.BoolVar(&verbose, "v", false, "print every comparison")
			f.BoolVar(&asJSON, "json", false, "print every comparison as a JSON object a line")
		})
		return func(ctx context.Context, std stdio, args []string) error {
			if err := m.check(f); err != nil {
				return err
			}
			if !f.has("dtype") {
				m.options.DType = "f32" // the recordings are float32
			}
			v := &verification{std: std, model: m, verbose: verbose, json: asJSON}
			if len(args) == 0 {
				if err := v.run(ctx, ""); err != nil {
					return err
				}
			}
			for _, arg := range args {
				dirs, err := goldenCases(arg)
				if err != nil {
					return err
				}
				for _, dir := range dirs {
					if err := v.run(ctx, dir); err != nil {
						return err
					}
				}
			}
			return v.end()
		}
	},
}

// verification is one run of the command over some cases.
type verification struct {
	std            stdio
	model          *modelFlags
	verbose, json  bool
	checks, failed int
	broken         int // cases that could not be run
	printed        error
}

// goldenCases returns the folders of recordings at or right below dir.
func goldenCases(dir string) ([]string, error) {
	if isCase(dir) {
		return []string{dir}, nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var dirs []string
	for _, e := range entries {
		if at := filepath.Join(dir, e.Name()); e.IsDir() && isCase(at) {
			dirs = append(dirs, at)
		}
	}
	if len(dirs) == 0 {
		return nil, withRemedy(fmt.Errorf("%s: no recordings", dir), "want a folder with requests.json and expect.json, or one that holds such folders")
	}
	return dirs, nil
}

func isCase(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "requests.json"))
	_, err2 := os.Stat(filepath.Join(dir, "expect.json"))
	return err == nil && err2 == nil
}

// run verifies one case, "" being that inside the program, and prints what it found.
func (v *verification) run(ctx context.Context, dir string) error {
	bars := terminal.NewProgress(v.std.err)
	defer bars.Close()
	name := "built-in"
	if dir != "" {
		name = filepath.Base(dir)
	}
	t := table{}
	checks, failed := v.checks, v.failed
	err := idefics2.Verify(ctx, dir, v.model.model, v.model.with(v.std, bars), func(c idefics2.Check) {
		v.checks++
		if !c.OK {
			v.failed++
		}
		t.add(c)
		if v.json {
			v.remember(writeJSON(v.std.out, checkJSON{name, c.Request, c.Stage, min(c.Difference, math.MaxFloat64), c.Allowed, c.OK, c.Note}))
		} else if v.verbose || !c.OK {
			v.printf("%-4s %s %s %s  %.3g of %.3g  %s\n", okWord(c.OK), name, c.Request, c.Stage, min(c.Difference, math.MaxFloat64), c.Allowed, c.Note)
		}
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil { // the other cases are worth their run
		bars.Close()
		complain(v.std.err, fmt.Errorf("%s: %w", name, err))
		v.broken++
		return nil
	}
	if !v.json {
		v.printf("%s: %d comparisons, %d failed\n", name, v.checks-checks, v.failed-failed)
		t.print(v)
	}
	return v.printed
}

// end sums up.
func (v *verification) end() error {
	if v.printed != nil {
		return v.printed
	}
	if v.broken > 0 {
		return fmt.Errorf("%d cases could not be run; %d of %d comparisons of the others failed", v.broken, v.failed, v.checks)
	}
	if v.failed > 0 {
		return withRemedy(fmt.Errorf("%d of %d comparisons failed", v.failed, v.checks),
			"please report it, with the output of idefics2 doctor; IDEFICS2_KERNELS=generic tells whether a kernel is at fault")
	}
	if !v.json {
		v.printf("all %d comparisons passed\n", v.checks)
	}
	return v.printed
}

func (v *verification) printf(format string, args ...any) {
	_, err := fmt.Fprint(v.std.out, terminal.Clean(fmt.Sprintf(format, args...)))
	v.remember(err)
}

func (v *verification) remember(err error) { v.printed = errors.Join(v.printed, err) }

// checkJSON is one comparison as -json prints it.
type checkJSON struct {
	Case       string  `json:"case"`
	Request    string  `json:"request"`
	Stage      string  `json:"stage"`
	Difference float64 `json:"difference"`
	Allowed    float64 `json:"allowed"`
	OK         bool    `json:"ok"`
	Note       string  `json:"note,omitempty"`
}

func okWord(ok bool) string {
	if ok {
		return "ok"
	}
	return "FAIL"
}

// table holds the worst comparison of each kind of stage, in the order of the first.
type table struct {
	kinds []string
	worst map[string]idefics2.Check
	count map[string]int
}

var digits = regexp.MustCompile(`\d+`)

func (t *table) add(c idefics2.Check) {
	if t.worst == nil {
		t.worst, t.count = map[string]idefics2.Check{}, map[string]int{}
	}
	kind := digits.ReplaceAllString(c.Stage, "*")
	w, seen := t.worst[kind]
	if !seen {
		t.kinds = append(t.kinds, kind)
	}
	if !seen || share(c) > share(w) {
		t.worst[kind] = c
	}
	t.count[kind]++
}

// share is how much of what is allowed a comparison takes.
func share(c idefics2.Check) float64 {
	switch {
	case c.Allowed > 0:
		return c.Difference / c.Allowed
	case c.OK:
		return 0
	}
	return 1e300
}

func (t *table) print(v *verification) {
	for _, kind := range t.kinds {
		c := t.worst[kind]
		if c.Allowed == 0 {
			v.printf("  %-4s %-34s %4d  equal\n", okWord(c.OK), kind, t.count[kind])
			continue
		}
		v.printf("  %-4s %-34s %4d  largest difference %.2e, allowed %.2e\n", okWord(c.OK), kind, t.count[kind], c.Difference, c.Allowed)
	}
}
