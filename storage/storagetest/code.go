package storagetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

func codeTests() []test {
	return []test{
		{"IssueCode_RemovesTheInteraction", issueCode},
		{"IssueCode_ErrSpentWhenTheInteractionIsGone", issueCodeSpent},
		{"IssueCode_ErrSpentWhenTheInteractionHasExpired", issueCodeExpired},
		{"IssueCode_KeepsNothingOfTheCaller", issueCodeKeepsNothing},
		{"RedeemCode_MakesTheGrant", redeemCode},
		{"RedeemCode_WithoutRefreshIsGeneration0", redeemCodeNoRefresh},
		{"RedeemCode_WhatIsNotSentIsNotCompared", redeemCodeNotSent},
		{"RedeemCode_TheClientNoLongerExpires", redeemCodeClient},
		{"RedeemCode_StoresOpaqueAccessTokensOnly", redeemCodeToken},
		{"RedeemCode_ErrNotFoundLeavesTheCode", redeemCodeNotFound},
		{"RedeemCode_ErrNotFoundWhenExpired", redeemCodeExpired},
		{"RedeemCode_ErrNotFoundWhileTheUserIsDisabled", redeemCodeDisabled},
		{"RedeemCode_TextComesBackAsItWas", redeemCodeText},
		{"RedeemCode_EmptyListsComeBackNil", redeemCodeEmpty},
		{"RedeemCode_TimesAreMicrosecondsInUTC", redeemCodeTimes},
		{"RedeemCode_ReturnsCopies", redeemCodeCopies},
		{"Race_IssueCode_OneCodePerInteraction", raceIssueCode},
	}
}

func issueCode(t *testing.T, db *database) {
	settle(t, db)
	begin(t, db, interaction("i1"), interaction("i2"))
	must(t, db.IssueCode(db.ctx, code("g1"), interaction("i1").Hash))
	wantNoInteraction(t, db, interaction("i1"))
	wantErr(t, db.EndInteraction(db.ctx, interaction("i1").Hash), storage.ErrSpent)
	wantInteraction(t, db, interaction("i2"))
	wantNoGrant(t, db, "g1") // only its redemption makes it
}

func wantNoCode(t *testing.T, db *database, name string) {
	t.Helper()
	_, _, err := db.RedeemCode(db.ctx, redemption(name))
	wantErr(t, err, storage.ErrNotFound)
}

func issueCodeSpent(t *testing.T, db *database) {
	settle(t, db)
	wantErr(t, db.IssueCode(db.ctx, code("g1"), hash("unknown")), storage.ErrSpent)
	wantNoCode(t, db, "g1")
	begin(t, db, interaction("i1"))
	must(t, db.IssueCode(db.ctx, code("g2"), interaction("i1").Hash))
	wantErr(t, db.IssueCode(db.ctx, code("g3"), interaction("i1").Hash), storage.ErrSpent)
	wantNoCode(t, db, "g3")
	begin(t, db, interaction("i2"))
	must(t, db.EndInteraction(db.ctx, interaction("i2").Hash))
	wantErr(t, db.IssueCode(db.ctx, code("g4"), interaction("i2").Hash), storage.ErrSpent)
	wantNoCode(t, db, "g4")
}

func issueCodeExpired(t *testing.T, db *database) {
	settle(t, db)
	i := interaction("i1")
	begin(t, db, i)
	late := code("g1")
	late.CreatedAt, late.ExpiresAt = i.ExpiresAt, i.ExpiresAt.Add(time.Minute)
	wantErr(t, db.IssueCode(db.ctx, late, i.Hash), storage.ErrSpent)
	wantNoCode(t, db, "g1")
	late.CreatedAt = i.ExpiresAt.Add(-time.Microsecond)
	must(t, db.IssueCode(db.ctx, late, i.Hash))
}

func scribbleCode(c storage.Code) {
	clear(c.Scopes)
	clear(c.Methods)
	clear(c.ClientDigest)
}

func issueCodeKeepsNothing(t *testing.T, db *database) {
	settle(t, db)
	c := code("g1")
	issue(t, db, c)
	scribbleCode(c)
	got, _, err := db.RedeemCode(db.ctx, redemption("g1"))
	must(t, err)
	wantEqual(t, got, grantBy(code("g1"), redemption("g1")))
}

func redeemCode(t *testing.T, db *database) {
	other, _ := db.second(t)
	settle(t, db)
	issue(t, db, code("g1"))
	got, u, err := other.RedeemCode(db.ctx, redemption("g1"))
	must(t, err)
	want := grantBy(code("g1"), redemption("g1"))
	wantEqual(t, got, want)
	wantEqual(t, u, user("u1"))
	wantGrant(t, db, want)
	wantRevocations(t, db)
}

