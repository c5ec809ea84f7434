//go:build !noasm

package kernel

import "golang.org/x/sys/cpu"

// useAMX, looked at where useAVX2 is true, multiplies bfloat16 weights by tiles where the Team is
// Fast, and where useAVX512 is true many rows with blocks. The processor must have tiles, the system must save them, and it must have let this
// process use them: without that the first tile is an illegal instruction.
var useAMX = useAVX2 && cpu.X86.HasAMXTile && cpu.X86.HasAMXBF16 && cpu.X86.HasAMXInt8 && cpu.X86.HasOSXSAVE &&
	xgetbv()&tileState == tileState && permitTiles()

// tileState are the bits of XCR0 for the configuration and the data of tiles.
const tileState = 1<<17 | 1<<18

// xgetbv returns XCR0, which says what state the system saves.
func xgetbv() uint64

// amxBF16 adds to blocks of sums c, each [2][2][16 outputs][16 rows], the products of 32 outputs with
// 32 rows of x a block over steps of 32 columns. w is [32 outputs][256], of which the first
// 32·steps columns are used; x is [blocks][steps][2][16 pairs of columns][16 rows][2].
//
//go:noescape
func amxBF16(c *float32, w *uint16, x *uint16, blocks, steps int, config *[64]byte)

// amxPeakBF16 does, times times, sixteen products of tiles of data: four steps over two tiles of each factor, which
// take 8 KB each, one after the other.
//
//go:noescape
func amxPeakBF16(data *uint16, times int, config *[64]byte)

// amxPeakInt8 does the same with int8.
//
//go:noescape
func amxPeakInt8(data *byte, times int, config *[64]byte)

// tiles is the configuration: eight tiles of sixteen rows of 64 bytes.
var tiles = func() (c [64]byte) {
	c[0] = 1 // palette
	for i := range 8 {
		c[16+2*i], c[48+i] = 64, 16
	}
	return c
}()
