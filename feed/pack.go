package feed

// firstFit packs items into bins in their order, each into the first open bin that has room
// in both measures, and returns the items of each bin (spec: data.md §9). An item larger
// than a bin gets one of its own; crops 0 is no bound.
func firstFit(tokens, crops []int, maxTokens, maxCrops int) (bins [][]int) {
	var usedTokens, usedCrops []int
	for i := range tokens {
		at := 0
		for at < len(bins) && (usedTokens[at]+tokens[i] > maxTokens || maxCrops > 0 && usedCrops[at]+crops[i] > maxCrops) {
			at++
		}
		if at == len(bins) {
			bins, usedTokens, usedCrops = append(bins, nil), append(usedTokens, 0), append(usedCrops, 0)
		}
		bins[at] = append(bins[at], i)
		usedTokens[at] += tokens[i]
		usedCrops[at] += crops[i]
	}
	return bins
}
