// Package storagetest is the one suite that every engine of package storage
// passes: the contract sentence by sentence, the races with exactly one
// winner, the event log as a follower sees it, and what an engine does when it
// is cancelled or closed.
//
// An engine's whole contract test is a constructor and a call of [Run]. What
// only one engine can show (an old schema, a killed process, a lost
// connection) is tested beside that engine.
//
// The suite lives in its own time: every "now" is a date it chooses, so an
// engine that asks the clock fails it.
package storagetest
