//go:build !noasm

#include "textflag.h"

// Go's assembler does not know AMX: its instructions are bytes, each with what it means beside
// it (Intel, Instruction Set Reference, 253666). Tiles 0 to 3 are sums, 4 and 5 weights, 6 and 7
// activations.
//
// A function that uses tiles configures them first and releases them last: Go moves goroutines
// between threads only outside of assembly, so no tile is ever live where that can happen.

// func amxBF16(c *float32, w *uint16, x *uint16, blocks, steps int, config *[64]byte)
TEXT ·amxBF16(SB), NOSPLIT, $0-48
	MOVQ config+40(FP), AX
	BYTE $0xc4; BYTE $0xe2; BYTE $0x78; BYTE $0x49; BYTE $0x00 // LDTILECFG [rax]
	MOVQ c+0(FP), DI
	MOVQ w+8(FP), R9
	MOVQ x+16(FP), DX
	MOVQ blocks+24(FP), R8
	MOVQ $64, BX
	MOVQ $512, CX

block:
	BYTE $0xc4; BYTE $0xe2; BYTE $0x7b; BYTE $0x4b; BYTE $0x04; BYTE $0x1f                   // TILELOADD tmm0, [rdi+rbx]
	BYTE $0xc4; BYTE $0xe2; BYTE $0x7b; BYTE $0x4b; BYTE $0x8c; BYTE $0x1f; LONG $0x00000400 // TILELOADD tmm1, [rdi+rbx+1024]
	BYTE $0xc4; BYTE $0xe2; BYTE $0x7b; BYTE $0x4b; BYTE $0x94; BYTE $0x1f; LONG $0x00000800 // TILELOADD tmm2, [rdi+rbx+2048]
	BYTE $0xc4; BYTE $0xe2; BYTE $0x7b; BYTE $0x4b; BYTE $0x9c; BYTE $0x1f; LONG $0x00000c00 // TILELOADD tmm3, [rdi+rbx+3072]
	MOVQ R9, SI
	LEAQ 8192(R9), AX
	MOVQ steps+32(FP), R10

step:
	BYTE $0xc4; BYTE $0xe2; BYTE $0x7b; BYTE $0x4b; BYTE $0x24; BYTE $0x0e                   // TILELOADD tmm4, [rsi+rcx]
	BYTE $0xc4; BYTE $0xe2; BYTE $0x7b; BYTE $0x4b; BYTE $0x2c; BYTE $0x08                   // TILELOADD tmm5, [rax+rcx]
	BYTE $0xc4; BYTE $0xe2; BYTE $0x7b; BYTE $0x4b; BYTE $0x34; BYTE $0x1a                   // TILELOADD tmm6, [rdx+rbx]
	BYTE $0xc4; BYTE $0xe2; BYTE $0x7b; BYTE $0x4b; BYTE $0xbc; BYTE $0x1a; LONG $0x00000400 // TILELOADD tmm7, [rdx+rbx+1024]
	PREFETCHT0 4096(DX)
	PREFETCHT0 4160(DX)
	BYTE $0xc4; BYTE $0xe2; BYTE $0x4a; BYTE $0x5c; BYTE $0xc4                               // TDPBF16PS tmm0, tmm4, tmm6
	BYTE $0xc4; BYTE $0xe2; BYTE $0x42; BYTE $0x5c; BYTE $0xcc                               // TDPBF16PS tmm1, tmm4, tmm7
	BYTE $0xc4; BYTE $0xe2; BYTE $0x4a; BYTE $0x5c; BYTE $0xd5                               // TDPBF16PS tmm2, tmm5, tmm6
	BYTE $0xc4; BYTE $0xe2; BYTE $0x42; BYTE $0x5c; BYTE $0xdd                               // TDPBF16PS tmm3, tmm5, tmm7
	ADDQ $64, SI
	ADDQ $64, AX
	ADDQ $2048, DX
	DECQ R10
	JNZ  step

	BYTE $0xc4; BYTE $0xe2; BYTE $0x7a; BYTE $0x4b; BYTE $0x04; BYTE $0x1f                   // TILESTORED [rdi+rbx], tmm0
	BYTE $0xc4; BYTE $0xe2; BYTE $0x7a; BYTE $0x4b; BYTE $0x8c; BYTE $0x1f; LONG $0x00000400 // TILESTORED [rdi+rbx+1024], tmm1
	BYTE $0xc4; BYTE $0xe2; BYTE $0x7a; BYTE $0x4b; BYTE $0x94; BYTE $0x1f; LONG $0x00000800 // TILESTORED [rdi+rbx+2048], tmm2
	BYTE $0xc4; BYTE $0xe2; BYTE $0x7a; BYTE $0x4b; BYTE $0x9c; BYTE $0x1f; LONG $0x00000c00 // TILESTORED [rdi+rbx+3072], tmm3
	ADDQ $4096, DI
	DECQ R8
	JNZ  block
	BYTE $0xc4; BYTE $0xe2; BYTE $0x78; BYTE $0x49; BYTE $0xc0                               // TILERELEASE
	RET

