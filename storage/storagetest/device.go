package storagetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

// device returns a device's request with every field set, for client c1, as a
// store returns it.
func device(name string) storage.DeviceAuthorization {
	return storage.DeviceAuthorization{
		DeviceCode: hash("device code " + name), UserCode: hash("user code " + name), ClientID: "c1",
		Scopes: []string{"mcp:write", "mcp:read"}, Resource: "http://localhost:3001/mcp",
		Audience: "http://LOCALHOST:3001/mcp", TokenFormat: storage.FormatOpaque, Device: "television", Refresh: true,
		Interval: 5 * time.Second, CreatedAt: now(), ExpiresAt: now().Add(10 * time.Minute),
	}
}

// approval returns user u1's consent to a part of what device(name) asks for.
func approval(name string) storage.DeviceDecision {
	return storage.DeviceDecision{
		UserCode: device(name).UserCode, Approved: true, GrantID: name, UserID: "u1", Scopes: []string{"mcp:read"},
		AuthTime: now().Add(-time.Minute), Methods: []string{"pwd", "otp"}, ClientDigest: bytesOf(hash("digest of c1")),
	}
}

// poll returns device(name) asking d after it began.
func poll(name string, d time.Duration) storage.DevicePoll {
	return storage.DevicePoll{
		DeviceCode: device(name).DeviceCode, ClientID: "c1", Secret: hash("secret of " + name),
		GrantExpiresAt: now().Add(30 * 24 * time.Hour), AccessToken: token("of device "+name, now()), Now: now().Add(d),
	}
}

// grantByDevice is the grant that p makes of an approved request.
func grantByDevice(d storage.DeviceAuthorization, decided storage.DeviceDecision, p storage.DevicePoll) storage.Grant {
	g := storage.Grant{
		ID: decided.GrantID, ClientID: d.ClientID, UserID: decided.UserID,
		Scopes: slices.Clone(decided.Scopes), Resource: d.Resource, Audience: d.Audience, TokenFormat: d.TokenFormat,
		AuthTime: decided.AuthTime, Methods: slices.Clone(decided.Methods), ClientDigest: slices.Clone(decided.ClientDigest),
		Device: d.Device, Refresh: d.Refresh, RotatedAt: p.Now, Secret: p.Secret,
		CreatedAt: p.Now, LastUsedAt: p.Now, ExpiresAt: p.GrantExpiresAt,
	}
	if d.Refresh {
		g.Generation = 1
	}
	return g
}

func deviceTests() []test {
	return []test{
		{"CreateDeviceAuthorization_KeepsEveryField", createDeviceKeeps},
		{"CreateDeviceAuthorization_ErrExistsWhileACodeIsTaken", createDeviceExists},
		{"CreateDeviceAuthorization_ACodeIsFreeOnceItExpired", createDeviceExpired},
		{"CreateDeviceAuthorization_KeepsNothingOfTheCaller", createDeviceKeepsNothing},
		{"CreateDeviceAuthorization_TextComesBackAsItWas", createDeviceText},
		{"DeviceAuthorization_ErrNotFound", deviceNotFound},
		{"DeviceAuthorization_ErrSpentOnceDecided", deviceSpent},
		{"DecideDevice_RemovesTheInteraction", decideDevice},
		{"DecideDevice_ErrSpent", decideDeviceSpent},
		{"DecideDevice_ErrSpentWhenExpired", decideDeviceExpired},
		{"DecideDevice_KeepsNothingOfTheCaller", decideDeviceKeepsNothing},
		{"Race_CreateDeviceAuthorization_OneWinnerPerUserCode", raceCreateDevice},
		{"Race_DecideDevice_OneDecision", raceDecideDevice},
	}
}

func startDevice(t *testing.T, db *database, requests ...storage.DeviceAuthorization) {
	t.Helper()
	for _, d := range requests {
		must(t, db.CreateDeviceAuthorization(db.ctx, d))
	}
}

// decide records decisions, each in an interaction of its own.
func decide(t *testing.T, db *database, decisions ...storage.DeviceDecision) {
	t.Helper()
	for _, d := range decisions {
		i := interaction(fmt.Sprintf("for %x", d.UserCode))
		i.UserCode = d.UserCode
		begin(t, db, i)
		must(t, db.DecideDevice(db.ctx, d, i.Hash, now()))
	}
}

func wantDevice(t *testing.T, db *database, want storage.DeviceAuthorization) {
	t.Helper()
	got, err := db.DeviceAuthorization(db.ctx, want.UserCode, now())
	must(t, err)
	wantEqual(t, got, want)
}

