// Package guard places memory beside memory that may not be touched, as the last tensor of
// a mapped file lies: reading or writing one byte too far is a fault. It is for tests.
package guard
