package kernel

import (
	"fmt"
	"math"
)

// CrossEntropy writes to loss[r] the cross-entropy of row r of logits [rows, len(logits)/rows] with the
// class targets[r], log Σ e^logit - logit[target], and turns logits into weight times its
// gradient, softmax(logits) - onehot(target).
func (t *Team) CrossEntropy(loss []float64, logits []float32, targets []int32, weight float32) {
	rows := len(targets)
	want("CrossEntropy", "loss", len(loss), rows)
	if rows == 0 {
		return
	}
	classes := len(logits) / rows
	want("CrossEntropy", "logits", len(logits), rows*classes)
	for _, c := range targets {
		if c < 0 || int(c) >= classes {
			panic(fmt.Sprintf("kernel: CrossEntropy: target %d of %d classes", c, classes))
		}
	}
	t.crossEntropy = crossEntropyTask{loss, logits, targets, classes, weight}
	t.pool.Run(pieces(rows, rowsPerPiece(8*classes)), &t.crossEntropy)
	t.crossEntropy = crossEntropyTask{}
}

type crossEntropyTask struct {
	loss    []float64
	logits  []float32
	targets []int32
	classes int
	weight  float32
}

// sumBlock is how many exponentials are added in float32 before float64 takes over.
const sumBlock = 1024

func (t *crossEntropyTask) Do(i, _ int) {
	n := rowsPerPiece(8 * t.classes)
	for r := i * n; r < min(len(t.targets), (i+1)*n); r++ {
		row := t.logits[r*t.classes:][:t.classes]
		target := t.targets[r]
		score := float64(row[target])
		whole := len(row) &^ 7
		top := max(scaleMax(row[:whole], 1), scaleMaxGeneric(row[whole:], 1))
		var sum float64
		for at := 0; at < whole; at += sumBlock {
			sum += float64(expSum(row[at:min(whole, at+sumBlock)], top))
		}
		sum += float64(expSumGeneric(row[whole:], top))
		t.loss[r] = float64(top) + math.Log(sum) - score
		scale := float32(float64(t.weight) / sum)
		for j := range row {
			row[j] *= scale
		}
		row[target] -= t.weight
	}
}
