package storagetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

// interaction returns an interaction before sign-in with every field set that
// comes from the request, as a store returns it.
func interaction(name string) storage.Interaction {
	return storage.Interaction{
		Hash: hash("interaction " + name), Browser: hash("browser " + name),
		ClientID: "c1", RedirectURI: "http://127.0.0.1:4711/callback?a=%20", State: "state of " + name,
		CodeChallenge: "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
		Scopes:        []string{"mcp:read", "mcp:write"}, Resource: "http://localhost:3001/mcp",
		Audience: "http://LOCALHOST:3001/mcp", TokenFormat: storage.FormatOpaque,
		Nonce: "n-0S6_WzA2Mj", Prompt: []string{"login", "consent"}, MaxAge: 10 * time.Minute, LoginHint: "ada@example.org",
		CreatedAt: now(), ExpiresAt: now().Add(10 * time.Minute),
	}
}

func interactionTests() []test {
	return []test{
		{"CreateInteraction_KeepsEveryField", createInteractionKeeps},
		{"CreateInteraction_OfADevice", createInteractionDevice},
		{"CreateInteraction_KeepsNothingOfTheCaller", createInteractionKeepsNothing},
		{"CreateInteraction_TextComesBackAsItWas", createInteractionText},
		{"CreateInteraction_ZeroValuesStayZero", createInteractionZero},
		{"CreateInteraction_ANegativeMaxAgeStaysNegative", createInteractionMaxAge},
		{"EndInteraction_ErrSpentWhenItIsGone", endInteraction},
		{"Race_EndInteraction_OneWinner", raceEndInteraction},
		{"PushRequest_KeepsEveryField", pushRequest},
		{"SpendPushedRequest_OnceOnly", spendPushedRequest},
		{"SpendPushedRequest_ErrNotFoundWhenExpired", spendPushedRequestExpired},
		{"SpendPushedRequest_AnotherClientsStays", spendPushedRequestStranger},
		{"Race_SpendPushedRequest_OneWinner", raceSpendPushedRequest},
	}
}

// begin stores interactions.
func begin(t *testing.T, db *database, interactions ...storage.Interaction) {
	t.Helper()
	for _, i := range interactions {
		must(t, db.CreateInteraction(db.ctx, i))
	}
}

func wantInteraction(t *testing.T, db *database, want storage.Interaction) {
	t.Helper()
	got, err := db.Progress(db.ctx, want.Hash, [32]byte{}, now())
	must(t, err)
	wantEqual(t, got, storage.Progress{Interaction: want})
}

func wantNoInteraction(t *testing.T, db *database, i storage.Interaction) {
	t.Helper()
	_, err := db.Progress(db.ctx, i.Hash, [32]byte{}, now())
	wantErr(t, err, storage.ErrNotFound)
}

func createInteractionKeeps(t *testing.T, db *database) {
	want := interaction("i1")
	given := want
	zone := time.FixedZone("east", 2*60*60)
	given.CreatedAt, given.ExpiresAt = want.CreatedAt.Add(999).In(zone), want.ExpiresAt.Add(1).In(zone)
	begin(t, db, given, interaction("i2"))
	wantInteraction(t, db, want)
	wantInteraction(t, db, interaction("i2"))
	signUp(t, db, "u1")
	signedIn := interaction("i3")
	signedIn.UserID, signedIn.Session = "u1", hash("s1")
	begin(t, db, signedIn)
	wantInteraction(t, db, signedIn)
}

func createInteractionDevice(t *testing.T, db *database) {
	want := interaction("i1")
	want.UserCode, want.RedirectURI, want.CodeChallenge, want.State = hash("user code"), "", "", ""
	begin(t, db, want)
	wantInteraction(t, db, want)
}

func createInteractionKeepsNothing(t *testing.T, db *database) {
	i := interaction("i1")
	begin(t, db, i)
	clear(i.Scopes)
	clear(i.Prompt)
	wantInteraction(t, db, interaction("i1"))
	got, err := db.Progress(db.ctx, i.Hash, [32]byte{}, now())
	must(t, err)
	clear(got.Scopes)
	clear(got.Prompt)
	wantInteraction(t, db, interaction("i1"))
}

func createInteractionText(t *testing.T, db *database) {
	for n, text := range awkward() {
		i := interaction(fmt.Sprint(n))
		i.ClientID, i.RedirectURI, i.State, i.CodeChallenge = text, text, text, text
		i.Resource, i.Audience, i.Nonce, i.LoginHint = text, text, text, text
		i.Scopes, i.Prompt = awkward(), []string{text}
		begin(t, db, i)
		wantInteraction(t, db, i)
	}
}

func createInteractionZero(t *testing.T, db *database) {
	want := storage.Interaction{
		Hash: hash("i1"), ClientID: "c1", TokenFormat: storage.FormatJWT,
		CreatedAt: now(), ExpiresAt: now().Add(time.Minute),
	}
	given := want
	given.Scopes, given.Prompt = []string{}, []string{}
	begin(t, db, given)
	wantInteraction(t, db, want)
}

