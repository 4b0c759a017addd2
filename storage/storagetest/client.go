package storagetest

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

// client returns a client with every field set, as a store returns it.
func client(id string) storage.Client {
	return storage.Client{
		ID:                      id,
		Name:                    "Notebook",
		AuthMethod:              "client_secret_basic",
		SecretHash:              secretHash("new"),
		PreviousSecretHash:      secretHash("old"),
		PreviousSecretExpiresAt: now().Add(time.Hour),
		JWKS:                    []byte(`{"keys":[]}`),
		GrantTypes:              []string{"client_credentials", "refresh_token"},
		RedirectURIs:            []string{"http://127.0.0.1/callback", "https://app.example/cb?a=b&c=%20"},
		Scopes:                  []string{"mcp:read", "mcp:write"},
		DefaultScopes:           []string{"mcp:read"},
		Resources:               []string{"http://localhost:3001/mcp", "https://other.example/"},
		DefaultResource:         "https://other.example/",
		TokenFormat:             storage.FormatOpaque,
		Introspect:              true,
		Disabled:                true,
		AccessTokenLifetime:     10 * time.Minute,
		ApplicationType:         "native",
		ClientURI:               "https://app.example/",
		LogoURI:                 "https://app.example/logo.png",
		PolicyURI:               "https://app.example/policy",
		TOSURI:                  "https://app.example/tos",
		Contacts:                []string{"mailto:dev@app.example", "Ada"},
		SoftwareID:              "4NRB1-0XZABZI9E6-5SM3R",
		SoftwareVersion:         "1.2.3",
		Registration:            storage.RegisteredDynamically,
		RegistrationTokenHash:   secretHash("registration access token of " + id),
		Fingerprint:             secretHash("fingerprint of " + id),
		ExpiresAt:               now().Add(30 * 24 * time.Hour),
		FetchedAt:               now().Add(-time.Hour),
		FreshUntil:              now().Add(time.Minute),
		Revision:                1,
		CreatedAt:               now(),
		UpdatedAt:               now().Add(time.Microsecond),
	}
}

func secretHash(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}

func clientTests() []test {
	return []test{
		{"CreateClient_KeepsEveryField", createClientKeepsEveryField},
		{"CreateClient_StoresRevision1", createClientStoresRevision1},
		{"CreateClient_ErrExistsWhenTheIDIsTaken", createClientErrExists},
		{"CreateClient_KeepsNothingOfTheCaller", createClientKeepsNothingOfTheCaller},
		{"Client_ErrNotFound", clientErrNotFound},
		{"Client_ReturnsACopy", clientReturnsACopy},
		{"Client_TimesAreMicrosecondsInUTC", clientTimes},
		{"Client_ZeroTimesAndTextsStayZero", clientZeroValues},
		{"Client_EmptyListsComeBackNil", clientEmptyLists},
		{"Client_TextComesBackAsItWas", clientText},
		{"Client_IDsAreComparedByteByByte", clientIDsByBytes},
		{"Client_IsVisibleToOtherStoresAtOnce", clientVisibleElsewhere},
		{"ListClients_ByIDAfterTheGivenOne", listClients},
		{"ListClients_PagesThroughManyRows", listClientsPages},
	}
}

func createClientKeepsEveryField(t *testing.T, db *database) {
	want := client("c1")
	must(t, db.CreateClient(db.ctx, want))
	got, err := db.Client(db.ctx, "c1")
	must(t, err)
	wantEqual(t, got, want)
}

func createClientStoresRevision1(t *testing.T, db *database) {
	c := client("c1")
	c.Revision = 41
	must(t, db.CreateClient(db.ctx, c))
	got, err := db.Client(db.ctx, "c1")
	must(t, err)
	wantEqual(t, got.Revision, int64(1))
}

func createClientErrExists(t *testing.T, db *database) {
	must(t, db.CreateClient(db.ctx, client("c1")))
	intruder := client("c1")
	intruder.Name, intruder.SecretHash = "Intruder", secretHash("guess")
	wantErr(t, db.CreateClient(db.ctx, intruder), storage.ErrExists)
	got, err := db.Client(db.ctx, "c1")
	must(t, err)
	wantEqual(t, got, client("c1"))
}

