package quant

// Q4_0 (spec/checkpoint.md §8.2): a block is
//
//	f16 d | 16 bytes        x[i] = d·(q[i] − 8),  byte i = q[i] | q[i+16]<<4
//
// The value m of largest magnitude becomes code 0, exactly: d = m/−8, negative where m is
// positive. Codes are cut, not rounded, after 8.5 was added.

func encodeQ4_0(block []byte, x []float32) bool {
	at := largest(x)
	m := x[at]
	if m == 0 {
		m = 0 // no −0: the scale of a block of zeros has the sign that it has in llama.cpp
	}
	d := m / -8
	id := inverse(d)
	for i := range 16 {
		lo := int32(float32(x[i]*id) + 8.5)
		hi := int32(float32(x[i+16]*id) + 8.5)
		block[2+i] = byte(min(max(lo, 0), 15) | min(max(hi, 0), 15)<<4)
	}
	return putScale(block, d)
}

func decodeQ4_0(x []float32, block []byte) {
	d := scaleOf(block)
	q, low, high := block[2:18], x[:16], x[16:32]
	for i, b := range q {
		low[i] = d * float32(int32(b&15)-8)
		high[i] = d * float32(int32(b>>4)-8)
	}
}
