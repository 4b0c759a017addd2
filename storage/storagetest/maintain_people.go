package storagetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

func maintainPeopleTests() []test {
	var tests []test
	for _, kind := range expiring() {
		tests = append(tests, test{"Maintain_DropsExpired" + kind.name, func(t *testing.T, db *database) {
			maintainDrops(t, db, kind)
		}})
	}
	return append(tests,
		test{"Maintain_DropsRegisteredClientsThatWereNeverUsed", maintainUnused},
		test{"Maintain_RemembersSpentCodesForAnHour", maintainSpentCodes},
		test{"Maintain_KeepsPeopleAndTheirPasskeys", maintainKeepsPeople},
		test{"Race_Maintain_AmongPeople", raceMaintainPeople},
	)
}

// expiringKind is a kind of record that goes some time after it expired.
type expiringKind struct {
	name  string
	store func(db *database, name string, expiresAt time.Time) error
	// find is ErrNotFound when the record is gone; it asks as of the past,
	// for which nothing has expired, and may use the record up.
	find func(db *database, name string) error
}

func expiring() []expiringKind {
	return append(expiringRequests(),
		expiringKind{"Sessions", func(db *database, name string, expiresAt time.Time) error {
			s := session(name)
			s.ExpiresAt = expiresAt
			_, err := db.SignIn(db.ctx, s, [32]byte{}, [32]byte{})
			return err
		}, func(db *database, name string) error {
			_, _, err := db.Session(db.ctx, session(name).Hash, now())
			return err
		}},
		expiringKind{"Failures", func(db *database, name string, expiresAt time.Time) error {
			_, err := db.CountFailures(db.ctx, keysOf(name), expiresAt, now())
			return err
		}, func(db *database, name string) error {
			got, err := db.SignInAttempt(db.ctx, "", keysOf(name), now())
			if err == nil && got.Failures[0].Count == 0 {
				err = storage.ErrNotFound
			}
			return err
		}},
		expiringKind{"Grants", func(db *database, name string, expiresAt time.Time) error {
			i, r := interaction("for the grant "+name), redemption(name)
			r.GrantExpiresAt = expiresAt
			err := errors.Join(db.CreateInteraction(db.ctx, i), db.IssueCode(db.ctx, code(name), i.Hash))
			if err == nil {
				_, _, err = db.RedeemCode(db.ctx, r)
			}
			return err
		}, func(db *database, name string) error {
			_, err := db.Grant(db.ctx, name)
			return err
		}},
	)
}

func expiringRequests() []expiringKind {
	return []expiringKind{
		{"Interactions", func(db *database, name string, expiresAt time.Time) error {
			i := interaction(name)
			i.ExpiresAt = expiresAt
			return db.CreateInteraction(db.ctx, i)
		}, func(db *database, name string) error {
			_, err := db.Progress(db.ctx, interaction(name).Hash, [32]byte{}, now())
			return err
		}},
		{"PushedRequests", func(db *database, name string, expiresAt time.Time) error {
			p := pushed(name)
			p.ExpiresAt = expiresAt
			return db.PushRequest(db.ctx, p)
		}, func(db *database, name string) error {
			_, err := db.SpendPushedRequest(db.ctx, pushed(name).Hash, "c1", now())
			return err
		}},
		{"Codes", func(db *database, name string, expiresAt time.Time) error {
			i, c := interaction("for the code "+name), code("code "+name)
			c.ExpiresAt = expiresAt
			return errors.Join(db.CreateInteraction(db.ctx, i), db.IssueCode(db.ctx, c, i.Hash))
		}, func(db *database, name string) error {
			_, _, err := db.RedeemCode(db.ctx, redemption("code "+name))
			return err
		}},
		{"DeviceAuthorizations", func(db *database, name string, expiresAt time.Time) error {
			d := device(name)
			d.ExpiresAt = expiresAt
			return db.CreateDeviceAuthorization(db.ctx, d)
		}, func(db *database, name string) error {
			_, err := db.DeviceAuthorization(db.ctx, device(name).UserCode, now())
			return err
		}},
	}
}