// scribble overwrites everything a client's slices point to.
func scribble(c storage.Client) {
	for _, b := range [][]byte{c.SecretHash, c.PreviousSecretHash, c.JWKS, c.RegistrationTokenHash, c.Fingerprint} {
		clear(b)
	}
	for _, list := range [][]string{c.GrantTypes, c.RedirectURIs, c.Scopes, c.DefaultScopes, c.Resources, c.Contacts} {
		clear(list)
	}
}

func createClientKeepsNothingOfTheCaller(t *testing.T, db *database) {
	c := client("c1")
	must(t, db.CreateClient(db.ctx, c))
	scribble(c)
	got, err := db.Client(db.ctx, "c1")
	must(t, err)
	wantEqual(t, got, client("c1"))
}

func clientErrNotFound(t *testing.T, db *database) {
	_, err := db.Client(db.ctx, "nobody")
	wantErr(t, err, storage.ErrNotFound)
}

func clientReturnsACopy(t *testing.T, db *database) {
	must(t, db.CreateClient(db.ctx, client("c1")))
	first, err := db.Client(db.ctx, "c1")
	must(t, err)
	scribble(first)
	list, err := db.ListClients(db.ctx, "", 1)
	must(t, err)
	wantEqual(t, list, []storage.Client{client("c1")})
	scribble(list[0])
	got, err := db.Client(db.ctx, "c1")
	must(t, err)
	wantEqual(t, got, client("c1"))
}

func clientTimes(t *testing.T, db *database) {
	c := client("c1")
	zone := time.FixedZone("east", 5*60*60+30*60)
	c.CreatedAt = now().Add(999 * time.Nanosecond).In(zone)
	c.UpdatedAt = time.Date(1999, 12, 31, 23, 59, 59, 999999999, time.UTC)
	c.PreviousSecretExpiresAt = time.Date(2999, 1, 1, 0, 0, 0, 1000, zone)
	c.ExpiresAt, c.FetchedAt, c.FreshUntil = c.CreatedAt, c.UpdatedAt, c.PreviousSecretExpiresAt
	must(t, db.CreateClient(db.ctx, c))
	got, err := db.Client(db.ctx, "c1")
	must(t, err)
	wantEqual(t, got.CreatedAt, now())
	wantEqual(t, got.UpdatedAt, time.Date(1999, 12, 31, 23, 59, 59, 999999000, time.UTC))
	wantEqual(t, got.PreviousSecretExpiresAt, c.PreviousSecretExpiresAt.UTC())
	wantEqual(t, []time.Time{got.ExpiresAt, got.FetchedAt, got.FreshUntil}, []time.Time{got.CreatedAt, got.UpdatedAt, got.PreviousSecretExpiresAt})
}

// bareClient is the client with the fewest fields set, as a store returns it.
func bareClient() storage.Client {
	return storage.Client{
		ID: "c1", AuthMethod: "none", Registration: storage.RegisteredByOperator,
		Revision: 1, CreatedAt: now(), UpdatedAt: now(),
	}
}

func clientZeroValues(t *testing.T, db *database) {
	want := bareClient()
	given := want
	given.Registration = ""
	must(t, db.CreateClient(db.ctx, given))
	got, err := db.Client(db.ctx, "c1")
	must(t, err)
	wantEqual(t, got, want)
}

func clientEmptyLists(t *testing.T, db *database) {
	want := bareClient()
	c := want
	c.SecretHash, c.PreviousSecretHash, c.JWKS = []byte{}, []byte{}, []byte{}
	c.GrantTypes, c.RedirectURIs, c.Scopes = []string{}, []string{}, []string{}
	c.DefaultScopes, c.Resources, c.Contacts = []string{}, []string{}, []string{}
	c.RegistrationTokenHash, c.Fingerprint = []byte{}, []byte{}
	must(t, db.CreateClient(db.ctx, c))
	got, err := db.Client(db.ctx, "c1")
	must(t, err)
	wantEqual(t, got, want)
	got, err = db.UpdateClient(db.ctx, c, now())
	must(t, err)
	want.Revision = 2
	wantEqual(t, got, want)
}

