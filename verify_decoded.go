package idefics2

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"

	"idefics2/checkpoint"
	"idefics2/safetensors"
)

// verifyDecoded compares the recorded matrices of a quantized checkpoint with ours, which
// must be equal. It tells whether they are so only with blocks counted per row: that is how
// bitsandbytes 0.50 decodes NF4 with AVX-512, wrongly where rows are not whole blocks, and
// what follows from such matrices can be compared with nothing else.
func verifyDecoded(dir, name string, o Options, report func(Check)) (rowBlocks bool, err error) {
	const prefix = "dequantized."
	stages, err := safetensors.Open(filepath.Join(dir, "stages.safetensors"))
	if err != nil {
		return false, err
	}
	defer stages.Close()
	var names []string
	for _, n := range stages.Names() {
		if parameter, ok := strings.CutPrefix(n, prefix); ok {
			names = append(names, parameter)
		}
	}
	if names == nil {
		return false, nil
	}
	folder, err := find(name, o)
	if err != nil {
		return false, err
	}
	different := func(rowBlocks bool) (list []string, err error) {
		c, err := checkpoint.Open(folder)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, c.Close()) }()
		c.RowBlocks = rowBlocks
		for _, parameter := range names {
			want, _ := stages.View(prefix + parameter)
			got, err := c.Take(parameter, want.Shape...)
			if err != nil {
				return nil, err
			}
			if !slices.Equal(got.Floats(), want.Floats()) {
				list = append(list, parameter)
			}
		}
		return list, nil
	}
	wrong, err := different(false)
	if err != nil {
		return false, err
	}
	note := ""
	if wrong != nil {
		perRow, err := different(true)
		if err != nil {
			return false, err
		}
		if perRow == nil {
			rowBlocks, wrong = true, nil
			note = "recorded with bitsandbytes on AVX-512, which misplaces the blocks of rows like these: verified as if so"
		}
	}
	for _, parameter := range names {
		c := Check{Request: "checkpoint", Stage: prefix + parameter, OK: !slices.Contains(wrong, parameter), Note: note}
		if !c.OK {
			c.Note = "decoded values differ"
		}
		report(c)
	}
	return rowBlocks, nil
}
