//go:build !noasm

#include "textflag.h"

// Products of int8 by tiles, see qmatmul_amx_amd64.go, and amx_amd64.s for how AMX is written here.
// A run of 32 columns has a scale of its own. So for each run tiles make sums of whole numbers of sixteen
// outputs by sixteen rows, which go to a ring of four places in the first-level cache, and two runs later
// vectors of sixteen rows add them, scaled, to Z0 to Z15, one for each output. Two runs, because
// what a tile stores is not there for vectors at once.
//
// DI is at the outputs, SI at a run of weights, DX at one of x, R8 at the ring, AX the place in it.

#define ROWS_OF_64 BX
#define ROWS_OF_32 CX

#define XRUN 768  // bytes of a run of x: ten rows of sixteen words are used
#define XD (512-2*XRUN)(DX)
#define XDSUM (576-2*XRUN)(DX)

#define EACH(M) \
	M(0, Z0, Z18, Z19); M(1, Z1, Z20, Z21); M(2, Z2, Z22, Z23); M(3, Z3, Z24, Z25); \
	M(4, Z4, Z18, Z19); M(5, Z5, Z20, Z21); M(6, Z6, Z22, Z23); M(7, Z7, Z24, Z25); \
	M(8, Z8, Z18, Z19); M(9, Z9, Z20, Z21); M(10, Z10, Z22, Z23); M(11, Z11, Z24, Z25); \
	M(12, Z12, Z18, Z19); M(13, Z13, Z20, Z21); M(14, Z14, Z22, Z23); M(15, Z15, Z24, Z25)

#define LOADSUM(i, sum, t, u) VMOVUPS (64*i)(DI), sum
#define STORESUM(i, sum, t, u) VMOVUPS sum, (64*i)(DI)

// A run of 32 columns: weights [16 outputs][32], x [8 fours of columns][16 rows][4].
#define WHOLERUN \
	BYTE $0xc4; BYTE $0xe2; BYTE $0x7b; BYTE $0x49; BYTE $0xc0               /* TILEZERO tmm0 */; \
	BYTE $0xc4; BYTE $0xe2; BYTE $0x7b; BYTE $0x4b; BYTE $0x24; BYTE $0x0e   /* TILELOADD tmm4, [rsi+rcx] */; \
	BYTE $0xc4; BYTE $0xe2; BYTE $0x7b; BYTE $0x4b; BYTE $0x34; BYTE $0x1a   /* TILELOADD tmm6, [rdx+rbx] */; \
	BYTE $0xc4; BYTE $0xe2; BYTE $0x4b; BYTE $0x5e; BYTE $0xc4               /* TDPBSSD tmm0, tmm4, tmm6 */; \
	BYTE $0xc4; BYTE $0xc2; BYTE $0x7a; BYTE $0x4b; BYTE $0x04; BYTE $0x19   /* TILESTORED [r9+rbx], tmm0 */

// Its halves apart.
#define HALVES \
	BYTE $0xc4; BYTE $0xe2; BYTE $0x7b; BYTE $0x49; BYTE $0xc0               /* TILEZERO tmm0 */; \
	BYTE $0xc4; BYTE $0xe2; BYTE $0x7b; BYTE $0x49; BYTE $0xc8               /* TILEZERO tmm1 */; \
	BYTE $0xc4; BYTE $0xe2; BYTE $0x7b; BYTE $0x4b; BYTE $0x24; BYTE $0x0e   /* TILELOADD tmm4, [rsi+rcx] */; \
	BYTE $0xc4; BYTE $0xe2; BYTE $0x7b; BYTE $0x4b; BYTE $0x34; BYTE $0x1a   /* TILELOADD tmm6, [rdx+rbx] */; \
	BYTE $0xc4; BYTE $0xe2; BYTE $0x7b; BYTE $0x4b; BYTE $0x6c; BYTE $0x0e; BYTE $0x10       /* TILELOADD tmm5, [rsi+rcx+16] */; \
	BYTE $0xc4; BYTE $0xe2; BYTE $0x7b; BYTE $0x4b; BYTE $0xbc; BYTE $0x1a; LONG $0x00000100 /* TILELOADD tmm7, [rdx+rbx+256] */; \
	BYTE $0xc4; BYTE $0xe2; BYTE $0x4b; BYTE $0x5e; BYTE $0xc4               /* TDPBSSD tmm0, tmm4, tmm6 */; \
	BYTE $0xc4; BYTE $0xe2; BYTE $0x43; BYTE $0x5e; BYTE $0xcd               /* TDPBSSD tmm1, tmm5, tmm7 */; \
	BYTE $0xc4; BYTE $0xc2; BYTE $0x7a; BYTE $0x4b; BYTE $0x04; BYTE $0x19   /* TILESTORED [r9+rbx], tmm0 */; \
	BYTE $0xc4; BYTE $0xc2; BYTE $0x7a; BYTE $0x4b; BYTE $0x8c; BYTE $0x19; LONG $0x00000400 /* TILESTORED [r9+rbx+1024], tmm1 */

