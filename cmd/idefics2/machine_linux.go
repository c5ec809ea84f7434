package main

import (
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

func cpuName(func(string) string) string {
	b, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "unknown"
	}
	for line := range strings.Lines(string(b)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown" // arm64 kernels say numbers only
}

// memory returns what the machine has and what can be had without swapping.
func memory() (total, available int64) {
	total, _ = readStat("/proc/meminfo", "MemTotal")
	available, _ = readStat("/proc/meminfo", "MemAvailable")
	return total << 10, available << 10
}

func diskFree(dir string) int64 {
	var s unix.Statfs_t
	if unix.Statfs(dir, &s) != nil {
		return 0
	}
	return int64(s.Bavail) * int64(s.Bsize)
}