func redeemCodeNoRefresh(t *testing.T, db *database) {
	settle(t, db)
	c := code("g1")
	c.Refresh = false
	issue(t, db, c)
	got, _, err := db.RedeemCode(db.ctx, redemption("g1"))
	must(t, err)
	wantEqual(t, got.Generation, int64(0))
	wantEqual(t, got, grantBy(c, redemption("g1")))
	wantGrant(t, db, got)
}

func redeemCodeNotSent(t *testing.T, db *database) {
	settle(t, db)
	issue(t, db, code("g1"))
	r := redemption("g1")
	r.RedirectURI, r.Resource = "", ""
	got, _, err := db.RedeemCode(db.ctx, r)
	must(t, err)
	wantEqual(t, got, grantBy(code("g1"), r))
}

func redeemCodeClient(t *testing.T, db *database) {
	settle(t, db)
	issue(t, db, code("g1"))
	wrong := redemption("g1")
	wrong.CodeChallenge = "guess"
	_, _, err := db.RedeemCode(db.ctx, wrong)
	wantErr(t, err, storage.ErrNotFound)
	for _, id := range []string{"c1", "c2"} {
		got, err := db.Client(db.ctx, id)
		must(t, err)
		wantEqual(t, got.ExpiresAt, client(id).ExpiresAt)
	}
	_, _, err = db.RedeemCode(db.ctx, redemption("g1"))
	must(t, err)
	got, err := db.Client(db.ctx, "c1")
	must(t, err)
	wantEqual(t, got.ExpiresAt, time.Time{})
	got, err = db.Client(db.ctx, "c2")
	must(t, err)
	wantEqual(t, got.ExpiresAt, client("c2").ExpiresAt)
	// Registering again does not make it expire again.
	got, err = db.RegisterClient(db.ctx, client("c1"))
	must(t, err)
	wantEqual(t, got.ExpiresAt, time.Time{})
}

func redeemCodeToken(t *testing.T, db *database) {
	settle(t, db)
	for _, format := range []storage.TokenFormat{storage.FormatJWT, storage.FormatOpaque} {
		name := string(format)
		g := granted(t, db, name, func(c *storage.Code) { c.TokenFormat = format })
		if format == storage.FormatOpaque {
			wantGrantToken(t, db, g, redemption(name).AccessToken, code(name).Scopes...)
		} else {
			wantNoGrantToken(t, db, redemption(name).AccessToken)
		}
	}
}

