package input

// Sequence is several examples one after another, as training reads them. No example sees
// another: attention stays within a segment, and positions begin anew in each.
type Sequence struct {
	IDs       []int32
	Labels    []int32 // parallel to IDs: the id where it is to be predicted, else -100; the first of a segment never is
	Positions []int32 // parallel to IDs: of each token within its segment
	// Bounds are where the segments begin, and the end of the last: segment s is
	// IDs[Bounds[s]:Bounds[s+1]].
	Bounds []int
	Crops  []Crop // in the order in which their tokens stand in IDs
}
