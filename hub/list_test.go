package hub

import (
	"path/filepath"
	"slices"
	"testing"
)

func TestList(t *testing.T) {
	c, _ := newCache(t)
	list, err := c.List()
	if err != nil || len(list) != 4 {
		t.Fatalf("%+v, %v", list, err)
	}
	for i, want := range []struct {
		commit string
		refs   []string
		bytes  int64
		whole  bool
	}{
		{first, []string{"main", "v1"}, 2, true},
		{second, nil, 2, true},
		{third, []string{"refs/pr/7"}, 2, false},
		{first, []string{"main"}, 0, false},
	} {
		e := list[i]
		if e.Commit != want.commit || !slices.Equal(e.Refs, want.refs) || e.Bytes != want.bytes || (e.Err == nil) != want.whole {
			t.Errorf("%+v, want %+v", e, want)
		}
	}
	if list, err := (Cache{filepath.Join(t.TempDir(), "none")}).List(); list != nil || err != nil {
		t.Errorf("no cache: %v, %v", list, err)
	}
}
