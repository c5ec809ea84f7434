package imageproc

//go:generate go -C _asm run . -group resize -out ../resize_amd64.s -stubs ../resize_stub_amd64.go -pkg imageproc