func createDeviceKeeps(t *testing.T, db *database) {
	other, _ := db.second(t)
	zone := time.FixedZone("east", 60*60)
	given := device("d1")
	given.CreatedAt, given.ExpiresAt = given.CreatedAt.Add(999).In(zone), given.ExpiresAt.Add(1).In(zone)
	startDevice(t, db, given, device("d2"))
	wantDevice(t, db, device("d1"))
	got, err := other.DeviceAuthorization(db.ctx, device("d2").UserCode, now())
	must(t, err)
	wantEqual(t, got, device("d2"))
}

func createDeviceExists(t *testing.T, db *database) {
	settle(t, db)
	startDevice(t, db, device("d1"), device("decided"))
	decide(t, db, approval("decided"))
	for _, taken := range []string{"d1", "decided"} {
		for _, at := range []time.Time{now(), device("").ExpiresAt.Add(-time.Microsecond)} {
			byUser, byDevice := device("u"), device("v")
			byUser.UserCode, byDevice.DeviceCode = device(taken).UserCode, device(taken).DeviceCode
			byUser.CreatedAt, byDevice.CreatedAt = at, at
			wantErr(t, db.CreateDeviceAuthorization(db.ctx, byUser), storage.ErrExists)
			wantErr(t, db.CreateDeviceAuthorization(db.ctx, byDevice), storage.ErrExists)
		}
	}
	wantDevice(t, db, device("d1"))
	_, err := db.DeviceAuthorization(db.ctx, device("v").UserCode, now())
	wantErr(t, err, storage.ErrNotFound)
	_, _, err = db.PollDevice(db.ctx, poll("u", time.Second))
	wantErr(t, err, storage.ErrNotFound)
}

func createDeviceExpired(t *testing.T, db *database) {
	settle(t, db)
	startDevice(t, db, device("d1"), device("d2"))
	decide(t, db, approval("d2"))
	for i, name := range []string{"d1", "d2"} {
		again := device(fmt.Sprint("again ", i))
		again.UserCode = device(name).UserCode
		again.CreatedAt, again.ExpiresAt = device("").ExpiresAt, device("").ExpiresAt.Add(time.Minute)
		startDevice(t, db, again)
		got, err := db.DeviceAuthorization(db.ctx, again.UserCode, again.CreatedAt)
		must(t, err)
		wantEqual(t, got, again)
	}
}

func createDeviceKeepsNothing(t *testing.T, db *database) {
	d := device("d1")
	startDevice(t, db, d)
	clear(d.Scopes)
	wantDevice(t, db, device("d1"))
	got, err := db.DeviceAuthorization(db.ctx, d.UserCode, now())
	must(t, err)
	clear(got.Scopes)
	wantDevice(t, db, device("d1"))
}

func createDeviceText(t *testing.T, db *database) {
	for i, text := range awkward() {
		d := device(fmt.Sprint(i))
		d.ClientID, d.Resource, d.Audience, d.Device, d.Scopes = text, text, text, text, awkward()
		startDevice(t, db, d)
		wantDevice(t, db, d)
	}
	bare := device("bare")
	bare.Scopes = []string{}
	startDevice(t, db, bare)
	bare.Scopes = nil
	wantDevice(t, db, bare)
}

func deviceNotFound(t *testing.T, db *database) {
	d := device("d1")
	startDevice(t, db, d)
	for _, code := range [][32]byte{device("d2").UserCode, d.DeviceCode, {}} {
		_, err := db.DeviceAuthorization(db.ctx, code, now())
		wantErr(t, err, storage.ErrNotFound)
	}
	_, err := db.DeviceAuthorization(db.ctx, d.UserCode, d.ExpiresAt.Add(-time.Microsecond))
	must(t, err)
	_, err = db.DeviceAuthorization(db.ctx, d.UserCode, d.ExpiresAt)
	wantErr(t, err, storage.ErrNotFound)
}

func deviceSpent(t *testing.T, db *database) {
	settle(t, db)
	startDevice(t, db, device("d1"), device("d2"), device("d3"))
	decide(t, db, approval("d1"), storage.DeviceDecision{UserCode: device("d2").UserCode})
	for _, name := range []string{"d1", "d2"} {
		_, err := db.DeviceAuthorization(db.ctx, device(name).UserCode, now())
		wantErr(t, err, storage.ErrSpent)
	}
	_, _, err := db.PollDevice(db.ctx, poll("d1", time.Minute))
	must(t, err)
	_, err = db.DeviceAuthorization(db.ctx, device("d1").UserCode, now())
	wantErr(t, err, storage.ErrSpent)
	wantDevice(t, db, device("d3"))
}

