package nn

import "idefics2/tensor"

// Observer sees the named stages of a forward pass as they are computed. The data
// are valid during the call only. A nil Observer costs nothing.
type Observer func(stage string, shape []int, data []float32)

// Mat shows a matrix.
func (o Observer) Mat(stage string, m tensor.Mat) {
	if o != nil {
		o(stage, []int{m.Rows, m.Cols}, m.Data)
	}
}

// Heads shows x [T, H·d] as [H, T, d], the order in which attention is written down.
func (o Observer) Heads(stage string, x tensor.Mat, heads int) {
	if o == nil {
		return
	}
	d := x.Cols / heads
	out := make([]float32, 0, len(x.Data))
	for h := range heads {
		for t := range x.Rows {
			out = append(out, x.Row(t)[h*d:(h+1)*d]...)
		}
	}
	o(stage, []int{heads, x.Rows, d}, out)
}

// Under returns an Observer that puts prefix in front of every stage.
func (o Observer) Under(prefix string) Observer {
	if o == nil {
		return nil
	}
	return func(stage string, shape []int, data []float32) { o(prefix+stage, shape, data) }
}
