package storagetest

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

// accessToken returns a token with every field set, as a store returns it.
func accessToken(name string) storage.AccessToken {
	return storage.AccessToken{
		Hash:      sha256.Sum256([]byte(name)),
		ExpiresAt: wholeSecond().Add(time.Hour),
		ClientID:  "c1",
		Subject:   "alice",
		GrantID:   "g1",
		Scopes:    []string{"mcp:read", "mcp:write"},
		Audience:  []string{"http://localhost:3001/mcp", "https://other.example/"},
		IssuedAt:  now(),
	}
}

func accessTokenTests() []test {
	return []test{
		{"CreateAccessToken_KeepsEveryField", createAccessTokenKeeps},
		{"CreateAccessToken_ErrExistsWhenHashAndExpiryAreTaken", createAccessTokenExists},
		{"CreateAccessToken_KeepsNothingOfTheCaller", createAccessTokenKeepsNothing},
		{"CreateAccessToken_ConcurrentCallsAreAllStored", createAccessTokenConcurrent},
		{"CreateAccessToken_ADuplicateHurtsNoNeighbour", createAccessTokenNeighbours},
		{"AccessToken_ErrNotFound", accessTokenNotFound},
		{"AccessToken_DoesNotJudgeExpiry", accessTokenExpired},
		{"AccessToken_ReturnsACopy", accessTokenCopy},
		{"AccessToken_TextComesBackAsItWas", accessTokenText},
		{"AccessToken_EmptyListsComeBackNil", accessTokenEmpty},
		{"AccessToken_IsVisibleToOtherStoresAtOnce", accessTokenElsewhere},
	}
}

func wantToken(t *testing.T, s storage.AccessTokens, db *database, want storage.AccessToken) {
	t.Helper()
	got, err := s.AccessToken(db.ctx, want.Hash, want.ExpiresAt)
	must(t, err)
	wantEqual(t, got, want)
}

func createAccessTokenKeeps(t *testing.T, db *database) {
	want := accessToken("t1")
	given := want
	zone := time.FixedZone("west", -7*60*60)
	given.ExpiresAt, given.IssuedAt = want.ExpiresAt.In(zone), want.IssuedAt.Add(999).In(zone)
	must(t, db.CreateAccessToken(db.ctx, given))
	wantToken(t, db, db, want)
}

func createAccessTokenExists(t *testing.T, db *database) {
	must(t, db.CreateAccessToken(db.ctx, accessToken("t1")))
	intruder := accessToken("t1")
	intruder.Subject, intruder.Scopes = "mallory", []string{"mcp:admin"}
	wantErr(t, db.CreateAccessToken(db.ctx, intruder), storage.ErrExists)
	wantToken(t, db, db, accessToken("t1"))
}

func createAccessTokenKeepsNothing(t *testing.T, db *database) {
	tok := accessToken("t1")
	must(t, db.CreateAccessToken(db.ctx, tok))
	clear(tok.Scopes)
	clear(tok.Audience)
	wantToken(t, db, db, accessToken("t1"))
}

func createAccessTokenConcurrent(t *testing.T, db *database) {
	const each = 20
	store := either(t, db)
	errs := race(racers, func(i int) error {
		for j := range each {
			if err := store(i).CreateAccessToken(db.ctx, accessToken(fmt.Sprint(i, j))); err != nil {
				return err
			}
			tok := accessToken(fmt.Sprint(i, j))
			if _, err := store(i+1).AccessToken(db.ctx, tok.Hash, tok.ExpiresAt); err != nil {
				return fmt.Errorf("just stored: %w", err)
			}
		}
		return nil
	})
	for _, err := range errs {
		must(t, err)
	}
	for i := range racers {
		for j := range each {
			wantToken(t, db, db, accessToken(fmt.Sprint(i, j)))
		}
	}
}

func createAccessTokenNeighbours(t *testing.T, db *database) {
	must(t, db.CreateAccessToken(db.ctx, accessToken("taken")))
	errs := race(racers, func(i int) error {
		if i%4 == 0 {
			return db.CreateAccessToken(db.ctx, accessToken("taken"))
		}
		return db.CreateAccessToken(db.ctx, accessToken(fmt.Sprint("free", i)))
	})
	for i, err := range errs {
		if i%4 == 0 {
			wantErr(t, err, storage.ErrExists)
			continue
		}
		must(t, err)
		wantToken(t, db, db, accessToken(fmt.Sprint("free", i)))
	}
	errs = race(racers, func(int) error { return db.CreateAccessToken(db.ctx, accessToken("same")) })
	wantOneWinner(t, errs, storage.ErrExists)
}

func accessTokenNotFound(t *testing.T, db *database) {
	tok := accessToken("t1")
	must(t, db.CreateAccessToken(db.ctx, tok))
	other := tok.Hash
	other[31] ^= 1
	for _, tc := range []struct {
		hash    [32]byte
		expires time.Time
	}{
		{other, tok.ExpiresAt},
		{tok.Hash, tok.ExpiresAt.Add(time.Second)},
		{tok.Hash, tok.ExpiresAt.Add(-time.Second)},
		{tok.Hash, tok.ExpiresAt.Add(1000 * time.Hour)},
		{tok.Hash, time.Time{}},
	} {
		_, err := db.AccessToken(db.ctx, tc.hash, tc.expires)
		wantErr(t, err, storage.ErrNotFound)
	}
}

func accessTokenExpired(t *testing.T, db *database) {
	tok := accessToken("t1")
	tok.ExpiresAt = wholeSecond().Add(-time.Second)
	must(t, db.Maintain(db.ctx, now().Add(-time.Hour), horizon))
	must(t, db.CreateAccessToken(db.ctx, tok))
	wantToken(t, db, db, tok)
}

