package kernel

// Add computes y += x over slices of equal length.
func (t *Team) Add(y, x []float32) {
	want("Add", "x", len(x), len(y))
	t.add = addTask{y, x}
	t.pool.Run(pieces(len(y), elementsPerPiece), &t.add)
	t.add = addTask{}
}

type addTask struct{ y, x []float32 }

func (a *addTask) Do(i, _ int) {
	lo, hi := i*elementsPerPiece, min(len(a.y), (i+1)*elementsPerPiece)
	addTo(a.y[lo:hi], a.x[lo:hi])
}

func addToGeneric(y, x []float32) {
	y = y[:len(x)]
	for i, v := range x {
		y[i] += v
	}
}
