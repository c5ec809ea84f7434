package sample

import (
	"slices"
	"testing"
)

func TestLookup(t *testing.T) {
	image := func(id int32) bool { return id == 9 }
	tests := []struct {
		name   string
		ids    []int32
		ngram  int
		num    int
		banned func(int32) bool
		want   []int32
	}{
		{"the last two ids", []int32{1, 2, 3, 4, 1, 2}, 2, 2, nil, []int32{3, 4}},
		{"up to the end", []int32{1, 2, 3, 1, 2}, 2, 10, nil, []int32{3, 1, 2}},
		{"the leftmost occurrence", []int32{1, 5, 1, 6, 1}, 1, 1, nil, []int32{5}},
		{"longer n-grams first", []int32{2, 7, 1, 2, 8, 1, 2}, 2, 1, nil, []int32{8}},
		{"then shorter", []int32{2, 7, 3, 1, 2}, 2, 1, nil, []int32{7}},
		{"overlap with itself", []int32{4, 4, 4}, 2, 3, nil, []int32{4}},
		{"nothing repeats", []int32{1, 2, 3}, 2, 3, nil, nil},
		{"one id", []int32{1}, 2, 3, nil, nil},
		{"no ids", nil, 2, 3, nil, nil},
		{"none wanted", []int32{1, 1, 1}, 2, 0, nil, nil},
		{"an image cuts", []int32{1, 2, 9, 9, 1}, 1, 3, image, []int32{2}},
		{"and another occurrence is tried", []int32{1, 9, 9, 1, 3, 1}, 1, 3, image, []int32{3, 1}},
		{"or a shorter n-gram", []int32{1, 2, 9, 2, 5, 1, 2}, 2, 2, image, []int32{5, 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Lookup(tt.ids, tt.ngram, tt.num, tt.banned); !slices.Equal(got, tt.want) {
				t.Errorf("Lookup(%v, %d, %d) = %v, want %v", tt.ids, tt.ngram, tt.num, got, tt.want)
			}
		})
	}
}

func TestDraft(t *testing.T) {
	ids := []int32{1, 2, 3, 4, 5, 1, 2}
	for name, tt := range map[string]struct {
		opts Options
		want []int32
	}{
		"off":                          {Options{}, nil},
		"on":                           {Options{LookupTokens: 3}, []int32{3, 4, 5}},
		"room for the token after it":  {Options{LookupTokens: 3, MaxNewTokens: 4}, []int32{3, 4}},
		"no room":                      {Options{LookupTokens: 3, MaxNewTokens: 2}, nil},
		"ends before an end id":        {Options{LookupTokens: 3, StopIDs: []int32{4}}, []int32{3}},
		"ends before a bad word":       {Options{LookupTokens: 3, BadWords: [][]int32{{4}, {3, 4}}}, []int32{3}},
		"ends before a suppressed one": {Options{LookupTokens: 3, Suppress: []int32{5}}, []int32{3, 4}},
		"ends before the caller's":     {Options{LookupTokens: 9}, []int32{3, 4, 5}},
	} {
		s, err := New(tt.opts, 8, 0)
		if err != nil {
			t.Fatal(err)
		}
		banned := func(id int32) bool { return id == 1 }
		if got := s.Draft(ids, 6, banned); !slices.Equal(got, tt.want) {
			t.Errorf("%s: Draft = %v, want %v", name, got, tt.want)
		}
	}
}
