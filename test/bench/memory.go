package main

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// runtimeFloor is the least heap goal at GOGC=100; it grows with GOGC.
const runtimeFloor = 4 << 20

// holdHeap gives this process, hence both sides of every figure, the heap floor
// of the binary: the next goal is floor or twice the live heap, whichever is
// more, decided anew after each collection.
func holdHeap(floor uint64) {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	percent := floor * 100 / runtimeFloor
	if live := sample[0].Value.Uint64(); live > 0 {
		percent = min(percent, max(floor*100/live, 200)-100)
	}
	debug.SetGCPercent(int(percent)) // bounded by floor/runtimeFloor
	runtime.AddCleanup(new([64]byte), holdHeap, floor)
}
