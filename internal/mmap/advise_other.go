//go:build !unix

package mmap

func willNeed([]byte) {}
