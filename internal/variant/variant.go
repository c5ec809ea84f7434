// Package variant knows which variants of a kernel this CPU has, and lets a person or a
// test choose among them.
//
// A package registers its variants from init, the plainest first. A variant is a flag:
// the package's dispatch looks at the flags, and with all of them false it runs portable
// Go, which is always there and has no name here but "generic". Built with the tag noasm,
// nothing registers.
//
// The environment variable IDEFICS2_KERNELS, read once at start, holds the names that may be
// used, separated by commas: "generic" alone forces portable Go, "generic,avx2" holds an
// AVX-512 machine to AVX2. Unset, everything the CPU has is used.
package variant

import (
	"os"
	"slices"
	"strings"
)

// Variant is one registered variant.
type Variant struct {
	Package, Name string
	Present       bool // this CPU has it
	Used          bool // present, and allowed by IDEFICS2_KERNELS
}

// entry is a variant and the flag by which its package asks whether to use it.
type entry struct {
	Variant
	use *bool
}

var (
	entries []entry
	allowed = parse(os.LookupEnv("IDEFICS2_KERNELS"))
)

// Register names a variant. On entry *use tells whether the CPU has it; Register makes it
// false when the environment forbids it. It is called from init, lower levels first: a
// level is tested together with all the levels before it.
func Register(pkg, name string, use *bool) {
	e := entry{Variant{pkg, name, *use, *use && allowed(name)}, use}
	*use = e.Used
	entries = append(entries, e)
}

// parse returns the test of names that the environment variable's value asks for.
func parse(value string, set bool) func(name string) bool {
	if !set {
		return func(string) bool { return true }
	}
	var names []string
	for name := range strings.SplitSeq(value, ",") {
		names = append(names, strings.TrimSpace(name))
	}
	return func(name string) bool { return slices.Contains(names, name) }
}

// List returns every registered variant in the order of registration, for a report on
// the machine.
func List() []Variant {
	all := make([]Variant, len(entries))
	for i, e := range entries {
		all[i] = e.Variant
	}
	return all
}

// Active returns the names of the variants of pkg that are in use, lowest first; none
// means portable Go.
func Active(pkg string) []string {
	var names []string
	for _, e := range entries {
		if e.Package == pkg && *e.use {
			names = append(names, e.Name)
		}
	}
	return names
}

// Run calls f in a subtest of t for each level of pkg's variants that this CPU has and the
// environment allows, from the highest down, and then in one named "generic" with none. T
// is *testing.T or *testing.B, whose package a program need not carry. Such tests must not
// run in parallel, for the flags are the package's own.
func Run[T interface {
	Run(name string, f func(T)) bool
}](t T, pkg string, f func(T)) {
	var level []entry
	for _, e := range entries {
		if e.Package == pkg && e.Used {
			level = append(level, e)
		}
	}
	defer func() {
		for _, e := range level {
			*e.use = true
		}
	}()
	for i := len(level) - 1; i >= 0; i-- {
		t.Run(level[i].Name, f)
		*level[i].use = false
	}
	t.Run("generic", f)
}
