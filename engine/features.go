package engine

import (
	"container/list"

	"idefics2/model"
)

// features keeps the latents of pictures by the hash of their content, the least
// recently used first to go.
type features struct {
	limit, bytes int64
	order        list.List // of *feature, the most recently used in front
	byKey        map[featureKey]*list.Element
}

// featureKey is whose latents they are, and of what.
type featureKey struct {
	model   *model.Model
	content [32]byte // zero for a picture without a key
}

type feature struct {
	key     featureKey
	latents []float32
}

// get returns the latents of a picture that was seen before.
func (f *features) get(key featureKey) ([]float32, bool) {
	at, ok := f.byKey[key]
	if !ok || key.content == [32]byte{} {
		return nil, false
	}
	f.order.MoveToFront(at)
	return at.Value.(*feature).latents, true
}

// put keeps a copy.
func (f *features) put(key featureKey, latents []float32) {
	size := int64(len(latents)) * 4
	if _, known := f.byKey[key]; known || key.content == [32]byte{} || size > f.limit {
		return
	}
	if f.byKey == nil {
		f.byKey = map[featureKey]*list.Element{}
	}
	f.byKey[key] = f.order.PushFront(&feature{key, append([]float32(nil), latents...)})
	f.bytes += size
	for f.bytes > f.limit {
		last := f.order.Back()
		old := f.order.Remove(last).(*feature)
		delete(f.byKey, old.key)
		f.bytes -= int64(len(old.latents)) * 4
	}
}
