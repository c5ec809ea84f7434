package convert

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"idefics2/checkpoint"
	"idefics2/gguf"
)

// ErrNoSums is returned by Check for a file that says no sums of its tensors.
var ErrNoSums = errors.New("the file has no checksums")

// Check reads every tensor of a GGUF file and compares it with the sum that the file says. It
// returns the number of tensors. Progress, which may be nil, is told of the bytes.
func Check(ctx context.Context, path string, progress func(done, total int64)) (tensors int, err error) {
	f, err := gguf.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	names := f.Names()
	if _, ok := f.Value(checkpoint.SumsKey); !ok {
		return 0, fmt.Errorf("convert: %s: %w", path, ErrNoSums)
	}
	sums, err := f.Texts(checkpoint.SumsKey)
	if err != nil {
		return 0, err
	}
	if len(sums) != len(names) {
		return 0, fmt.Errorf("convert: %s: %s has %d sums for %d tensors", path, checkpoint.SumsKey, len(sums), len(names))
	}
	var done, total int64
	for _, name := range names {
		t, _ := f.Tensor(name)
		total += int64(len(t.Data))
	}
	for i, name := range names {
		t, _ := f.Tensor(name)
		h := sha256.New()
		for data := t.Data; len(data) > 0; {
			n := min(len(data), chunkBytes)
			h.Write(data[:n])
			data = data[n:]
			if err := ctx.Err(); err != nil {
				return 0, err
			}
			if done += int64(n); progress != nil {
				progress(done, total)
			}
		}
		if got := hex.EncodeToString(h.Sum(nil)); got != sums[i] {
			return 0, fmt.Errorf("convert: %s: %q is damaged: its SHA-256 is %s, and the file says %.64s; convert the model again or copy the file again", path, name, got, sums[i])
		}
	}
	return len(names), nil
}
