package kernel

//go:generate go -C _asm run . -group dot -out ../dot_amd64.s -stubs ../dot_stub_amd64.go -pkg kernel
//go:generate go -C _asm run . -group widen -out ../widen_amd64.s -stubs ../widen_stub_amd64.go -pkg kernel
//go:generate go -C _asm run . -group attention -out ../attention_amd64.s -stubs ../attention_stub_amd64.go -pkg kernel
//go:generate go -C _asm run . -group softmax -out ../softmax_amd64.s -stubs ../softmax_stub_amd64.go -pkg kernel
//go:generate go -C _asm run . -group activation -out ../activation_amd64.s -stubs ../activation_stub_amd64.go -pkg kernel
//go:generate go -C _asm run . -group norm -out ../norm_amd64.s -stubs ../norm_stub_amd64.go -pkg kernel
//go:generate go -C _asm run . -group add -out ../add_amd64.s -stubs ../add_stub_amd64.go -pkg kernel
//go:generate go -C _asm run . -group peak -out ../peak_amd64.s -stubs ../peak_stub_amd64.go -pkg kernel