func decideDevice(t *testing.T, db *database) {
	settle(t, db)
	startDevice(t, db, device("d1"))
	begin(t, db, interaction("i1"), interaction("i2"))
	must(t, db.DecideDevice(db.ctx, approval("d1"), interaction("i1").Hash, now()))
	wantNoInteraction(t, db, interaction("i1"))
	wantInteraction(t, db, interaction("i2"))
	wantNoGrant(t, db, "d1") // only the device's poll makes it
	wantRevocations(t, db)
}

func decideDeviceSpent(t *testing.T, db *database) {
	settle(t, db)
	startDevice(t, db, device("d1"))
	begin(t, db, interaction("i1"), interaction("i2"))
	denial := storage.DeviceDecision{UserCode: device("d1").UserCode}
	wantErr(t, db.DecideDevice(db.ctx, approval("d1"), hash("unknown"), now()), storage.ErrSpent)
	wantDevice(t, db, device("d1"))
	wantErr(t, db.DecideDevice(db.ctx, approval("d2"), interaction("i1").Hash, now()), storage.ErrSpent)
	must(t, db.EndInteraction(db.ctx, interaction("i2").Hash))
	wantErr(t, db.DecideDevice(db.ctx, approval("d1"), interaction("i2").Hash, now()), storage.ErrSpent)
	wantDevice(t, db, device("d1"))
	begin(t, db, interaction("i3"), interaction("i4"))
	must(t, db.DecideDevice(db.ctx, denial, interaction("i3").Hash, now()))
	wantErr(t, db.DecideDevice(db.ctx, approval("d1"), interaction("i4").Hash, now()), storage.ErrSpent)
	_, _, err := db.PollDevice(db.ctx, poll("d1", time.Minute))
	wantErr(t, err, storage.ErrDenied) // the first decision stands
}

func decideDeviceExpired(t *testing.T, db *database) {
	settle(t, db)
	d := device("d1")
	startDevice(t, db, d)
	i := interaction("i1")
	i.ExpiresAt = d.ExpiresAt.Add(time.Hour)
	begin(t, db, i)
	wantErr(t, db.DecideDevice(db.ctx, approval("d1"), i.Hash, d.ExpiresAt), storage.ErrSpent)
	wantDevice(t, db, d)
	wantInteraction(t, db, i)
	must(t, db.DecideDevice(db.ctx, approval("d1"), i.Hash, d.ExpiresAt.Add(-time.Microsecond)))
}

func decideDeviceKeepsNothing(t *testing.T, db *database) {
	settle(t, db)
	startDevice(t, db, device("d1"))
	d := approval("d1")
	decide(t, db, d)
	clear(d.Scopes)
	clear(d.Methods)
	clear(d.ClientDigest)
	p := poll("d1", time.Minute)
	got, _, err := db.PollDevice(db.ctx, p)
	must(t, err)
	wantEqual(t, got, grantByDevice(device("d1"), approval("d1"), p))
}

func raceCreateDevice(t *testing.T, db *database) {
	store := either(t, db)
	theirs := func(i int) storage.DeviceAuthorization {
		d := device(fmt.Sprint(i))
		d.UserCode = hash("wanted")
		return d
	}
	errs := race(racers, func(i int) error { return store(i).CreateDeviceAuthorization(db.ctx, theirs(i)) })
	wantDevice(t, db, theirs(wantOneWinner(t, errs, storage.ErrExists)))
	// Once that has expired its code has one winner again.
	errs = race(racers, func(i int) error {
		d := theirs(racers + i)
		d.CreatedAt, d.ExpiresAt = d.ExpiresAt, d.ExpiresAt.Add(time.Minute)
		return store(i).CreateDeviceAuthorization(db.ctx, d)
	})
	wantOneWinner(t, errs, storage.ErrExists)
}

func raceDecideDevice(t *testing.T, db *database) {
	store := either(t, db)
	settle(t, db)
	for round := range 5 {
		name := fmt.Sprint("d", round)
		startDevice(t, db, device(name))
		own := func(i int) storage.Interaction { return interaction(fmt.Sprint(name, "/", i)) }
		for i := range racers {
			begin(t, db, own(i))
		}
		errs := race(racers, func(i int) error {
			d := approval(name)
			d.GrantID, d.Approved = fmt.Sprint(name, "/", i), i%2 == 0
			return store(i).DecideDevice(db.ctx, d, own(i).Hash, now())
		})
		winner := wantOneWinner(t, errs, storage.ErrSpent)
		g, _, err := db.PollDevice(db.ctx, poll(name, time.Minute))
		if winner%2 == 1 {
			wantErr(t, err, storage.ErrDenied)
			continue
		}
		must(t, err)
		wantEqual(t, g.ID, fmt.Sprint(name, "/", winner))
	}
}
