package idefics2

import (
	"unsafe"

	"golang.org/x/sys/windows"
)

var processMemoryInfo = windows.NewLazySystemDLL("kernel32.dll").NewProc("K32GetProcessMemoryInfo")

// PeakMemory returns the largest working set that the process had, in bytes.
func PeakMemory() uint64 {
	// PROCESS_MEMORY_COUNTERS of psapi.h
	var c struct {
		size, pageFaults                                                   uint32
		peakWorkingSet, workingSet, quotaPeakPaged, quotaPaged             uintptr
		quotaPeakNonPaged, quotaNonPaged, pagefileUsage, peakPagefileUsage uintptr
	}
	c.size = uint32(unsafe.Sizeof(c))
	if ok, _, _ := processMemoryInfo.Call(uintptr(windows.CurrentProcess()), uintptr(unsafe.Pointer(&c)), uintptr(c.size)); ok == 0 {
		return 0
	}
	return uint64(c.peakWorkingSet)
}
