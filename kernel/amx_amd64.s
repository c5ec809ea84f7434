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

// func xgetbv() uint64
TEXT ·xgetbv(SB), NOSPLIT, $0-8
	XORL CX, CX
	XGETBV
	SHLQ $32, DX
	ORQ  DX, AX
	MOVQ AX, ret+0(FP)
	RET
