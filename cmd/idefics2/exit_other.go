//go:build !linux

package main

// letGo is needed on Linux only.
func letGo() {}
