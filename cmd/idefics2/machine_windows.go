package main

import (
	"unsafe"

	"golang.org/x/sys/windows"
)

func cpuName(getenv func(string) string) string {
	if name := getenv("PROCESSOR_IDENTIFIER"); name != "" {
		return name
	}
	return "unknown"
}

// memoryStatus is MEMORYSTATUSEX of the Windows API.
type memoryStatus struct {
	length, load                                                      uint32
	total, available, totalPage, availablePage, virtual, availVirtual uint64
	availExtended                                                     uint64
}

func memory() (total, available int64) {
	var s memoryStatus
	s.length = uint32(unsafe.Sizeof(s))
	call := windows.NewLazySystemDLL("kernel32.dll").NewProc("GlobalMemoryStatusEx")
	if ok, _, _ := call.Call(uintptr(unsafe.Pointer(&s))); ok == 0 {
		return 0, 0
	}
	return int64(s.total), int64(s.available)
}

func diskFree(dir string) int64 {
	path, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return 0
	}
	var free uint64
	if windows.GetDiskFreeSpaceEx(path, &free, nil, nil) != nil {
		return 0
	}
	return int64(free)
}
