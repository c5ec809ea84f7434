package eval

import (
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
)

// Report is the outcome of a run.
type Report struct {
	Categories []Row `json:"categories"`
	// Mean is the mean of the categories' scores, each category counting the same.
	Mean     Interval `json:"mean"`
	Cases    int      `json:"cases"`
	Failed   int      `json:"failed"` // that could not be asked
	Empty    int      `json:"empty"`  // answered with nothing
	Resample int      `json:"bootstrap_samples"`
}

// Row is a category of a report.
type Row struct {
	Category string `json:"category"`
	Metric   string `json:"metric"`
	N        int    `json:"n"`
	Interval
	// ErrorRate is the character error rate, all edits over all lengths, of metric cer.
	ErrorRate *float64 `json:"character_error_rate,omitempty"`
	Kinds     []Kind   `json:"kinds"`
}

// Kind is one kind of question of a category.
type Kind struct {
	Kind  string  `json:"kind"`
	N     int     `json:"n"`
	Score float64 `json:"score"`
}

// Interval is a score with the bounds between which 95 % of bootstrap samples lie.
type Interval struct {
	Score float64 `json:"score"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
}

// resamples is how many times a category is drawn anew, with repetition, to see how much
// its score depends on which cases there are (Efron 1979).
const resamples = 2000

// Summarize makes the report of records, which are those of the first of the cases. The
// bootstrap draws from the seed, so that the same records give the same report.
func Summarize(records []Record, seed uint64) Report {
	rep := Report{Cases: len(records), Resample: resamples}
	var cases []Case
	for _, r := range records {
		cases = append(cases, Case{Category: r.Category})
		if r.Error != "" {
			rep.Failed++
		} else if normalize(r.Answer) == "" {
			rep.Empty++
		}
	}
	total := make([]float64, resamples) // of the categories' means
	names := categoriesOf(cases)
	for k, name := range names {
		row := Row{Category: name}
		var scores []float64
		edits, length := 0, 0
		for _, r := range records {
			if r.Category != name {
				continue
			}
			row.Metric = r.Metric
			row.N++
			scores = append(scores, r.Score)
			edits, length = edits+r.Edits, length+r.Length
			i := slices.IndexFunc(row.Kinds, func(k Kind) bool { return k.Kind == r.Kind })
			if i < 0 {
				i = len(row.Kinds)
				row.Kinds = append(row.Kinds, Kind{Kind: r.Kind})
			}
			row.Kinds[i].N++
			row.Kinds[i].Score += r.Score
		}
		for i := range row.Kinds {
			row.Kinds[i].Score /= float64(row.Kinds[i].N)
		}
		if row.Metric == "cer" && length > 0 {
			rate := float64(edits) / float64(length)
			row.ErrorRate = &rate
		}
		draws := rand.New(rand.NewPCG(seed, uint64(k)))
		samples := make([]float64, resamples)
		for i := range samples {
			var sum float64
			for range scores {
				sum += scores[draws.IntN(len(scores))]
			}
			samples[i] = sum / float64(len(scores))
			total[i] += samples[i] / float64(len(names))
		}
		row.Interval = interval(mean(scores), samples)
		rep.Mean.Score += row.Score / float64(len(names))
		rep.Categories = append(rep.Categories, row)
	}
	rep.Mean = interval(rep.Mean.Score, total)
	return rep
}

// Means returns the mean mark of each category, and their mean, which Report.Mean is, too.
func Means(records []Record) (all float64, categories map[string]float64) {
	marks := map[string][]float64{}
	for _, r := range records {
		marks[r.Category] = append(marks[r.Category], r.Score)
	}
	categories = map[string]float64{}
	for _, name := range slices.Sorted(maps.Keys(marks)) { // sums in one order
		categories[name] = mean(marks[name])
		all += categories[name] / float64(len(marks))
	}
	return all, categories
}

func mean(v []float64) (m float64) {
	for _, x := range v {
		m += x
	}
	return m / float64(len(v))
}

// interval returns a score with the percentiles 2.5 and 97.5 of its samples.
func interval(score float64, samples []float64) Interval {
	sorted := slices.Sorted(slices.Values(samples))
	n := len(sorted)
	return Interval{score, sorted[n*25/1000], sorted[n*975/1000-1]}
}

// WriteTable prints the report for people: scores in per cent.
func (r Report) WriteTable(w io.Writer) error {
	var err error
	line := func(format string, args ...any) {
		if err == nil {
			_, err = fmt.Fprintf(w, format+"\n", args...)
		}
	}
	line("%-12s %-8s %5s %7s  %-15s %s", "category", "metric", "n", "score", "95 % interval", "kinds")
	for _, c := range r.Categories {
		kinds := ""
		if c.ErrorRate != nil {
			kinds = fmt.Sprintf("character error rate %.2f", 100**c.ErrorRate)
		}
		if len(c.Kinds) > 1 {
			slices.SortFunc(c.Kinds, func(a, b Kind) int {
				if a.N != b.N {
					return b.N - a.N
				}
				return slices.Compare([]byte(a.Kind), []byte(b.Kind))
			})
			for i, k := range c.Kinds {
				if i > 0 {
					kinds += ", "
				}
				kinds += fmt.Sprintf("%s %.0f", k.Kind, 100*k.Score)
			}
		}
		line("%-12s %-8s %5d %7.2f  %6.2f – %6.2f %s", c.Category, c.Metric, c.N, 100*c.Score, 100*c.Low, 100*c.High, kinds)
	}
	line("%-12s %-8s %5d %7.2f  %6.2f – %6.2f", "mean", "", r.Cases, 100*r.Mean.Score, 100*r.Mean.Low, 100*r.Mean.High)
	if r.Failed+r.Empty > 0 {
		line("%d could not be asked, %d answers are empty", r.Failed, r.Empty)
	}
	return err
}
