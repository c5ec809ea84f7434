//go:build noasm || !amd64

package kernel

type (
	fastTask      struct{}
	fastPackTask  struct{}
	blockTask     struct{}
	blockPackTask struct{}
	blockTiles    struct{}
)

func (t *Team) matMulFast(_, _ []float32, _ int, _ *Weight, _ []float32) bool { return false }
