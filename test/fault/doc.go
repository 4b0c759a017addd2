// Package fault proves what the pair does when what it stands on fails at the
// wrong moment, and that it recovers by itself.
package fault