// awkward texts are what quoting, splitting and collation get wrong.
func awkward() []string {
	return []string{
		"", " ", "a b", " lead", "trail ", `"`, `'`, `\`, `\"`, `,`, `{}`, `{a,"b"}`, "NULL", "null", "$1", "?", "%s", "--", ";",
		"tab\tnew\nline\r", "naïve", "nai\u0308ve", "日本語", "👩‍💻", "\u202eright to left", "\U0010ffff", "<&>\u2028",
	}
}

func clientText(t *testing.T, db *database) {
	for i, text := range awkward() {
		want := client(fmt.Sprintf("c%d%s", i, text))
		want.Name, want.DefaultResource = text, text
		want.ApplicationType, want.ClientURI, want.LogoURI, want.PolicyURI = text, text, text, text
		want.TOSURI, want.SoftwareID, want.SoftwareVersion = text, text, text
		want.RedirectURIs, want.Scopes, want.Contacts = awkward(), []string{text}, awkward()
		must(t, db.CreateClient(db.ctx, want))
		got, err := db.Client(db.ctx, want.ID)
		must(t, err)
		wantEqual(t, got, want)
	}
}

// byteOrdered are ids that collate differently under most human rules.
func byteOrdered() []string {
	ids := []string{"A", "B", "a", "a ", "a-1", "a1", "a_1", "b", "ä", "a\u0308", "Z", "z", "é", "日", "😀", "\ufffd", "1", "10", "2"}
	slices.Sort(ids)
	return ids
}

func clientIDsByBytes(t *testing.T, db *database) {
	for _, id := range byteOrdered() {
		must(t, db.CreateClient(db.ctx, client(id)))
	}
	for _, id := range byteOrdered() {
		got, err := db.Client(db.ctx, id)
		must(t, err)
		wantEqual(t, got.ID, id)
	}
	_, err := db.Client(db.ctx, "b ")
	wantErr(t, err, storage.ErrNotFound)
}

func clientVisibleElsewhere(t *testing.T, db *database) {
	other, _ := db.second(t)
	must(t, db.CreateClient(db.ctx, client("c1")))
	c, err := other.Client(db.ctx, "c1")
	must(t, err)
	c.Name = "Renamed elsewhere"
	want, err := other.UpdateClient(db.ctx, c, now())
	must(t, err)
	got, err := db.Client(db.ctx, "c1")
	must(t, err)
	wantEqual(t, got, want)
}

func ids(clients []storage.Client) []string {
	var out []string
	for _, c := range clients {
		out = append(out, c.ID)
	}
	return out
}

func listClients(t *testing.T, db *database) {
	none, err := db.ListClients(db.ctx, "", 10)
	must(t, err)
	wantEqual(t, len(none), 0)
	all := byteOrdered()
	for _, id := range all {
		must(t, db.CreateClient(db.ctx, client(id)))
	}
	for _, tc := range []struct {
		after string
		limit int
		want  []string
	}{
		{"", 100, all},
		{"", 3, all[:3]},
		{all[2], 3, all[3:6]},
		{all[2] + "\x01", 3, all[3:6]}, // after need not exist
		{all[len(all)-1], 3, nil},
		{"", 0, nil},
		{"", -1, nil},
	} {
		got, err := db.ListClients(db.ctx, tc.after, tc.limit)
		must(t, err)
		if !slices.Equal(ids(got), tc.want) {
			t.Errorf("after %q limit %d: %q, want %q", tc.after, tc.limit, ids(got), tc.want)
		}
	}
}

func listClientsPages(t *testing.T, db *database) {
	var want, got []string
	for i := range 101 {
		c := client(fmt.Sprintf("c%03d", i*37%101))
		want = append(want, c.ID)
		must(t, db.CreateClient(db.ctx, c))
	}
	slices.Sort(want)
	for after := ""; ; {
		page, err := db.ListClients(db.ctx, after, 10)
		must(t, err)
		if len(page) == 0 {
			break
		}
		got = append(got, ids(page)...)
		after = page[len(page)-1].ID
	}
	wantEqual(t, got, want)
}
