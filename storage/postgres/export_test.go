package postgres

import "time"

// SetProbe lets tests see Listen ask after a silent connection; call it before
// Listen.
func (s *Store) SetProbe(d time.Duration) { s.probe = d }
