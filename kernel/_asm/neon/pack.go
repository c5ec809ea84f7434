package main

// partStride is the number of bytes from one part of a panel, that is lane of a chunk, to the next.
const partStride = 145 * 64

// packs writes what turns rows of weights into half a panel: in the order of tiles, lane after
// lane of a chunk, or in that of columns, as attention wants its keys.
func packs() {
	for _, e := range elements {
		pack("pack"+e.name, e, partStride, 64)
	}
	pack("packKeys", elements[0], 64, 8*64)
	part()
}

// walk loads eight columns of each of eight rows, and hands on vectors of four rows of one
// column each: the upper four rows of the columns follow the lower four.
func walk(e element, rows [8]int, at func(row int) int, use func(column, half, v int)) {
	const first, free = 0, 16 // sixteen vectors of values, four free ones
	for i, r := range rows {
		e.load(first+2*i, first+2*i+1, r, at(i))
	}
	for half := range 2 {
		for column := range 2 { // four of them
			var a [4]int
			for i := range a {
				a[i] = first + 2*(4*half+i) + column
			}
			transpose4(a, [4]int{free, free + 1, free + 2, free + 3})
			for i, v := range a {
				use(4*column+i, half, v)
			}
		}
	}
}

func pack(name string, e element, laneStride, advance int) {
	function(name, "dst *float32, src *"+e.goType+", stride, n int", "", name+" is packFunc.")
	const dst, stride, n = 0, 1, 2
	rows := [8]int{3, 4, 5, 6, 7, 8, 9, 10}
	param("dst", dst)
	param("src", rows[0])
	param("stride", stride)
	param("n", n)
	for i := 1; i < 8; i++ {
		op("ADD R%d<<%d, R%d, R%d", stride, map[int]int{2: 1, 4: 2}[e.size], rows[i-1], rows[i])
	}
	label("loop")
	walk(e, rows, func(int) int { return 0 }, func(column, half, v int) { store(v, dst, column*laneStride+16*half) })
	for _, r := range rows {
		op("ADD $%d, R%d", 8*e.size, r)
	}
	op("ADD $%d, R%d", advance, dst)
	op("SUBS $8, R%d", n)
	branch("BNE", "loop")
	ret()
}

// part writes what puts a row of x into the order of tiles: walk sees 64 columns as eight rows of
// eight.
func part() {
	function("partRow", "dst *float32, part int, x *float32, n int", "",
		"partRow writes x[8·i+l], 8·i+l < n, to dst[part·l+i], n a positive multiple of 64.")
	const x, stride, n = 0, 1, 2
	to := [8]int{3, 4, 5, 6, 7, 8, 9, 10}
	param("dst", to[0])
	param("part", stride)
	param("x", x)
	param("n", n)
	for i := 1; i < 8; i++ {
		op("ADD R%d<<2, R%d, R%d", stride, to[i-1], to[i])
	}
	label("loop")
	walk(elements[0], [8]int{x, x, x, x, x, x, x, x}, func(row int) int { return 32 * row },
		func(column, half, v int) { store(v, to[column], 16*half) })
	op("ADD $256, R%d", x)
	for _, r := range to {
		op("ADD $32, R%d", r)
	}
	op("SUBS $64, R%d", n)
	branch("BNE", "loop")
	ret()
}
