package main

import (
	"errors"
	"os"
	"path/filepath"
	"runtime/pprof"
)

// profile writes name.cpu.pprof, of the time that do takes, and
// name.allocs.pprof, of all allocations up to its end.
func (b *bench) profile(name string, do func() error) error {
	if err := os.MkdirAll(b.options.profile, 0o755); err != nil {
		return err
	}
	at := filepath.Join(b.options.profile, name)
	cpu, err := os.Create(at + ".cpu.pprof")
	if err != nil {
		return err
	}
	err = pprof.StartCPUProfile(cpu)
	if err == nil {
		err = do()
		pprof.StopCPUProfile()
	}
	if err := errors.Join(err, cpu.Close()); err != nil {
		return err
	}
	allocs, err := os.Create(at + ".allocs.pprof")
	if err != nil {
		return err
	}
	return errors.Join(pprof.Lookup("allocs").WriteTo(allocs, 0), allocs.Close())
}
