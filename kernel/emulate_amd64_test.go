//go:build !noasm

package kernel

import (
	"os"
	"strings"

	"idefics2/internal/variant"
)

// Under bench/emulate instructions work that this CPU lacks, which IDEFICS2_EMULATED names.
func init() {
	for name := range strings.SplitSeq(os.Getenv("IDEFICS2_EMULATED"), ",") {
		for _, v := range []struct {
			name string
			use  *bool
		}{{"avxvnni", &useAVXVNNI}, {"avx512", &useAVX512}, {"vnni", &useVNNI}, {"amx", &useAMX}} {
			if v.name == name && !*v.use {
				*v.use = true
				variant.Register("kernel", name, v.use)
			}
		}
	}
}
