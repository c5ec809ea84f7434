package variant

import (
	"fmt"
	"path"
	"slices"
	"testing"
)

// fresh empties the registry for one test.
func fresh(t *testing.T, env string, set bool) {
	savedEntries, savedAllowed := entries, allowed
	t.Cleanup(func() { entries, allowed = savedEntries, savedAllowed })
	entries, allowed = nil, parse(env, set)
}

func TestEnvironment(t *testing.T) {
	tests := []struct {
		name string
		env  string
		set  bool
		want []string // of avx2 and avx512, which the CPU has, and amx, which it has not
	}{
		{"unset allows what there is", "", false, []string{"avx2", "avx512"}},
		{"generic allows none", "generic", true, nil},
		{"empty allows none", "", true, nil},
		{"one level", "generic,avx2", true, []string{"avx2"}},
		{"spaces", " avx512 , avx2", true, []string{"avx2", "avx512"}},
		{"cannot conjure what the CPU lacks", "amx", true, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			fresh(t, tt.env, tt.set)
			avx2, avx512, amx := true, true, false
			Register("p", "avx2", &avx2)
			Register("p", "avx512", &avx512)
			Register("p", "amx", &amx)
			if got := Active("p"); !slices.Equal(got, tt.want) {
				t.Errorf("Active = %q, want %q", got, tt.want)
			}
			if got := slices.Contains(tt.want, "avx2"); avx2 != got || amx {
				t.Errorf("flags avx2=%v amx=%v", avx2, amx)
			}
			for _, v := range List() {
				if v.Present != (v.Name != "amx") || v.Used != slices.Contains(tt.want, v.Name) {
					t.Errorf("List holds %+v", v)
				}
			}
		})
	}
}

func TestRunWalksTheLevelsDown(t *testing.T) {
	fresh(t, "", false)
	low, high, other, absent := true, true, true, false
	Register("p", "low", &low)
	Register("p", "high", &high)
	Register("p", "absent", &absent)
	Register("q", "other", &other)
	var seen []string
	Run(t, "p", func(t *testing.T) {
		seen = append(seen, fmt.Sprintf("%s low=%v high=%v absent=%v other=%v", path.Base(t.Name()), low, high, absent, other))
	})
	want := []string{
		"high low=true high=true absent=false other=true",
		"low low=true high=false absent=false other=true",
		"generic low=false high=false absent=false other=true",
	}
	if !slices.Equal(seen, want) {
		t.Errorf("runs:\n%q, want\n%q", seen, want)
	}
	if !low || !high || absent {
		t.Errorf("flags afterwards: low=%v high=%v absent=%v", low, high, absent)
	}
}

func ExampleActive() {
	hasAVX2 := false // cpu.X86.HasAVX2 && cpu.X86.HasFMA in a real package
	Register("example", "avx2", &hasAVX2)
	fmt.Println(len(Active("example")))
	// Output: 0
}