func redeemCodeNotFound(t *testing.T, db *database) {
	settle(t, db)
	issue(t, db, code("g1"))
	before, err := db.Client(db.ctx, "c1")
	must(t, err)
	for name, change := range map[string]func(r *storage.Redemption){
		"unknown code":        func(r *storage.Redemption) { r.CodeHash = hash("guess") },
		"another client":      func(r *storage.Redemption) { r.ClientID = "c2" },
		"no client":           func(r *storage.Redemption) { r.ClientID = "" },
		"redirect_uri":        func(r *storage.Redemption) { r.RedirectURI += "&" },
		"redirect_uri's case": func(r *storage.Redemption) { r.RedirectURI = "HTTP" + r.RedirectURI[4:] },
		"code_challenge":      func(r *storage.Redemption) { r.CodeChallenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cm" },
		"no code_challenge":   func(r *storage.Redemption) { r.CodeChallenge = "" },
		"resource":            func(r *storage.Redemption) { r.Resource += "/" },
	} {
		r := redemption("g1")
		change(&r)
		_, _, err := db.RedeemCode(db.ctx, r)
		if err == nil {
			t.Fatalf("%s: redeemed", name)
		}
		wantErr(t, err, storage.ErrNotFound)
		wantNoGrant(t, db, "g1")
		wantNoGrantToken(t, db, r.AccessToken)
	}
	wantClient(t, db, before)
	wantRevocations(t, db)
	got, _, err := db.RedeemCode(db.ctx, redemption("g1"))
	must(t, err)
	wantEqual(t, got, grantBy(code("g1"), redemption("g1")))
}

func redeemCodeExpired(t *testing.T, db *database) {
	settle(t, db)
	issue(t, db, code("g1"))
	r := redemption("g1")
	for _, at := range []time.Time{code("").ExpiresAt, code("").ExpiresAt.Add(time.Hour)} {
		r.Now = at
		_, _, err := db.RedeemCode(db.ctx, r)
		wantErr(t, err, storage.ErrNotFound)
		wantNoGrant(t, db, "g1")
	}
	r.Now = code("").ExpiresAt.Add(-time.Microsecond)
	_, _, err := db.RedeemCode(db.ctx, r)
	must(t, err)
}

func redeemCodeDisabled(t *testing.T, db *database) {
	settle(t, db)
	issue(t, db, code("g1"))
	setDisabled(t, db, true)
	_, _, err := db.RedeemCode(db.ctx, redemption("g1"))
	wantErr(t, err, storage.ErrNotFound)
	wantNoGrant(t, db, "g1")
	wantNoGrantToken(t, db, redemption("g1").AccessToken)
	want := setDisabled(t, db, false)
	_, u, err := db.RedeemCode(db.ctx, redemption("g1"))
	must(t, err)
	wantEqual(t, u, want)
}

func redeemCodeText(t *testing.T, db *database) {
	settle(t, db)
	for i, text := range awkward() {
		got := granted(t, db, fmt.Sprint(i, text), func(c *storage.Code) {
			c.Nonce, c.Device, c.Audience = text, text, text
			c.RedirectURI, c.Resource = "r"+text, "r"+text
			c.Scopes, c.Methods = awkward(), []string{text}
		})
		c := code(got.ID)
		c.Nonce, c.Device, c.Audience, c.Resource = text, text, text, "r"+text
		c.Scopes, c.Methods = awkward(), []string{text}
		wantEqual(t, got, grantBy(c, redemption(c.GrantID)))
		wantGrant(t, db, got)
	}
}

func redeemCodeEmpty(t *testing.T, db *database) {
	settle(t, db)
	got := granted(t, db, "g1", func(c *storage.Code) {
		c.Scopes, c.Methods, c.ClientDigest, c.AuthTime = []string{}, []string{}, []byte{}, time.Time{}
	})
	want := grantBy(code("g1"), redemption("g1"))
	want.Scopes, want.Methods, want.ClientDigest, want.AuthTime = nil, nil, nil, time.Time{}
	wantEqual(t, got, want)
	wantGrant(t, db, want)
}

func redeemCodeTimes(t *testing.T, db *database) {
	settle(t, db)
	zone := time.FixedZone("east", 5*60*60+30*60)
	c, r := code("g1"), redemption("g1")
	want := grantBy(c, r)
	c.AuthTime, c.CreatedAt, c.ExpiresAt = c.AuthTime.Add(999).In(zone), c.CreatedAt.In(zone), c.ExpiresAt.In(zone)
	r.Now, r.GrantExpiresAt = r.Now.Add(999).In(zone), r.GrantExpiresAt.Add(1).In(zone)
	r.AccessToken.IssuedAt, r.AccessToken.ExpiresAt = r.AccessToken.IssuedAt.In(zone), r.AccessToken.ExpiresAt.In(zone)
	issue(t, db, c)
	got, _, err := db.RedeemCode(db.ctx, r)
	must(t, err)
	wantEqual(t, got, want)
	wantGrant(t, db, want)
	wantGrantToken(t, db, want, redemption("g1").AccessToken, want.Scopes...)
}

func scribbleGrant(g storage.Grant) {
	clear(g.Scopes)
	clear(g.Methods)
	clear(g.ClientDigest)
}

func redeemCodeCopies(t *testing.T, db *database) {
	settle(t, db)
	issue(t, db, code("g1"))
	got, u, err := db.RedeemCode(db.ctx, redemption("g1"))
	must(t, err)
	want := got.Clone()
	scribbleGrant(got)
	scribbleUser(u)
	wantGrant(t, db, want)
	wantUser(t, db, user("u1"))
	again, err := db.Grant(db.ctx, "g1")
	must(t, err)
	list, err := db.ListGrants(db.ctx, "u1", now())
	must(t, err)
	scribbleGrant(again)
	scribbleGrant(list[0])
	wantGrant(t, db, want)
	wantGrantToken(t, db, want, redemption("g1").AccessToken, slices.Clone(want.Scopes)...)
}

func raceIssueCode(t *testing.T, db *database) {
	store := either(t, db)
	settle(t, db)
	for round := range 5 {
		i := interaction(fmt.Sprint(round))
		begin(t, db, i)
		name := func(n int) string { return fmt.Sprint(round, "/", n) }
		errs := race(racers, func(n int) error { return store(n).IssueCode(db.ctx, code(name(n)), i.Hash) })
		winner := wantOneWinner(t, errs, storage.ErrSpent)
		for n := range racers {
			if n != winner {
				wantNoCode(t, db, name(n))
			}
		}
		_, _, err := db.RedeemCode(db.ctx, redemption(name(winner)))
		must(t, err)
	}
}
