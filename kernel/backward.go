package kernel

// trainingTasks are the running operations of a backward pass, see Team, and what they share.
type trainingTasks struct {
	product      productTask
	gather       gatherTask
	columns      Weight // x as the matrix of a product
	columnSums   columnSumTask
	attendGrad   attendGradTask
	activateGrad activateGradTask
	normGrad     normGradTask
	gainGrad     gainGradTask
	rowStats     []rowStats // of each row of a norm
	crossEntropy crossEntropyTask
	adamW        adamWTask
	squares      squaresTask
}