// createInteractionMaxAge: zero asks for a new sign-in, negative for none,
// whatever unit a column has.
func createInteractionMaxAge(t *testing.T, db *database) {
	for n, maxAge := range []time.Duration{-1, -time.Second, -time.Hour} {
		i := interaction(fmt.Sprint(n))
		i.MaxAge = maxAge
		begin(t, db, i)
		got, err := db.Progress(db.ctx, i.Hash, [32]byte{}, now())
		must(t, err)
		if got.MaxAge >= 0 {
			t.Errorf("%s came back as %s", maxAge, got.MaxAge)
		}
	}
}

func endInteraction(t *testing.T, db *database) {
	begin(t, db, interaction("i1"), interaction("i2"))
	must(t, db.EndInteraction(db.ctx, interaction("i1").Hash))
	wantNoInteraction(t, db, interaction("i1"))
	wantErr(t, db.EndInteraction(db.ctx, interaction("i1").Hash), storage.ErrSpent)
	wantErr(t, db.EndInteraction(db.ctx, hash("unknown")), storage.ErrSpent)
	wantInteraction(t, db, interaction("i2"))
}

func raceEndInteraction(t *testing.T, db *database) {
	store := either(t, db)
	for round := range 5 {
		i := interaction(fmt.Sprint(round))
		begin(t, db, i)
		errs := race(racers, func(n int) error { return store(n).EndInteraction(db.ctx, i.Hash) })
		wantOneWinner(t, errs, storage.ErrSpent)
	}
}

// pushed returns a pushed request, as a store returns it.
func pushed(name string) storage.PushedRequest {
	return storage.PushedRequest{
		Hash: hash("pushed " + name), ClientID: "c1",
		Params: "client_id=c1&scope=mcp%3Aread+a&state=%E6%97%A5", ExpiresAt: now().Add(time.Minute),
	}
}

func pushRequest(t *testing.T, db *database) {
	for i, text := range awkward() {
		want := pushed(fmt.Sprint(i))
		want.Params, want.ClientID = text, text
		given := want
		given.ExpiresAt = want.ExpiresAt.Add(999).In(time.FixedZone("east", 2*60*60))
		must(t, db.PushRequest(db.ctx, given))
		got, err := db.SpendPushedRequest(db.ctx, want.Hash, text, now())
		must(t, err)
		wantEqual(t, got, want)
	}
}

func spendPushedRequest(t *testing.T, db *database) {
	other, _ := db.second(t)
	must(t, db.PushRequest(db.ctx, pushed("p1")))
	must(t, db.PushRequest(db.ctx, pushed("p2")))
	got, err := db.SpendPushedRequest(db.ctx, pushed("p1").Hash, "c1", now())
	must(t, err)
	wantEqual(t, got, pushed("p1"))
	for _, s := range []storage.Store{db, other} {
		_, err = s.SpendPushedRequest(db.ctx, pushed("p1").Hash, "c1", now())
		wantErr(t, err, storage.ErrNotFound)
	}
	_, err = db.SpendPushedRequest(db.ctx, hash("unknown"), "c1", now())
	wantErr(t, err, storage.ErrNotFound)
	got, err = other.SpendPushedRequest(db.ctx, pushed("p2").Hash, "c1", now())
	must(t, err)
	wantEqual(t, got, pushed("p2"))
}

func spendPushedRequestExpired(t *testing.T, db *database) {
	p := pushed("p1")
	must(t, db.PushRequest(db.ctx, p))
	must(t, db.PushRequest(db.ctx, pushed("p2")))
	for _, at := range []time.Time{p.ExpiresAt, p.ExpiresAt.Add(time.Hour)} {
		_, err := db.SpendPushedRequest(db.ctx, p.Hash, "c1", at)
		wantErr(t, err, storage.ErrNotFound)
	}
	got, err := db.SpendPushedRequest(db.ctx, pushed("p2").Hash, "c1", p.ExpiresAt.Add(-time.Microsecond))
	must(t, err)
	wantEqual(t, got, pushed("p2"))
}

func spendPushedRequestStranger(t *testing.T, db *database) {
	must(t, db.PushRequest(db.ctx, pushed("p1")))
	for _, stranger := range []string{"c2", "", "C1", "c1 "} {
		_, err := db.SpendPushedRequest(db.ctx, pushed("p1").Hash, stranger, now())
		wantErr(t, err, storage.ErrNotFound)
	}
	got, err := db.SpendPushedRequest(db.ctx, pushed("p1").Hash, "c1", now())
	must(t, err)
	wantEqual(t, got, pushed("p1"))
}

func raceSpendPushedRequest(t *testing.T, db *database) {
	store := either(t, db)
	for round := range 5 {
		p := pushed(fmt.Sprint(round))
		must(t, db.PushRequest(db.ctx, p))
		errs := race(racers, func(i int) error {
			got, err := store(i).SpendPushedRequest(db.ctx, p.Hash, "c1", now())
			if err == nil && got != p {
				err = fmt.Errorf("got %+v", got)
			}
			return err
		})
		wantOneWinner(t, errs, storage.ErrNotFound)
	}
}
