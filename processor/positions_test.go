package processor

import (
	"encoding/json"
	"os"
	"slices"
	"testing"
)

// The sums over whole grids and the last ids that the released rule gives (model.md §4.3).
func TestPositionsOfTheReleasedTable(t *testing.T) {
	tests := []struct{ rows, columns, sum, last int }{
		{2, 3, 7488, 2496},
		{14, 14, 452270, 4615},
		{27, 70, 4460505, 4759},
		{46, 70, 7720790, 4829},
		{70, 27, 4627140, 4897},
		{35, 35, 2957150, 4828},
		{53, 40, 5094750, 4828},
		{70, 70, 12002550, 4899},
	}
	for _, tt := range tests {
		ids := positions(70, tt.rows, tt.columns)
		sum := 0
		for _, id := range ids {
			sum += int(id)
		}
		if sum != tt.sum || int(ids[len(ids)-1]) != tt.last {
			t.Errorf("%d×%d: sum %d, last %d, want %d, %d", tt.rows, tt.columns, sum, ids[len(ids)-1], tt.sum, tt.last)
		}
	}
}

// Where rounding takes a patch one bucket lower than the whole-number formula.
func TestBucketsThatRoundingMoves(t *testing.T) {
	want := map[int][]int{25: {5, 10, 15, 20}, 49: {7, 14, 35, 42}, 50: {5, 10, 15, 20, 30, 40}, 55: {11, 22, 33, 44}, 58: {29}}
	for n := 1; n <= 70; n++ {
		var moved []int
		for i, b := range buckets(70, n) {
			switch int(b) - 70*i/n {
			case 0:
			case -1:
				moved = append(moved, i)
			default:
				t.Fatalf("n=%d: bucket of %d is %d", n, i, b)
			}
		}
		if len(moved) != len(want[n]) {
			t.Errorf("n=%d: moved %v, want %v", n, moved, want[n])
			continue
		}
		for i := range moved {
			if moved[i] != want[n][i] {
				t.Errorf("n=%d: moved %v, want %v", n, moved, want[n])
			}
		}
	}
}

// The table that the reference recorded: side, then for every n the bucket of every patch.
func TestBucketsAgainstTheRecordedTable(t *testing.T) {
	data, err := os.ReadFile("testdata/position_table.json")
	if err != nil {
		t.Fatal(err)
	}
	var tables []struct {
		Side    int
		Buckets [][]int32
	}
	if err := json.Unmarshal(data, &tables); err != nil {
		t.Fatal(err)
	}
	for _, table := range tables {
		for i, want := range table.Buckets {
			if got := buckets(table.Side, i+1); !slices.Equal(got, want) {
				t.Errorf("side %d, n %d: %v, want %v", table.Side, i+1, got, want)
			}
		}
	}
}

// More patches than the table has sides share buckets, and none falls outside.
func TestBucketsStayInside(t *testing.T) {
	for _, side := range []int{1, 2, 3, 7, 13, 16, 70} {
		for n := 1; n <= 3*side; n++ {
			last := int32(0)
			for i, b := range buckets(side, n) {
				if b < last || b >= int32(side) {
					t.Fatalf("side %d, n %d: bucket of %d is %d after %d", side, n, i, b, last)
				}
				last = b
			}
		}
	}
}
