// Command bench measures Gatehouse against its own limits, in one run and on
// the same cores: a figure is how it does, a limit is a server that does the
// unavoidable part of the same work and nothing else. What counts is the ratio
// of the two, taken in turn (A B A B …), because absolute figures of a shared
// machine drift. See usage in main.go for the figures and how to read them.
//
// It owns no judgement about correctness: every answer is checked to be the
// right one, but what is right is proven elsewhere. It compares with no other
// product, and no figure of it ever fails a test.
package main
