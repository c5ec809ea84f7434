package model

import (
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"idefics2/checkpoint"
	"idefics2/input"
	"idefics2/kvcache"
	"idefics2/model/text"
	"idefics2/tensor"
)

// open loads a recorded checkpoint on some threads.
func open(t testing.TB, name string, threads int) *Model {
	t.Helper()
	return openFolder(t, filepath.Join("..", "testdata", "golden", name, "checkpoint"), threads)
}

func openFolder(t testing.TB, dir string, threads int) *Model {
	t.Helper()
	source, err := checkpoint.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	m, err := Load(source, Options{Threads: threads})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		m.Close()
		if err := source.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

// crops makes pictures of noise on the given grids.
func crops(m *Model, grids ...[2]int) []input.Crop {
	r := rand.New(rand.NewPCG(1, 2))
	var out []input.Crop
	for _, g := range grids {
		c := input.Crop{Rows: g[0], Columns: g[1], Patches: make([]float32, g[0]*g[1]*m.Vision.Patch.W.In)}
		for i := range c.Patches {
			c.Patches[i] = r.Float32()*2 - 1
		}
		for range g[0] * g[1] {
			c.Positions = append(c.Positions, r.Int32N(int32(m.Vision.Positions.W.Out)))
		}
		out = append(out, c)
	}
	return out
}

// prompt makes ids with n pictures in them.
func prompt(m *Model, n, words int, seed uint64) []int32 {
	r := rand.New(rand.NewPCG(seed, 3))
	word := func() int32 { return r.Int32N(int32(m.Config.ImageTokenID) - 1) }
	ids := []int32{1}
	for range n {
		for range m.Latents() {
			ids = append(ids, int32(m.Config.ImageTokenID))
		}
		ids = append(ids, word())
	}
	for range words {
		ids = append(ids, word())
	}
	return ids
}

// read runs ids through the decoder in pieces of the given size and returns the logits of all positions.
func read(t testing.TB, m *Model, ids []int32, latents tensor.Mat, piece int) []float32 {
	t.Helper()
	past := kvcache.New(m.Text.CacheShape(), 0).NewSequence()
	var all []float32
	for at := 0; at < len(ids); at += piece {
		s := Segment{Segment: text.Segment{Past: past}, IDs: ids[at:min(len(ids), at+piece)], Latents: latents}
		s.Wanted = len(s.IDs)
		logits, err := m.Decode([]Segment{s}, nil)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, logits.Data...)
		latents = latents.Slice(m.ImageTokens(s.IDs), latents.Rows)
		m.Text.Forget(past, past.Len())
	}
	return all
}

func encode(m *Model, crops []input.Crop) tensor.Mat {
	latents := tensor.NewMat(len(crops)*m.Latents(), m.Text.Width())
	m.Encode(latents, crops, nil)
	return latents
}

// same fails unless a and b have the same bits, and something in them.
func same(t *testing.T, what string, a, b []float32) {
	t.Helper()
	if len(a) == 0 || len(a) != len(b) {
		t.Fatalf("%s: %d and %d values", what, len(a), len(b))
	}
	for i := range a {
		if math.Float32bits(a[i]) != math.Float32bits(b[i]) {
			t.Fatalf("%s: value %d is %v and %v", what, i, a[i], b[i])
		}
	}
}

// The prompt is longer than several pages, and than the window of 16 of the one model.
func TestPiecesGiveTheBitsOfTheWhole(t *testing.T) {
	for _, name := range []string{"tiny", "window"} {
		m := open(t, name, 2)
		latents := encode(m, crops(m, [2]int{3, 4}, [2]int{5, 2}))
		ids := prompt(m, 2, 130, 9)
		whole := read(t, m, ids, latents, len(ids))
		for _, piece := range []int{1, 2, 7, 32, 33, 100} {
			same(t, fmt.Sprintf("%s in pieces of %d", name, piece), read(t, m, ids, latents, piece), whole)
		}
	}
}

func TestThreadsDoNotChangeBits(t *testing.T) {
	var latents, logits []float32
	for _, threads := range []int{1, 2, 5} {
		m := open(t, "tiny", threads)
		l := encode(m, crops(m, [2]int{7, 3}))
		g := read(t, m, prompt(m, 1, 90, 4), l, 1000)
		if latents == nil {
			latents, logits = slices.Clone(l.Data), g
		}
		same(t, fmt.Sprintf("latents on %d threads", threads), l.Data, latents)
		same(t, fmt.Sprintf("logits on %d threads", threads), g, logits)
	}
}

