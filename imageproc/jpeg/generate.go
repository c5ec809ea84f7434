package jpeg

//go:generate go -C ../_asm run . -group idct -out ../jpeg/idct_amd64.s -stubs ../jpeg/idct_stub_amd64.go -pkg jpeg
//go:generate go -C ../_asm run . -group upsample -out ../jpeg/upsample_amd64.s -stubs ../jpeg/upsample_stub_amd64.go -pkg jpeg
//go:generate go -C ../_asm run . -group color -out ../jpeg/color_amd64.s -stubs ../jpeg/color_stub_amd64.go -pkg jpeg
