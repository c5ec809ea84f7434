package measure

import (
	"encoding/json"
	"fmt"
	"math"
)

// maxRows bounds the rows of a report that is read.
const maxRows = 10_000

// ParseReport reads the JSON of a report, as "idefics2 bench -json" prints it. What else is in it
// is left aside.
func ParseReport(data []byte) (*Report, error) {
	var r Report
	if err := json.Unmarshal(data, &r); err != nil {
		return nil, fmt.Errorf("measure: report: %w; want the output of bench -json", err)
	}
	if n := len(r.Rows); n == 0 || n > maxRows {
		return nil, fmt.Errorf("measure: report: %d rows, want 1 to %d; want the output of bench -json", n, maxRows)
	}
	for i, row := range r.Rows {
		if row.Work == "" || !positive(row.Seconds) || !positive(row.Share) {
			return nil, fmt.Errorf("measure: report: row %d (%.40q) takes %v seconds, %v of the limit: want a name and numbers above 0", i, row.Work, row.Seconds, row.Share)
		}
	}
	return &r, nil
}

func positive(v float64) bool { return v > 0 && !math.IsInf(v, 0) }

// Change is how a work's time differs between two runs.
type Change struct {
	Work   string  `json:"work"`
	Before float64 `json:"before"` // seconds
	After  float64 `json:"after"`
	Times  float64 `json:"times"` // as fast as before: Before/After
	// Corrected is Times with the change of the machine's limits taken out: how the shares
	// differ. On a machine with neighbours it is the better measure.
	Corrected float64 `json:"corrected"`
}

// Compare tells what changed from one report to another, for the works that are in both.
func Compare(before, after *Report) []Change {
	old, changes := map[string]Row{}, []Change{}
	for _, r := range before.Rows {
		old[r.Work] = r
	}
	for _, r := range after.Rows {
		if o, ok := old[r.Work]; ok {
			changes = append(changes, Change{r.Work, o.Seconds, r.Seconds, o.Seconds / r.Seconds, r.Share / o.Share})
		}
	}
	return changes
}
