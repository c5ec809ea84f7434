package watch

import (
	"math"
	"strings"
)

// curve draws values as a line of braille dots, in so many character cells. Each column of
// dots is the mean of the values that fall on it. It returns the rows, and the smallest and
// largest mean.
func curve(values []float64, columns, rows int) (lines []string, low, high float64) {
	width, height := 2*columns, 4*rows
	means := resample(values, width)
	low, high = math.Inf(1), math.Inf(-1)
	for _, v := range means {
		if !math.IsNaN(v) {
			low, high = min(low, v), max(high, v)
		}
	}
	cells := make([][]rune, rows)
	for y := range cells {
		cells[y] = []rune(strings.Repeat("\u2800", columns))
	}
	if low > high { // nothing is finite
		low, high = 0, 0
		means = nil
	}
	at := func(v float64) int { // from the top
		if high == low {
			return height / 2
		}
		return int(math.Round((high - v) / (high - low) * float64(height-1)))
	}
	before := -1
	for x, v := range means {
		if math.IsNaN(v) {
			before = -1
			continue
		}
		y := at(v)
		from, to := y, y
		if before >= 0 { // joined with the last
			from, to = min(y, before), max(y, before)
			if from < before {
				to = max(from, before-1)
			} else if to > before {
				from = min(to, before+1)
			}
		}
		for k := from; k <= to; k++ {
			cells[k/4][x/2] |= dots[k%4][x%2]
		}
		before = y
	}
	for _, row := range cells {
		lines = append(lines, string(row))
	}
	return lines, low, high
}

// dots are the bits of a braille cell by row and column (Unicode, block U+2800).
var dots = [4][2]rune{{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}}

// resample returns n means of consecutive values, or the values spread over n places where
// they are fewer. A place without a finite value is NaN.
func resample(values []float64, n int) []float64 {
	out := make([]float64, n)
	for i := range out {
		from, to := i*len(values)/n, (i+1)*len(values)/n
		if len(values) < n {
			to = from + 1
		}
		sum, count := 0.0, 0
		for _, v := range values[min(from, len(values)):min(to, len(values))] {
			if !math.IsNaN(v) && !math.IsInf(v, 0) {
				sum += v
				count++
			}
		}
		out[i] = math.NaN()
		if count > 0 {
			out[i] = sum / float64(count)
		}
	}
	return out
}
