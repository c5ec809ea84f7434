package convert

import (
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"

	"idefics2/checkpoint"
	"idefics2/gguf"
	"idefics2/imatrix"
	"idefics2/quant"
)

// weigh gives the items the importance of their columns, and returns the metadata that say so, under
// llama.cpp's keys. They also tell apart what is made with another matrix, of which nothing is
// left to go on from.
func weigh(list []item, m *imatrix.File, o *Options) ([]gguf.Pair, error) {
	if m == nil {
		return nil, nil
	}
	var without []string
	used := 0
	for i := range list {
		it := &list[i]
		if !searched(it.typ) {
			continue
		}
		var err error
		if it.importance, err = m.Importance(checkpoint.GGUFName(it.Name), it.length); err != nil {
			return nil, err
		}
		if it.importance == nil {
			without = append(without, it.Name)
		} else {
			used++
		}
	}
	if n := len(without); n > 0 {
		o.note("the importance matrix says nothing of %d matrices, which are stored without: %s", n, without[0])
	}
	if used == 0 {
		o.note("the importance matrix changes nothing: no matrix that it knows becomes q4_0, q4_k or q6_k")
	}
	return []gguf.Pair{
		{Key: "quantize.imatrix.entries_count", Value: gguf.Of(uint32(used))},
		{Key: "quantize.imatrix.chunks_count", Value: gguf.Of(uint32(m.Chunks))},
		{Key: "idefics2.imatrix", Value: gguf.Of(fingerprint(m))},
	}, nil
}

// searched reports a type whose blocks importance changes.
func searched(t quant.Type) bool { return t == quant.Q4_0 || t == quant.Q4_K || t == quant.Q6_K }

// fingerprint is a hash of all sums.
func fingerprint(m *imatrix.File) string {
	h := fnv.New128a()
	for _, name := range slices.Sorted(maps.Keys(m.Matrices)) {
		fmt.Fprintln(h, name, m.Matrices[name].Count, m.Matrices[name].Squares)
	}
	return hex.EncodeToString(h.Sum(nil))
}
