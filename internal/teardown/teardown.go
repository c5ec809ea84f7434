// Package teardown lets a process that has gigabytes mapped end at once. The kernel tells
// a parent of the end only when the page tables are taken down, which for the weights of
// the released model takes longer than a person should wait after Ctrl-C.
package teardown