// func amxAttend(c *float32, cs int, a *uint32, as int, b *uint32, groups, panels, steps int, config *[64]byte)
TEXT ·amxAttend(SB), NOSPLIT, $0-72
	MOVQ config+64(FP), AX
	BYTE $0xc4; BYTE $0xe2; BYTE $0x78; BYTE $0x49; BYTE $0x00                            // LDTILECFG [rax]
	MOVQ c+0(FP), DI
	MOVQ cs+8(FP), BX
	MOVQ a+16(FP), SI
	MOVQ as+24(FP), CX
	MOVQ groups+40(FP), R11
	MOVQ $64, R8
	MOVQ BX, R9
	SHLQ $4, R9  // sixteen rows of c
	MOVQ CX, R10
	SHLQ $4, R10 // of a

group:
	MOVQ b+32(FP), DX
	MOVQ panels+48(FP), R12
	MOVQ DI, R13

panel:
	MOVQ R13, AX
	BYTE $0xc4; BYTE $0xe2; BYTE $0x7b; BYTE $0x4b; BYTE $0x04; BYTE $0x18                // TILELOADD tmm0, [rax+rbx]
	ADDQ R9, AX
	BYTE $0xc4; BYTE $0xe2; BYTE $0x7b; BYTE $0x4b; BYTE $0x0c; BYTE $0x18                // TILELOADD tmm1, [rax+rbx]
	ADDQ R9, AX
	BYTE $0xc4; BYTE $0xe2; BYTE $0x7b; BYTE $0x4b; BYTE $0x14; BYTE $0x18                // TILELOADD tmm2, [rax+rbx]
	ADDQ R9, AX
	BYTE $0xc4; BYTE $0xe2; BYTE $0x7b; BYTE $0x4b; BYTE $0x1c; BYTE $0x18                // TILELOADD tmm3, [rax+rbx]
	MOVQ steps+56(FP), R15

