package storagetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

func closeTests() []test {
	return []test{
		{"Close_ThenEveryCallIsErrUnavailable", closeThenCalls},
		{"Close_EndsListen", closeEndsListen},
		{"Close_WaitsForRunningCalls", closeWaits},
		{"Close_MayBeRepeated", closeTwice},
	}
}

func closeThenCalls(t *testing.T, db *database) {
	furnish(t, db)
	other, shared := db.second(t)
	must(t, db.Close())
	for _, call := range calls() {
		if err := call.run(db.ctx, db); !errors.Is(err, storage.ErrUnavailable) {
			t.Errorf("%s: error is %v, want ErrUnavailable", call.name, err)
		}
	}
	wantErr(t, db.Listen(db.ctx, func() {}), storage.ErrUnavailable)
	if shared {
		wantFurniture(t, &database{Store: other, ctx: db.ctx})
	}
}

func closeEndsListen(t *testing.T, db *database) {
	l := listen(t, db, db)
	l.wait(t, "start")
	must(t, db.Close())
	wantErr(t, l.end(t), storage.ErrUnavailable)
}

// closeWaits closes a store in the middle of writing: what was answered with
// nil is there, everything else is ErrUnavailable.
func closeWaits(t *testing.T, db *database) {
	other, shared := db.second(t)
	answered := make([][]storage.AccessToken, racers)
	begun := make(chan struct{}, racers)
	closed := make(chan error, 1)
	go func() {
		for range racers {
			<-begun
		}
		closed <- db.Close()
	}()
	errs := race(racers, func(i int) error {
		for j := 0; ; j++ {
			tok := accessToken(fmt.Sprint(i, "/", j))
			if err := db.CreateAccessToken(db.ctx, tok); err != nil {
				return err
			}
			answered[i] = append(answered[i], tok)
			if j == 0 {
				begun <- struct{}{}
			}
		}
	})
	for _, err := range errs {
		wantErr(t, err, storage.ErrUnavailable)
	}
	select {
	case err := <-closed:
		must(t, err)
	case <-time.After(patience):
		t.Fatal("Close did not return")
	}
	if !shared {
		return
	}
	for _, tokens := range answered {
		for _, tok := range tokens {
			wantToken(t, other, db, tok)
		}
	}
}

func closeTwice(t *testing.T, db *database) {
	must(t, db.Close())
	must(t, db.Close())
}
