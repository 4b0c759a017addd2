package storagetest

import "testing"

func statsTests() []test {
	return []test{
		{"Stats/TellOfConnections", func(t *testing.T, db *database) {
			if err := db.Ready(db.ctx); err != nil {
				t.Fatal(err)
			}
			if s := db.Stats(); s.Open < 1 || s.Max < s.Open || s.InUse > s.Open || s.Waits < 0 || s.WaitDuration < 0 {
				t.Errorf("after a call: %+v", s)
			}
		}},
	}
}