step:
	MOVQ SI, AX
	BYTE $0xc4; BYTE $0xa2; BYTE $0x7b; BYTE $0x4b; BYTE $0x34; BYTE $0x02                // TILELOADD tmm6, [rdx+r8]
	BYTE $0xc4; BYTE $0xe2; BYTE $0x7b; BYTE $0x4b; BYTE $0x24; BYTE $0x08                // TILELOADD tmm4, [rax+rcx]
	BYTE $0xc4; BYTE $0xe2; BYTE $0x4a; BYTE $0x5c; BYTE $0xc4                            // TDPBF16PS tmm0, tmm4, tmm6
	ADDQ R10, AX
	BYTE $0xc4; BYTE $0xe2; BYTE $0x7b; BYTE $0x4b; BYTE $0x2c; BYTE $0x08                // TILELOADD tmm5, [rax+rcx]
	BYTE $0xc4; BYTE $0xe2; BYTE $0x4a; BYTE $0x5c; BYTE $0xcd                            // TDPBF16PS tmm1, tmm5, tmm6
	ADDQ R10, AX
	BYTE $0xc4; BYTE $0xe2; BYTE $0x7b; BYTE $0x4b; BYTE $0x24; BYTE $0x08                // TILELOADD tmm4, [rax+rcx]
	BYTE $0xc4; BYTE $0xe2; BYTE $0x4a; BYTE $0x5c; BYTE $0xd4                            // TDPBF16PS tmm2, tmm4, tmm6
	ADDQ R10, AX
	BYTE $0xc4; BYTE $0xe2; BYTE $0x7b; BYTE $0x4b; BYTE $0x2c; BYTE $0x08                // TILELOADD tmm5, [rax+rcx]
	BYTE $0xc4; BYTE $0xe2; BYTE $0x4a; BYTE $0x5c; BYTE $0xdd                            // TDPBF16PS tmm3, tmm5, tmm6
	ADDQ $64, SI
	ADDQ $1024, DX
	DECQ R15
	JNZ  step

	MOVQ steps+56(FP), AX
	SHLQ $6, AX
	SUBQ AX, SI
	MOVQ R13, AX
	BYTE $0xc4; BYTE $0xe2; BYTE $0x7a; BYTE $0x4b; BYTE $0x04; BYTE $0x18                // TILESTORED [rax+rbx], tmm0
	ADDQ R9, AX
	BYTE $0xc4; BYTE $0xe2; BYTE $0x7a; BYTE $0x4b; BYTE $0x0c; BYTE $0x18                // TILESTORED [rax+rbx], tmm1
	ADDQ R9, AX
	BYTE $0xc4; BYTE $0xe2; BYTE $0x7a; BYTE $0x4b; BYTE $0x14; BYTE $0x18                // TILESTORED [rax+rbx], tmm2
	ADDQ R9, AX
	BYTE $0xc4; BYTE $0xe2; BYTE $0x7a; BYTE $0x4b; BYTE $0x1c; BYTE $0x18                // TILESTORED [rax+rbx], tmm3
	ADDQ $64, R13
	DECQ R12
	JNZ  panel
	LEAQ (DI)(R9*4), DI
	LEAQ (SI)(R10*4), SI
	DECQ R11
	JNZ  group
	BYTE $0xc4; BYTE $0xe2; BYTE $0x78; BYTE $0x49; BYTE $0xc0                            // TILERELEASE
	RET

// func amxPeakBF16(data *uint16, times int, config *[64]byte)
TEXT ·amxPeakBF16(SB), NOSPLIT, $0-24
	MOVQ config+16(FP), AX
	BYTE $0xc4; BYTE $0xe2; BYTE $0x78; BYTE $0x49; BYTE $0x00                            // LDTILECFG [rax]
	MOVQ data+0(FP), SI
	MOVQ times+8(FP), R8
	MOVQ $64, BX
	BYTE $0xc4; BYTE $0xe2; BYTE $0x7b; BYTE $0x49; BYTE $0xc0                            // TILEZERO tmm0
	BYTE $0xc4; BYTE $0xe2; BYTE $0x7b; BYTE $0x49; BYTE $0xc8                            // TILEZERO tmm1
	BYTE $0xc4; BYTE $0xe2; BYTE $0x7b; BYTE $0x49; BYTE $0xd0                            // TILEZERO tmm2
	BYTE $0xc4; BYTE $0xe2; BYTE $0x7b; BYTE $0x49; BYTE $0xd8                            // TILEZERO tmm3

again:
	MOVQ SI, DX
	LEAQ 8192(SI), AX
	MOVQ $4, R10

step:
	BYTE $0xc4; BYTE $0xe2; BYTE $0x7b; BYTE $0x4b; BYTE $0x24; BYTE $0x1a                // TILELOADD tmm4, [rdx+rbx]
	BYTE $0xc4; BYTE $0xe2; BYTE $0x7b; BYTE $0x4b; BYTE $0xac; BYTE $0x1a; BYTE $0x00; BYTE $0x04; BYTE $0x00; BYTE $0x00 // TILELOADD tmm5, [rdx+rbx+1024]
	BYTE $0xc4; BYTE $0xe2; BYTE $0x7b; BYTE $0x4b; BYTE $0x34; BYTE $0x18                // TILELOADD tmm6, [rax+rbx]
	BYTE $0xc4; BYTE $0xe2; BYTE $0x7b; BYTE $0x4b; BYTE $0xbc; BYTE $0x18; BYTE $0x00; BYTE $0x04; BYTE $0x00; BYTE $0x00 // TILELOADD tmm7, [rax+rbx+1024]
	BYTE $0xc4; BYTE $0xe2; BYTE $0x4a; BYTE $0x5c; BYTE $0xc4                            // TDPBF16PS tmm0, tmm4, tmm6
	BYTE $0xc4; BYTE $0xe2; BYTE $0x42; BYTE $0x5c; BYTE $0xcc                            // TDPBF16PS tmm1, tmm4, tmm7
	BYTE $0xc4; BYTE $0xe2; BYTE $0x4a; BYTE $0x5c; BYTE $0xd5                            // TDPBF16PS tmm2, tmm5, tmm6
	BYTE $0xc4; BYTE $0xe2; BYTE $0x42; BYTE $0x5c; BYTE $0xdd                            // TDPBF16PS tmm3, tmm5, tmm7
	ADDQ $2048, DX
	ADDQ $2048, AX
	DECQ R10
	JNZ  step
	DECQ R8
	JNZ  again
	BYTE $0xc4; BYTE $0xe2; BYTE $0x78; BYTE $0x49; BYTE $0xc0                            // TILERELEASE
	RET

