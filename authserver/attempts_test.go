package authserver_test

import (
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-mcp/gatehouse/authserver"
)

// wantSlow checks that a try was not judged, and how long to wait.
func wantSlow(t *testing.T, a answer, wait time.Duration) {
	t.Helper()
	wantPage(t, a, http.StatusTooManyRequests, "too many attempts", "Try again in")
	if got := a.Header().Get("Retry-After"); got != strconv.Itoa(int(wait.Seconds())) {
		t.Errorf("Retry-After %s, want %s", got, wait)
	}
}

func TestLogin_GuessingGetsSlowAndTheOwnerDoesNot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.owner("ada")
		owner := w.browser()
		wantAt(t, owner.try("ada", goodPassword), "/account")
		guess := func() answer { // another browser at another address each time
			v := w.browser()
			v.address = fmt.Sprintf("198.51.100.%d:1", w.server.PasswordsHashed()%250)
			return v.try("ada", "wrong password")
		}
		for range 5 {
			wantPage(t, guess(), http.StatusUnprocessableEntity)
		}
		wait := 2 * time.Second
		for range 4 {
			hashed := w.server.PasswordsHashed()
			wantSlow(t, guess(), wait)
			if w.server.PasswordsHashed() != hashed {
				t.Error("a try that must wait was judged")
			}
			stranger := w.browser()
			stranger.address = "192.0.2.200:1"
			wantSlow(t, stranger.try("ada", goodPassword), wait) // even the right one
			<-time.After(wait)
			wantPage(t, guess(), http.StatusUnprocessableEntity, "Try again in")
			wait *= 2
		}
		wantAt(t, owner.try("ada", goodPassword), "/account") // notices nothing
		other := w.browser()
		other.address = "192.0.2.201:1"
		w.owner("bob")
		wantAt(t, other.try("bob", goodPassword), "/account") // nor does anybody else
		// The cookie that tells the owner is good in his browser only.
		thief := w.browser()
		thief.get("/login")
		thief.cookies["__Host-gatehouse-known"] = owner.cookies["__Host-gatehouse-known"]
		wantSlow(t, thief.try("ada", "wrong password"), 32*time.Second)
	})
}

func TestLogin_TheOwnersBrowserCountsForItself(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.owner("ada")
		owner := w.browser()
		owner.try("ada", goodPassword)
		for range 5 {
			wantPage(t, owner.try("ada", "wrong password"), http.StatusUnprocessableEntity)
		}
		wantSlow(t, owner.try("ada", goodPassword), 2*time.Second)
		<-time.After(2 * time.Second)
		wantAt(t, owner.try("ada", goodPassword), "/account")
		for range 5 { // forgotten
			wantPage(t, owner.try("ada", "wrong password"), http.StatusUnprocessableEntity)
		}
	})
}

func TestLogin_OneAddressTriesManyAccounts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.owner("ada")
		v := w.browser()
		v.address = "[2001:db8:0:1::1]:1"
		for i := range 30 {
			wantPage(t, v.try(fmt.Sprintf("user%d", i), "wrong password"), http.StatusUnprocessableEntity)
			v.address = fmt.Sprintf("[2001:db8:0:1::%x]:1", i+2) // one subscriber's network
		}
		wantSlow(t, v.try("ada", goodPassword), 2*time.Second)
		v.address = "[2001:db8:0:2::1]:1"
		wantAt(t, v.try("ada", goodPassword), "/account")
	})
}

func TestLogin_ParallelGuessesCountBeforeTheyAreJudged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.owner("ada")
	var guessing sync.WaitGroup
	codes := make(chan int, 60)
	for i := range 60 {
		guessing.Go(func() {
			v := w.browser()
			v.address = fmt.Sprintf("198.51.100.%d:1", i)
			codes <- v.try("ada", "wrong password").Code
		})
	}
	guessing.Wait()
	close(codes)
	judged := 0
	for code := range codes {
		switch code {
		case http.StatusUnprocessableEntity:
			judged++
		case http.StatusTooManyRequests:
		default:
			t.Errorf("status %d", code)
		}
	}
	if hashed := w.server.PasswordsHashed(); judged == 0 || judged > 5 || hashed != uint64(judged) {
		t.Errorf("%d guesses were judged, %d hashed", judged, hashed)
	}
}

func TestLogin_WaitsDoubleUpToAQuarterOfAnHour(t *testing.T) {
	t.Parallel()
	for failures, want := range map[int]time.Duration{
		0: 0, 4: 0, 5: 2 * time.Second, 6: 4 * time.Second, 13: 512 * time.Second, 14: 15 * time.Minute, 1 << 30: 15 * time.Minute,
	} {
		if got := authserver.WaitAfter(failures, 5); got != want {
			t.Errorf("after %d failures %s, want %s", failures, got, want)
		}
	}
}
