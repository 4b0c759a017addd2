// Package arch holds the rules of the house: which room may import which,
// which modules may be depended on and where, how long files and functions may
// be, what a package may be called, and that no package keeps mutable state.
//
// A rule reads the module's source and `go list` and names what breaks it; it
// never changes anything and judges no style that a linter can judge. The
// archives in testdata are small broken modules, one or more for each rule, that
// show every rule failing.
package arch