// func amxPeakInt8(data *byte, times int, config *[64]byte)
TEXT ·amxPeakInt8(SB), NOSPLIT, $0-24
	MOVQ config+16(FP), AX
	BYTE $0xc4; BYTE $0xe2; BYTE $0x78; BYTE $0x49; BYTE $0x00                            // LDTILECFG [rax]
	MOVQ data+0(FP), SI
	MOVQ times+8(FP), R8
	MOVQ $64, BX
	BYTE $0xc4; BYTE $0xe2; BYTE $0x7b; BYTE $0x49; BYTE $0xc0                            // TILEZERO tmm0
	BYTE $0xc4; BYTE $0xe2; BYTE $0x7b; BYTE $0x49; BYTE $0xc8                            // TILEZERO tmm1
	BYTE $0xc4; BYTE $0xe2; BYTE $0x7b; BYTE $0x49; BYTE $0xd0                            // TILEZERO tmm2
	BYTE $0xc4; BYTE $0xe2; BYTE $0x7b; BYTE $0x49; BYTE $0xd8                            // TILEZERO tmm3

again:
	MOVQ SI, DX
	LEAQ 8192(SI), AX
	MOVQ $4, R10

step:
	BYTE $0xc4; BYTE $0xe2; BYTE $0x7b; BYTE $0x4b; BYTE $0x24; BYTE $0x1a                // TILELOADD tmm4, [rdx+rbx]
	BYTE $0xc4; BYTE $0xe2; BYTE $0x7b; BYTE $0x4b; BYTE $0xac; BYTE $0x1a; BYTE $0x00; BYTE $0x04; BYTE $0x00; BYTE $0x00 // TILELOADD tmm5, [rdx+rbx+1024]
	BYTE $0xc4; BYTE $0xe2; BYTE $0x7b; BYTE $0x4b; BYTE $0x34; BYTE $0x18                // TILELOADD tmm6, [rax+rbx]
	BYTE $0xc4; BYTE $0xe2; BYTE $0x7b; BYTE $0x4b; BYTE $0xbc; BYTE $0x18; BYTE $0x00; BYTE $0x04; BYTE $0x00; BYTE $0x00 // TILELOADD tmm7, [rax+rbx+1024]
	BYTE $0xc4; BYTE $0xe2; BYTE $0x4b; BYTE $0x5e; BYTE $0xc4                            // TDPBSSD tmm0, tmm4, tmm6
	BYTE $0xc4; BYTE $0xe2; BYTE $0x43; BYTE $0x5e; BYTE $0xcc                            // TDPBSSD tmm1, tmm4, tmm7
	BYTE $0xc4; BYTE $0xe2; BYTE $0x4b; BYTE $0x5e; BYTE $0xd5                            // TDPBSSD tmm2, tmm5, tmm6
	BYTE $0xc4; BYTE $0xe2; BYTE $0x43; BYTE $0x5e; BYTE $0xdd                            // TDPBSSD tmm3, tmm5, tmm7
	ADDQ $2048, DX
	ADDQ $2048, AX
	DECQ R10
	JNZ  step
	DECQ R8
	JNZ  again
	BYTE $0xc4; BYTE $0xe2; BYTE $0x78; BYTE $0x49; BYTE $0xc0                            // TILERELEASE
	RET

// func xgetbv() uint64
TEXT ·xgetbv(SB), NOSPLIT, $0-8
	XORL CX, CX
	XGETBV
	SHLQ $32, DX
	ORQ  DX, AX
	MOVQ AX, ret+0(FP)
	RET