func accessTokenCopy(t *testing.T, db *database) {
	tok := accessToken("t1")
	must(t, db.CreateAccessToken(db.ctx, tok))
	got, err := db.AccessToken(db.ctx, tok.Hash, tok.ExpiresAt)
	must(t, err)
	clear(got.Scopes)
	clear(got.Audience)
	wantToken(t, db, db, accessToken("t1"))
}

func accessTokenText(t *testing.T, db *database) {
	for i, text := range awkward() {
		tok := accessToken(fmt.Sprint(i))
		tok.ClientID, tok.Subject, tok.GrantID = text, text, text
		tok.Scopes, tok.Audience = awkward(), []string{text}
		must(t, db.CreateAccessToken(db.ctx, tok))
		wantToken(t, db, db, tok)
	}
}

func accessTokenEmpty(t *testing.T, db *database) {
	want := storage.AccessToken{Hash: sha256.Sum256(nil), ExpiresAt: wholeSecond().Add(time.Hour), IssuedAt: now()}
	given := want
	given.Scopes, given.Audience = []string{}, []string{}
	must(t, db.CreateAccessToken(db.ctx, given))
	wantToken(t, db, db, want)
}

func accessTokenElsewhere(t *testing.T, db *database) {
	other, _ := db.second(t)
	must(t, db.CreateAccessToken(db.ctx, accessToken("t1")))
	wantToken(t, other, db, accessToken("t1"))
	must(t, other.CreateAccessToken(db.ctx, accessToken("t2")))
	wantToken(t, db, db, accessToken("t2"))
}

func assertionTests() []test {
	return []test{
		{"UseJTI_ErrSpentUntilItExpires", useJTISpent},
		{"UseJTI_MayBeSpentAgainOnceItExpired", useJTIExpired},
		{"UseJTI_OfAnotherIssuerIsAnotherJTI", useJTIIssuers},
		{"UseJTI_LongOnesAreToldApart", useJTILong},
		{"UseJTI_IsSpentForEveryStore", useJTIElsewhere},
		{"Race_UseJTI_OneWinner", raceUseJTI},
		{"Race_UseJTI_OneWinnerAfterExpiry", raceUseJTIExpired},
	}
}

func useJTISpent(t *testing.T, db *database) {
	expires := now().Add(time.Hour)
	must(t, db.UseJTI(db.ctx, "iss", "jti", expires, now()))
	for _, at := range []time.Time{now(), now().Add(time.Minute), expires.Add(-time.Microsecond)} {
		// A later expiry in the replay must not help.
		wantErr(t, db.UseJTI(db.ctx, "iss", "jti", at.Add(time.Hour), at), storage.ErrSpent)
	}
	must(t, db.UseJTI(db.ctx, "iss", "another", expires, now()))
}

func useJTIExpired(t *testing.T, db *database) {
	expires := now().Add(time.Hour)
	must(t, db.UseJTI(db.ctx, "iss", "jti", expires, now()))
	// RFC 7519 §4.1.4: an assertion is expired on its exp, not only after.
	again := expires.Add(time.Hour)
	must(t, db.UseJTI(db.ctx, "iss", "jti", again, expires))
	wantErr(t, db.UseJTI(db.ctx, "iss", "jti", again, again.Add(-time.Microsecond)), storage.ErrSpent)
}

func useJTIIssuers(t *testing.T, db *database) {
	expires := now().Add(time.Hour)
	for _, tc := range [][2]string{
		{"ab", "c"}, {"a", "bc"}, {"", "abc"}, {"abc", ""}, {"a b", "c"}, {"a", "b c"}, {"A", "bc"}, {"a", "bc "},
	} {
		must(t, db.UseJTI(db.ctx, tc[0], tc[1], expires, now()))
		wantErr(t, db.UseJTI(db.ctx, tc[0], tc[1], expires, now()), storage.ErrSpent)
	}
}

// useJTILong uses identifiers longer than an index entry of some engines: how
// long a jti is, is the client's choice.
func useJTILong(t *testing.T, db *database) {
	var b strings.Builder
	for i := range 200 {
		fmt.Fprintf(&b, "%x", sha256.Sum256([]byte{byte(i)}))
	}
	long, expires := b.String(), now().Add(time.Hour)
	for _, tc := range [][2]string{{"iss", long}, {"iss", long + "x"}, {"other", long}} {
		must(t, db.UseJTI(db.ctx, tc[0], tc[1], expires, now()))
		wantErr(t, db.UseJTI(db.ctx, tc[0], tc[1], expires, now()), storage.ErrSpent)
	}
}

func useJTIElsewhere(t *testing.T, db *database) {
	other, _ := db.second(t)
	must(t, db.UseJTI(db.ctx, "iss", "jti", now().Add(time.Hour), now()))
	wantErr(t, other.UseJTI(db.ctx, "iss", "jti", now().Add(time.Hour), now()), storage.ErrSpent)
}

func raceUseJTI(t *testing.T, db *database) {
	store := either(t, db)
	for round := range 5 {
		errs := race(racers, func(i int) error {
			return store(i).UseJTI(db.ctx, "iss", fmt.Sprint(round), now().Add(time.Hour), now())
		})
		wantOneWinner(t, errs, storage.ErrSpent)
	}
}

func raceUseJTIExpired(t *testing.T, db *database) {
	store := either(t, db)
	must(t, db.UseJTI(db.ctx, "iss", "jti", now(), now().Add(-time.Hour)))
	errs := race(racers, func(i int) error {
		return store(i).UseJTI(db.ctx, "iss", "jti", now().Add(time.Hour), now())
	})
	wantOneWinner(t, errs, storage.ErrSpent)
}