func maintainDrops(t *testing.T, db *database, kind expiringKind) {
	settle(t, db)
	expires := now().Add(time.Hour)
	at := expires.Add(slack)
	for i := range 30 {
		must(t, kind.store(db, fmt.Sprint("old", i), expires))
	}
	must(t, kind.store(db, "young", expires))
	must(t, db.Maintain(db.ctx, expires.Add(-time.Microsecond), horizon))
	must(t, kind.find(db, "young"))
	must(t, db.Maintain(db.ctx, now(), horizon)) // a slow clock
	must(t, kind.store(db, "living", at.Add(time.Minute)))
	for range 2 {
		must(t, db.Maintain(db.ctx, at, horizon))
	}
	for i := range 30 {
		wantErr(t, kind.find(db, fmt.Sprint("old", i)), storage.ErrNotFound)
	}
	must(t, kind.find(db, "living"))
	wantRevocations(t, db)
}

func maintainUnused(t *testing.T, db *database) {
	settle(t, db)
	granted(t, db, "g1", func(c *storage.Code) { c.ClientID = "c2" })
	used, err := db.Client(db.ctx, "c2")
	must(t, err)
	unused, err := db.Client(db.ctx, "c1")
	must(t, err)
	must(t, db.Maintain(db.ctx, unused.ExpiresAt.Add(-time.Microsecond), horizon))
	wantClient(t, db, unused)
	must(t, db.Maintain(db.ctx, unused.ExpiresAt.Add(time.Second), horizon))
	_, err = db.Client(db.ctx, "c1")
	wantErr(t, err, storage.ErrNotFound)
	wantClient(t, db, used)
	// The same metadata may register again, under another id.
	again := client("c3")
	again.Fingerprint = unused.Fingerprint
	got, err := db.RegisterClient(db.ctx, again)
	must(t, err)
	wantEqual(t, got, again)
}

// maintainSpentCodes: a replay is recognised for an hour after the code would
// have expired, even when the grant that it became has ended as early.
func maintainSpentCodes(t *testing.T, db *database) {
	settle(t, db)
	issue(t, db, code("g1"))
	r := redemption("g1")
	r.GrantExpiresAt = code("g1").ExpiresAt
	_, _, err := db.RedeemCode(db.ctx, r)
	must(t, err)
	at := code("g1").ExpiresAt.Add(time.Hour)
	for _, d := range []time.Duration{-50 * time.Minute, -time.Minute, -time.Microsecond} {
		r.Now = at.Add(d)
		must(t, db.Maintain(db.ctx, r.Now, horizon))
		_, _, err = db.RedeemCode(db.ctx, r)
		wantErr(t, err, storage.ErrSpent)
	}
	must(t, db.Maintain(db.ctx, at.Add(slack), horizon))
	_, _, err = db.RedeemCode(db.ctx, r)
	wantErr(t, err, storage.ErrNotFound)
}

func maintainKeepsPeople(t *testing.T, db *database) {
	u := user("u1")
	u.Disabled = true
	must(t, db.CreateUser(db.ctx, u, identity("ada")))
	must(t, db.CreatePasskey(db.ctx, passkey("p1")))
	must(t, db.Maintain(db.ctx, now().Add(10000*time.Hour), horizon))
	got, err := db.UserByIdentity(db.ctx, identity("ada"))
	must(t, err)
	wantEqual(t, got, u)
	wantPasskeys(t, db, "u1", passkey("p1"))
}

// raceMaintainPeople has several stores maintain while people sign in and
// clients refresh: nobody fails, nothing alive is lost.
func raceMaintainPeople(t *testing.T, db *database) {
	const each = 4
	store := either(t, db)
	settle(t, db)
	for i := range 10 {
		must(t, storeAll(db, fmt.Sprint("old", i), now().Add(time.Microsecond)))
	}
	errs := race(8, func(i int) error {
		mine := *db
		mine.Store = store(i)
		var errs []error
		for j := range each {
			if i < 4 {
				errs = append(errs, mine.Maintain(mine.ctx, now().Add(2*time.Second), horizon))
			} else {
				errs = append(errs, storeAll(&mine, fmt.Sprint(i, "/", j), now().Add(time.Hour)))
			}
		}
		return errors.Join(errs...)
	})
	for _, err := range errs {
		must(t, err)
	}
	for i := 4; i < 8; i++ {
		for j := range each {
			wantAll(t, db, fmt.Sprint(i, "/", j))
		}
	}
}

// storeAll stores a record of each kind that expires.
func storeAll(db *database, name string, expiresAt time.Time) error {
	for _, kind := range expiring() {
		if err := kind.store(db, name, expiresAt); err != nil {
			return fmt.Errorf("%s %s: %w", kind.name, name, err)
		}
	}
	return nil
}

func wantAll(t *testing.T, db *database, name string) {
	t.Helper()
	for _, kind := range expiring() {
		must(t, kind.find(db, name))
	}
}