func TestCropsTogetherGiveTheBitsOfEachAlone(t *testing.T) {
	m := open(t, "tiny", 2)
	all := crops(m, [2]int{3, 4}, [2]int{1, 1}, [2]int{7, 7}, [2]int{2, 5})
	together := encode(m, all)
	for i := range all {
		same(t, fmt.Sprintf("crop %d", i), together.Slice(i*m.Latents(), (i+1)*m.Latents()).Data, encode(m, all[i:i+1]).Data)
	}
}

// Sequences of unequal length, some reading and some writing, in one pass.
func TestBatchGivesTheBitsOfEachAlone(t *testing.T) {
	for _, name := range []string{"tiny", "window"} {
		m := open(t, name, 2)
		latents := encode(m, crops(m, [2]int{4, 4}))
		prompts := [][]int32{prompt(m, 1, 40, 1), prompt(m, 0, 3, 2), prompt(m, 0, 75, 3)}
		steps := prompt(m, 0, 6, 5)
		images := []tensor.Mat{latents, {}, {}}

		var alone [][]float32
		for i, ids := range prompts {
			alone = append(alone, read(t, m, append(slices.Clone(ids), steps...), images[i], 1000))
		}
		vocab := m.Text.Vocabulary()
		cache := kvcache.New(m.Text.CacheShape(), 0)
		var batch []Segment
		got := make([][]float32, len(prompts))
		for i, ids := range prompts {
			batch = append(batch, Segment{Segment: text.Segment{Past: cache.NewSequence(), Wanted: len(ids)}, IDs: ids, Latents: images[i]})
		}
		for step := -1; step < len(steps); step++ {
			if step >= 0 {
				for i := range batch {
					batch[i].IDs, batch[i].Wanted = steps[step:step+1], 1
				}
			}
			logits, err := m.Decode(batch, nil)
			if err != nil {
				t.Fatal(err)
			}
			row := 0
			for i := range batch {
				got[i] = append(got[i], logits.Slice(row, row+batch[i].Wanted).Data...)
				row += batch[i].Wanted
			}
		}
		for i := range prompts {
			same(t, fmt.Sprintf("%s, sequence %d of %d logits a row", name, i, vocab), got[i], alone[i])
		}
	}
}

func TestDecodingAllocatesNothing(t *testing.T) {
	m := open(t, "tiny", 2)
	past := kvcache.New(m.Text.CacheShape(), 0).NewSequence()
	batch := []Segment{{Segment: text.Segment{Past: past, Wanted: 1}, IDs: []int32{1}}}
	step := func() {
		if _, err := m.Decode(batch, nil); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 * kvcache.PageLen {
		step()
	}
	past.Truncate(kvcache.PageLen + 1) // room for what follows
	if n := testing.AllocsPerRun(kvcache.PageLen-2, step); n != 0 {
		t.Errorf("%v allocations a token", n)
	}
}

func TestCheckInput(t *testing.T) {
	m := open(t, "tiny", 1)
	good := input.Input{IDs: prompt(m, 1, 3, 1), Crops: crops(m, [2]int{2, 2})}
	if err := m.CheckInput(&good); err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string]input.Input{
		"an id past the vocabulary":   {IDs: []int32{616}},
		"a negative id":               {IDs: []int32{-1}},
		"image tokens without a crop": {IDs: prompt(m, 1, 3, 1)},
		"a crop without image tokens": {IDs: prompt(m, 0, 3, 1), Crops: good.Crops},
		"a crop without its patches":  {IDs: good.IDs, Crops: []input.Crop{{Rows: 2, Columns: 2}}},
	} {
		if err := m.CheckInput(&bad); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	m := open(b, "tiny", 0)
	past := kvcache.New(m.Text.CacheShape(), 0).NewSequence()
	batch := []Segment{{Segment: text.Segment{Past: past, Wanted: 1}, IDs: []int32{1}}}
	for b.Loop() {
		if past.Len() == 1024 {
			past.Truncate(0)
		}
		if _, err := m.Decode(batch, nil); err != nil {
			b.Fatal(err)
		}
	}
}
