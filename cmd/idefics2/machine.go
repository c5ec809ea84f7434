package main

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/cpu"

	"idefics2/internal/variant"
)

// machine is what doctor finds out about where it runs. Sizes are in bytes, 0 where the
// system does not say.
type machine struct {
	CPU        string    `json:"cpu"`
	Features   []string  `json:"features"`
	Cores      int       `json:"cores"`
	GOMAXPROCS int       `json:"gomaxprocs"`
	Kernels    []kernels `json:"kernels"`
	Memory     int64     `json:"memory"`
	Available  int64     `json:"available"` // without swapping, and within the limit
	Limit      int64     `json:"memory_limit,omitempty"`
	Quota      float64   `json:"cpu_limit,omitempty"` // cores' worth of time
	Cache      string    `json:"cache"`
	CacheFree  int64     `json:"cache_free"`
}

// kernels are the variants of one package.
type kernels struct {
	Package  string            `json:"package"`
	Used     []string          `json:"used"` // empty: portable Go
	Variants []variant.Variant `json:"variants"`
}

// examine fills in a machine. Cache is the folder whose disk is measured.
func examine(cache string, getenv func(string) string) machine {
	m := machine{
		CPU:        cpuName(getenv),
		Features:   features(),
		Cores:      runtime.NumCPU(),
		GOMAXPROCS: runtime.GOMAXPROCS(0),
		Kernels:    usedKernels(),
		Cache:      cache,
		CacheFree:  diskFree(existing(cache)),
	}
	m.Memory, m.Available = memory()
	var used int64
	m.Limit, used, m.Quota = cgroup("/proc/self/cgroup", "/sys/fs/cgroup")
	if m.Limit > 0 {
		m.Available = min(m.Available, max(0, m.Limit-used))
	}
	return m
}

func usedKernels() (all []kernels) {
	for _, v := range variant.List() {
		if len(all) == 0 || all[len(all)-1].Package != v.Package {
			all = append(all, kernels{Package: v.Package, Used: variant.Active(v.Package)})
		}
		k := &all[len(all)-1]
		k.Variants = append(k.Variants, v)
	}
	return all
}

// features lists the instruction sets that kernels are, or will be, written for.
func features() (names []string) {
	for _, f := range []struct {
		name string
		has  bool
	}{
		{"avx", cpu.X86.HasAVX}, {"avx2", cpu.X86.HasAVX2}, {"fma", cpu.X86.HasFMA}, {"bmi2", cpu.X86.HasBMI2},
		{"avx512f", cpu.X86.HasAVX512F}, {"avx512bw", cpu.X86.HasAVX512BW}, {"avx512vnni", cpu.X86.HasAVX512VNNI},
		{"avx512bf16", cpu.X86.HasAVX512BF16}, {"amx-tile", cpu.X86.HasAMXTile}, {"amx-int8", cpu.X86.HasAMXInt8},
		{"amx-bf16", cpu.X86.HasAMXBF16},
		{"neon", cpu.ARM64.HasASIMD}, {"dotprod", cpu.ARM64.HasASIMDDP}, {"fp16", cpu.ARM64.HasASIMDHP}, {"sve", cpu.ARM64.HasSVE},
	} {
		if f.has {
			names = append(names, f.name)
		}
	}
	return names
}

// existing returns the nearest folder at or above path that is there.
func existing(path string) string {
	for {
		if _, err := os.Stat(path); err == nil {
			return path
		}
		up := filepath.Dir(path)
		if up == path {
			return path
		}
		path = up
	}
}

// cgroup returns the limits that a container puts on this process, as cgroups of
// version 2 tell them (docs.kernel.org/admin-guide/cgroup-v2.html), the smallest from
// its own group to the root; and how much of the memory is used. 0: no limit.
func cgroup(self, root string) (limit, used int64, quota float64) {
	text, err := os.ReadFile(self)
	if err != nil {
		return 0, 0, 0
	}
	path := "/"
	for line := range strings.Lines(string(text)) {
		if p, ok := strings.CutPrefix(strings.TrimSpace(line), "0::"); ok {
			path = p
		}
	}
	for dir := filepath.Clean("/" + path); ; dir = filepath.Dir(dir) {
		at := filepath.Join(root, dir)
		if n, ok := readNumber(filepath.Join(at, "memory.max")); ok && (limit == 0 || n < limit) {
			limit = n
			used, _ = readNumber(filepath.Join(at, "memory.current"))
			if file, ok := readStat(filepath.Join(at, "memory.stat"), "inactive_file"); ok {
				used = max(0, used-file) // given back when it is needed
			}
		}
		if b, err := os.ReadFile(filepath.Join(at, "cpu.max")); err == nil {
			if f := strings.Fields(string(b)); len(f) == 2 {
				time, err1 := strconv.ParseFloat(f[0], 64)
				period, err2 := strconv.ParseFloat(f[1], 64)
				if err1 == nil && err2 == nil && period > 0 && (quota == 0 || time/period < quota) {
					quota = time / period
				}
			}
		}
		if dir == "/" {
			return limit, used, quota
		}
	}
}

func readNumber(path string) (int64, bool) {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	return n, err == nil
}

// readStat returns the number after key in a file of "key number" lines.
func readStat(path, key string) (int64, bool) {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) >= 2 && strings.TrimSuffix(f[0], ":") == key {
			n, err := strconv.ParseInt(f[1], 10, 64)
			return n, err == nil
		}
	}
	return 0, false
}
