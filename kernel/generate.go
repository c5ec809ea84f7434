package kernel

//go:generate go -C _asm run . -group dot -out ../dot_amd64.s -stubs ../dot_stub_amd64.go -pkg kernel
//go:generate go -C _asm run . -group tile -out ../tile_amd64.s -stubs ../tile_stub_amd64.go -pkg kernel
//go:generate go -C _asm run . -group pack -out ../pack_amd64.s -stubs ../pack_stub_amd64.go -pkg kernel
//go:generate go -C _asm run . -group softmax -out ../softmax_amd64.s -stubs ../softmax_stub_amd64.go -pkg kernel
//go:generate go -C _asm run . -group activation -out ../activation_amd64.s -stubs ../activation_stub_amd64.go -pkg kernel
//go:generate go -C _asm run . -group backward -out ../backward_amd64.s -stubs ../backward_stub_amd64.go -pkg kernel
//go:generate go -C _asm run . -group norm -out ../norm_amd64.s -stubs ../norm_stub_amd64.go -pkg kernel
//go:generate go -C _asm run . -group add -out ../add_amd64.s -stubs ../add_stub_amd64.go -pkg kernel
//go:generate go -C _asm run . -group peak -out ../peak_amd64.s -stubs ../peak_stub_amd64.go -pkg kernel
//go:generate go -C _asm run . -group peak512 -out ../peak_avx512_amd64.s -stubs ../peak_avx512_stub_amd64.go -pkg kernel
//go:generate go -C _asm run . -group qtile -out ../qtile_amd64.s -stubs ../qtile_stub_amd64.go -pkg kernel
//go:generate go -C _asm run . -group qtilevnni -out ../qtile_vnni_amd64.s -stubs ../qtile_vnni_stub_amd64.go -pkg kernel
//go:generate go -C _asm run . -group qtilevnni512 -out ../qtile_vnni512_amd64.s -stubs ../qtile_vnni512_stub_amd64.go -pkg kernel
//go:generate go -C _asm run . -group qtileavxvnni -out ../qtile_avxvnni_amd64.s -stubs ../qtile_avxvnni_stub_amd64.go -pkg kernel
//go:generate go -C _asm run . -group qpack -out ../qpack_amd64.s -stubs ../qpack_stub_amd64.go -pkg kernel
//go:generate go -C _asm run . -group qdot -out ../qdot_amd64.s -stubs ../qdot_stub_amd64.go -pkg kernel
//go:generate go -C _asm run . -group exp -out ../exp_amd64.s -stubs ../exp_stub_amd64.go -pkg kernel
//go:generate go -C _asm run . -group tile512 -out ../tile_avx512_amd64.s -stubs ../tile_avx512_stub_amd64.go -pkg kernel
//go:generate go -C _asm run . -group vector512 -out ../vector_avx512_amd64.s -stubs ../vector_avx512_stub_amd64.go -pkg kernel
//go:generate go -C _asm run . -group amx -out ../amx_avx2_amd64.s -stubs ../amx_avx2_stub_amd64.go -pkg kernel
//go:generate go -C _asm run . -group amxint8 -out ../amx_unroll_amd64.s -stubs ../amx_unroll_stub_amd64.go -pkg kernel
//go:generate go -C _asm run . -group widen -out ../widen_amd64.s -stubs ../widen_stub_amd64.go -pkg kernel
//go:generate go -C _asm run . -group codes -out ../codes_amd64.s -stubs ../codes_stub_amd64.go -pkg kernel
//go:generate go -C _asm run ./neon -group dot -out ../dot_arm64.s -stubs ../dot_stub_arm64.go
//go:generate go -C _asm run ./neon -group pack -out ../pack_arm64.s -stubs ../pack_stub_arm64.go
//go:generate go -C _asm run ./neon -group peak -out ../peak_arm64.s -stubs ../peak_stub_arm64.go
//go:generate go -C _asm run ./neon -group qdot -out ../qdot_arm64.s -stubs ../qdot_stub_arm64.go
//go:generate go -C _asm run ./neon -group tile -out ../tile_arm64.s -stubs ../tile_stub_arm64.go
//go:generate go -C _asm run ./neon -group vector -out ../vector_arm64.s -stubs ../vector_stub_arm64.go
