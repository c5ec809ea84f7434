//go:build noasm || !(amd64 || arm64)

package kernel

func (p *attendPiece) score(q0, q1, k0 int) { p.scoreGeneric(q0, q1, k0) }

func (p *attendPiece) addValues(q0, q1, k0 int) { p.addValuesGeneric(q0, q1, k0) }
