// Package spelling finds the word that was meant.
package spelling

import "strings"

// Nearest returns the word that is most like a misspelt one, or "" where none is.
func Nearest(word string, words []string) string {
	if len(word) > 64 { // is no misspelling
		return ""
	}
	word = strings.ToLower(word)
	best, nearest := max(1, len(word)/3)+1, ""
	for _, w := range words {
		d := distance(word, w)
		if strings.HasPrefix(w, word) && len(word) > 2 {
			d = 0
		}
		if d < best {
			best, nearest = d, w
		}
	}
	return nearest
}

// distance is the number of letters to insert, delete, replace or swap with their
// neighbour to make b of a (restricted Damerau-Levenshtein).
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
