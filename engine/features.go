package engine

import "container/list"

// features keeps the latents of pictures by the hash of their content, the least
// recently used first to go.
type features struct {
	limit, bytes int64
	order        list.List // of *feature, the most recently used in front
	byKey        map[[32]byte]*list.Element
}

type feature struct {
	key     [32]byte
	latents []float32
}

// get returns the latents of a picture that was seen before.
func (f *features) get(key [32]byte) ([]float32, bool) {
	at, ok := f.byKey[key]
	if !ok || key == [32]byte{} {
		return nil, false
	}
	f.order.MoveToFront(at)
	return at.Value.(*feature).latents, true
}

// put keeps a copy.
func (f *features) put(key [32]byte, latents []float32) {
	size := int64(len(latents)) * 4
	if _, known := f.byKey[key]; known || key == [32]byte{} || size > f.limit {
		return
	}
	if f.byKey == nil {
		f.byKey = map[[32]byte]*list.Element{}
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
