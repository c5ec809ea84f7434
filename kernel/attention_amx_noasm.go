//go:build arm64 && !noasm

package kernel

func (p *attendPiece) tiled() bool                { return false }
func (p *attendPiece) scoreTiles(_, _, _ int)     {}
func (p *attendPiece) addValuesTiles(_, _, _ int) {}
