package sections

import "golang.org/x/sys/windows"

// FreeSpace returns the bytes that may be written in dir, and false where that is not known.
func FreeSpace(dir string) (uint64, bool) {
	path, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return 0, false
	}
	var free uint64
	if windows.GetDiskFreeSpaceEx(path, &free, nil, nil) != nil {
		return 0, false
	}
	return free, true
}
