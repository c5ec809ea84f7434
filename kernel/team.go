// Package kernel is the arithmetic under the model: operations on float32 slices, and
// products with weights that stay in the type they are stored in. It knows nothing of
// layers, tokens or files.
//
// Three rules hold for every operation and every variant of it:
//
//   - The order of the additions that make one output element depends on lengths and key
//     positions alone: never on how many rows are computed together, where among them
//     a row stands, or how many threads there are. A row alone and the same row inside
//     five hundred have equal bits. So threads split rows, outputs and heads, never a sum.
//   - Nothing is allocated once the scratch memory of a Team has grown to its work.
//   - Shapes are the caller's duty: a wrong one is a bug, and panics.
//
// Portable Go is the reference of every operation; assembly slots in behind it, chosen at
// start by package variant and left out by the build tag noasm. Variants differ among each
// other in rounding only.
package kernel

import (
	"fmt"
	"sync/atomic"

	"idefics2/internal/parallel"
)

// Team runs operations on several threads. It owns the threads and the memory they
// scribble in, and does one operation at a time: it is for one goroutine.
type Team struct {
	// Precision is of products, and chosen before the first operation.
	Precision Precision

	pool      *parallel.Pool
	scratch   []scratch
	abandoned atomic.Bool

	// What the running product makes of its x, for all workers.
	acts   activations // for quantized weights
	staged []float32   // for many rows, see stage

	ordered []float32 // x in the order of the columns of a weight, see Int4

	// The running operation. They live here because a Task is handed to the pool as
	// an interface, and a fresh one would be an allocation per operation.
	matMul     matMulTask
	fast       fastTask
	fastPack   fastPackTask
	blocks     blockTask
	blocksPack blockPackTask
	rounding   quantizeTask
	staging    stageTask
	attend     attendTask
	layerNorm  layerNormTask
	rmsNorm    rmsNormTask
	activate   activateTask
	add        addTask
	rope       ropeTask

	trainingTasks
}

// scratch is the memory of one worker.
type scratch struct {
	weights                        []float32 // widened weights, see matMulTask; or keys, see attendTask
	piece                          attendPiece
	queries                        []float32 // of that piece
	values                         []float32 // of a block of keys
	wideKeys, wideValues           []float32 // of a block, see Packed
	bytes                          []byte    // panels of quantized weights
	out                            []float32 // sums, see matMulTask
	scores                         []float32 // of a block of queries against a block of keys, see attendTask
	running                        []running // one for each query of the block
	angles                         []float32 // cosines, then sines, of one position
	rounded                        []uint32  // rows of x as pairs of bfloat16, see fastPackTask
	tile                           []uint16  // weights, see fastTask
	leftQueries, leftScores, right []uint32  // pairs of bfloat16, see attendPiece.scoreTiles
	runs                           []xRun    // of some rows, see blockPackTask
	ring                           []int32   // see blockTask
	blocks                         blockTiles
	decoded                        []float32 // from codes, see packCodes

	_ [64]byte // the next worker's header is on a cache line of its own
}

// NewTeam starts a team of threads; zero or fewer means one per processor that Go may use.
func NewTeam(threads int) *Team {
	pool := parallel.New(threads)
	return &Team{pool: pool, scratch: make([]scratch, pool.Workers())}
}

// Close ends the threads. The team cannot be used afterwards.
func (t *Team) Close() { t.pool.Close() }

// Abandon makes operations return at once, the running one within a millisecond, until it
// is called with false: their results are then undefined. Any goroutine may call it, to
// end a pass that nobody waits for any more.
func (t *Team) Abandon(on bool) {
	t.abandoned.Store(on) // long pieces look at this
	t.pool.Abandon(on)
}

// Workers returns the number of threads.
func (t *Team) Workers() int { return t.pool.Workers() }

// grow returns s with the given length, its contents undefined.
func grow[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

// pieces returns how many pieces of the given size make up n, at least one even for n = 0:
// dividing the work of an operation costs a join, and small ones are not worth it.
func pieces(n, size int) int { return max(1, (n+size-1)/size) }

// elementsPerPiece is the size at which work on elements is divided: some ten microseconds.
const elementsPerPiece = 16 << 10

// rowsPerPiece is the number of rows of the given length that make a piece.
func rowsPerPiece(length int) int { return max(1, elementsPerPiece/max(1, length)) }

// want panics unless an operand has the length it must have.
func want(op, operand string, got, want int) {
	if got != want {
		panic(fmt.Sprintf("kernel: %s: %s has %d elements, want %d", op, operand, got, want))
	}
}