// sum += (d·scale)·Σ
#define SCALED(i, sum, t, u) \
	VCVTDQ2PS (64*i)(R9), t; \
	VMULPS.BCST (512+4*i-2*576)(SI), Z16, u; \
	VFMADD231PS t, u, sum

// sum += (d·scale)·Σ, then sum -= least·(d·Σ x)
#define SCALEDLESS(i, sum, t, u) \
	VCVTDQ2PS (64*i)(R9), t; \
	VMULPS.BCST (512+4*i-2*640)(SI), Z16, u; \
	VFMADD231PS t, u, sum; \
	VFNMADD231PS.BCST (576+4*i-2*640)(SI), Z17, sum

// sum += (d·scale)·(factor·Σ + factor'·Σ'), the right one of whole numbers that float32 holds.
#define SCALEDTWICE(i, sum, t, u) \
	VCVTDQ2PS (64*i)(R9), t; \
	VCVTDQ2PS (1024+64*i)(R9), u; \
	VMULPS.BCST (576+4*i-2*704)(SI), t, t; \
	VFMADD231PS.BCST (640+4*i-2*704)(SI), u, t; \
	VMULPS.BCST (512+4*i-2*704)(SI), Z16, u; \
	VFMADD231PS t, u, sum

// PRODUCTS goes over blocks of rows, panels of outputs, and runs, of which the last two are turns
// without tiles. WRUN is the bytes of a run of weights.
#define PRODUCTS(WRUN, TILES, ADD) \
	MOVQ p+0(FP), R8; \
	MOVQ 56(R8), AX; \
	BYTE $0xc4; BYTE $0xe2; BYTE $0x78; BYTE $0x49; BYTE $0x00 /* LDTILECFG [rax] */; \
	MOVQ 0(R8), DI; \
	MOVQ 32(R8), R10; \
	MOVQ 48(R8), R13; \
	MOVQ 8(R8), R8; \
	MOVQ $64, BX; \
	MOVQ $32, CX; \
block: \
	MOVQ p+0(FP), AX; \
	MOVQ 16(AX), SI; \
	MOVQ 40(AX), R11; \
panel: \
	MOVQ p+0(FP), AX; \
	MOVQ 24(AX), DX; \
	ADDQ 64(AX), DX; \
	EACH(LOADSUM); \
	XORQ AX, AX; \
	XORQ R12, R12; \
turn: \
	CMPQ R12, R13; \
	JGE  add; \
	LEAQ (R8)(AX*1), R9; \
	TILES; \
add: \
	CMPQ R12, $2; \
	JLT  next; \
	MOVQ AX, R9; \
	XORQ $4096, R9; \
	ADDQ R8, R9; \
	VMOVUPS XD, Z16; \
	VMOVUPS XDSUM, Z17; \
	EACH(ADD); \
next: \
	ADDQ $WRUN, SI; \
	ADDQ $XRUN, DX; \
	ADDQ $2048, AX; \
	ANDQ $8191, AX; \
	INCQ R12; \
	LEAQ -2(R12), R9; \
	CMPQ R9, R13; \
	JLT  turn; \
	EACH(STORESUM); \
	ADDQ $1024, DI; \
	SUBQ $(2*WRUN), SI; \
	DECQ R11; \
	JNZ  panel; \
	MOVQ p+0(FP), AX; \
	SUBQ $(2*XRUN), DX; \
	SUBQ 24(AX), DX; \
	MOVQ DX, 64(AX); \
	DECQ R10; \
	JNZ  block; \
	BYTE $0xc4; BYTE $0xe2; BYTE $0x78; BYTE $0x49; BYTE $0xc0 /* TILERELEASE */; \
	VZEROUPPER; \
	RET

// func amxScaled(p *blockTiles)
TEXT ·amxScaled(SB), NOSPLIT, $0-8
	PRODUCTS(576, WHOLERUN, SCALED)

// func amxScaledLess(p *blockTiles)
TEXT ·amxScaledLess(SB), NOSPLIT, $0-8
	PRODUCTS(640, WHOLERUN, SCALEDLESS)

// func amxScaledTwice(p *blockTiles)
TEXT ·amxScaledTwice(SB), NOSPLIT, $0-8
	PRODUCTS(704, HALVES, SCALEDTWICE)
